// Package native holds the C++ of the CPU kernel of SpEED. Its entry points are plain C, and package cpu is their Go face.
package native
