//go:build noplot

package report

import "errors"

// errNoPlots is the error of every plot of a program that was built with the tag noplot, which leaves out the drawing and its fonts: 7 MB that
// a bundle for another machine does without.
var errNoPlots = errors.New("this program was built without plots")

func (p Plot) svg() ([]byte, error)  { return nil, errNoPlots }
func (p Plot) png() ([]byte, error)  { return nil, errNoPlots }
func (p Plot) html() ([]byte, error) { return nil, errNoPlots }
