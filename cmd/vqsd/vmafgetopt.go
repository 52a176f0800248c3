package main

import (
	"fmt"
	"strings"
)

// longOption is one option of a command line as getopt_long of the GNU C library takes it.
type longOption struct {
	name  string
	short byte // 0: none
	takes bool // a value follows
}

// optionScanner reads arguments by the rules of getopt_long: options and other arguments in any order, short options in clusters (-nq), the value
// of an option in the same argument or the next (-rFILE, -r FILE, --reference=FILE, --reference FILE), long names cut short as far as
// they stay clear, and nothing but arguments after "--".
type optionScanner struct {
	args    []string
	long    []longOption
	ignored string // further short options that take a value, which mean nothing
	// posix ends the options at the first argument that is none, as POSIXLY_CORRECT asks.
	posix bool

	cluster string // what is left of a cluster of short options
	operand []string
}

// scanned is an option that was found.
type scanned struct {
	name  string // of the long option; "" for an option without meaning
	value string
}

// next finds the next option. more is false where there is none. An error is an argument that is passed over: those that follow are good.
func (s *optionScanner) next() (found scanned, more bool, err error) {
	if s.cluster != "" {
		found, err = s.short()
		return found, true, err
	}
	for len(s.args) > 0 {
		arg := s.take()
		switch {
		case arg == "--", s.posix && !isOption(arg):
			if arg != "--" {
				s.operand = append(s.operand, arg)
			}
			s.operand, s.args = append(s.operand, s.args...), nil
		case strings.HasPrefix(arg, "--"):
			found, err = s.longName(arg[2:])
			return found, true, err
		case isOption(arg):
			s.cluster = arg[1:]
			found, err = s.short()
			return found, true, err
		default:
			s.operand = append(s.operand, arg)
		}
	}
	return scanned{}, false, nil
}

// operands are the arguments that are no options, once next has found all that are.
func (s *optionScanner) operands() []string { return s.operand }

func isOption(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

func (s *optionScanner) take() string {
	arg := s.args[0]
	s.args = s.args[1:]
	return arg
}

// value is the argument after an option that wants one.
func (s *optionScanner) value(option string) (string, error) {
	if len(s.args) == 0 {
		return "", fmt.Errorf("option %s needs a value", option)
	}
	return s.take(), nil
}

// short takes one option off the cluster.
func (s *optionScanner) short() (found scanned, err error) {
	letter := s.cluster[0]
	s.cluster = s.cluster[1:]
	takes := strings.IndexByte(s.ignored, letter) >= 0
	known := takes
	for _, o := range s.long {
		if o.short == letter {
			known, takes, found.name = true, o.takes, o.name
		}
	}
	if !known {
		return scanned{}, fmt.Errorf("there is no option -%c", letter)
	}
	if !takes {
		return found, nil
	}
	if found.value, s.cluster = s.cluster, ""; found.value == "" {
		found.value, err = s.value("-" + string(rune(letter)))
	}
	if err != nil {
		return scanned{}, err
	}
	return found, nil
}

// longName reads what follows "--".
func (s *optionScanner) longName(text string) (scanned, error) {
	name, value, hasValue := strings.Cut(text, "=")
	var candidates []string
	var option longOption
	for _, o := range s.long {
		if o.name == name {
			option, candidates = o, []string{o.name}
			break
		}
		if strings.HasPrefix(o.name, name) {
			option, candidates = o, append(candidates, o.name)
		}
	}
	switch {
	case len(candidates) == 0:
		return scanned{}, fmt.Errorf("there is no option --%s", name)
	case len(candidates) > 1:
		return scanned{}, fmt.Errorf("option --%s could be --%s", name, strings.Join(candidates, " or --"))
	case hasValue && !option.takes:
		return scanned{}, fmt.Errorf("option --%s takes no value", option.name)
	case option.takes && !hasValue:
		var err error
		if value, err = s.value("--" + option.name); err != nil {
			return scanned{}, err
		}
	}
	return scanned{option.name, value}, nil
}
