package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// setFlag sets any key: --set KEY=VALUE.
const setFlag = "--set"

// configFlags are the flags that say what the configuration is, in the order in which they were given.
type configFlags struct {
	file  string
	given []assignment
}

// source is where the configuration comes from, with a process's environment.
func (f *configFlags) source(environment []string) configSource {
	s := configSource{file: f.file, environment: environment, flags: f.given}
	for _, pair := range environment {
		if name, value, _ := strings.Cut(pair, "="); name == configEnvironment && s.file == "" {
			s.file = value
		}
	}
	return s
}

// define declares a flag for a key. kind is what help calls its value; "": it is true or false.
func (f *configFlags) define(c *cobra.Command, name, key, kind, usage string) {
	if settingOf(key) == nil {
		panic("no key " + key) // a bug
	}
	flag := c.Flags().VarPF(&settingFlag{f, "--" + name, key, kind}, name, "", usage)
	if kind == "" {
		flag.NoOptDefVal = "true"
	}
}

// defineFile declares --config and --set.
func (f *configFlags) defineFile(c *cobra.Command) {
	c.Flags().StringVar(&f.file, "config", "", "read the configuration in `FILE`; vqsd serve --print-config prints one with every key")
	c.Flags().Var(&settingFlag{f, setFlag, "", "KEY=VALUE"}, "set", "set any `KEY=VALUE` of the configuration, such as limits.watch_streams=50; repeatable")
}

// settingFlag is a flag that sets a key.
type settingFlag struct {
	flags *configFlags
	flag  string
	key   string // "": it is in the value
	kind  string
}

var _ pflag.Value = (*settingFlag)(nil)

// Set notes the flag. Whether the value will do is looked at together with all else.
func (s *settingFlag) Set(text string) error {
	a := assignment{flag: s.flag, key: s.key, value: text}
	if s.key == "" {
		key, value, found := strings.Cut(text, "=")
		if !found || key == "" {
			return usagef("want KEY=VALUE, such as limits.watch_streams=50")
		}
		if known := settingOf(key); known != nil && known.secret {
			return usagef("%s on a command line can be seen by everybody; set it as %s, or use a file", key, known.environment())
		}
		a.key, a.value = key, value
	}
	for _, before := range s.flags.given {
		a.more = a.more || before.flag == a.flag && before.key == a.key
	}
	s.flags.given = append(s.flags.given, a)
	return nil
}

func (s *settingFlag) String() string { return "" }
func (s *settingFlag) Type() string {
	if s.kind == "" {
		return "bool"
	}
	return s.kind
}
