package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
)

// openStandardInput makes "-" among the inputs mean the program's input, which need not be the process's. The function it
// returns ends that.
func (a *app) openStandardInput(r *engine.Request) (end func(), err error) {
	inputs := []*decode.Input{&r.Reference}
	for i := range r.Distorted {
		inputs = append(inputs, &r.Distorted[i])
	}
	return a.redirectStandardInput(inputs...)
}

func (a *app) redirectStandardInput(inputs ...*decode.Input) (end func(), err error) {
	end = func() {}
	for _, in := range inputs {
		if in.Path != "-" {
			continue
		}
		file, isFile := a.stdin.(*os.File)
		if isFile && term.IsTerminal(int(file.Fd())) {
			return end, errors.New("standard input is a terminal; pipe a video into it")
		}
		if file == os.Stdin {
			return end, nil // decode knows that one itself
		}
		if !isFile {
			if file, end, err = piped(a.stdin); err != nil {
				return func() {}, err
			}
		}
		in.Path = fmt.Sprintf("/dev/fd/%d", file.Fd())
	}
	return end, nil
}

// piped makes a file of a reader. end stops copying and waits until it has.
func piped(r io.Reader) (file *os.File, end func(), err error) {
	file, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("standard input: %w", err)
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		// An error on either side ends the pipe, and whoever reads it notices.
		_, _ = io.Copy(w, r)
		_ = w.Close()
	}()
	return file, func() {
		_ = file.Close()
		_ = w.Close()
		<-copied
	}, nil
}
