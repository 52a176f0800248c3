// Package bench times measuring: decoding alone, the features alone, whole measurements in this process, and measurements by a
// daemon. It is what `vqsd bench` runs; [Run] is all of it, and README.md says how to read what comes out.
//
// Each scenario has a file, with a Config and a function that measures one case and returns a [Result]: [Decode], [Kernels], [Measure] and
// [Daemon]. [Run] goes through the cases that its [Config] names, makes the clips for them (package synth) and removes them again.
//
// Everything here uses the whole machine, so one Run at a time.
//
// # Decisions
//
// What is compared is run in turns, one run of each after the other and again, so that what disturbs the machine disturbs all of
// it; figures are the median of the runs, with the quartiles. What cannot be run here is in the report with the reason, and no figure is
// ever carried over from another run or machine.
//
// What bounds a case is told from figures of the same run: its speed beside that of decoding the same clips alone, processor time
// over the time it took, bytes over the memory's bandwidth. Figures of an emulated device say so: they tell that the code is right, and
// nothing about speed.
package bench
