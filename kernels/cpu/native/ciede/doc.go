// Package ciede holds the C++ of the CPU kernel of CIEDE2000. It has no Go code to call: its entry points are plain C, and package cpu is
// their Go face. See package native for why it is a package.
package ciede
