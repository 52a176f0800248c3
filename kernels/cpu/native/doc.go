// Package native holds the C++ of the CPU kernels of VIF, ADM and motion, and what chooses the vector target; one package below it
// holds each of the others. Their entry points are plain C, and package cpu is their Go face.
//
// They are packages of their own, without an import but that of the headers they include, because compiling them takes minutes and Go
// compiles a package anew whenever one that it imports has changed.
package native
