// Package trial tests the software libcuda of kernels/emu: that kernels which are right run, that each thing a kernel can do wrong is
// found and described, that the driver API answers as a device's driver does, and that faults come when they are asked for.
//
// There is nothing to call. The tests run a program, testdata/trial.cc, that opens the library as any program does and follows a script, one
// process a script, because a process has one driver and its environment. `scripts/emu.sh --test` builds it, with a library whose
// kernels (testdata/kernels.cu) are wrong on purpose.
package trial
