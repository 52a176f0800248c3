// Package nvcuvidtrial tests the software libnvcuvid by itself: that it refuses what a device's decoder refuses, and more. What it decodes
// is compared with software in package decode. The package has only tests: testdata/trial.cc is the program that calls the library.
package nvcuvidtrial
