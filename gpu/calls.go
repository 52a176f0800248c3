//go:build cuda

package gpu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"

	"github.com/vqsd/vqsd/gpu/internal/driver"
)

// callError says that a call of cu failed. A nil err gives nil.
func callError(err error, call, format string, arguments ...any) error {
	if err == nil {
		return nil
	}
	code, ok := resultOf(err, cu.Success)
	if !ok {
		return fmt.Errorf("%s(%s): %w", call, fmt.Sprintf(format, arguments...), err)
	}
	return codeError(code, call, format, arguments...)
}

// codeError is callError for a call of the driver that gives its result as a number.
func codeError(code int, call, format string, arguments ...any) error {
	if code == 0 {
		return nil
	}
	return &CallError{
		Call: call, Arguments: fmt.Sprintf(format, arguments...),
		Code: code, Name: driver.ErrorName(code), Text: driver.ErrorText(code),
	}
}

// resultOf finds the driver's result in an error of cu, whose type for it can be named only by one of its constants.
func resultOf[T interface {
	~int
	error
}](err error, _ T) (int, bool) {
	var result T
	ok := errors.As(err, &result)
	return int(result), ok
}
