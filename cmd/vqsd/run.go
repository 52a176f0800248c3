package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/decode"
)

// The exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const interrupted = "vqsd: interrupted"

// app is one run of the program.
type app struct {
	stdin  io.Reader
	stdout *output
	stderr io.Writer

	rawOutput io.Writer // what stdout writes to

	running bool // a subcommand has begun: flags and arguments were understood
}

// run is the program without its process. args has no program name. When ctx is cancelled it ends soon, with status 1.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: &output{w: bufio.NewWriter(stdout)}, stderr: stderr, rawOutput: stdout}
	root := a.command()
	root.SetArgs(append([]string{}, args...)) // nil would mean the process's own
	command, err := root.ExecuteContextC(ctx)
	if err != nil && !a.running {
		err = &usageError{err}
	}
	if writeErr := a.stdout.flush(); writeErr != nil {
		err = errors.Join(err, fmt.Errorf("write standard output: %w", writeErr))
	}
	return a.report(ctx, command, err)
}

// command is the tree of subcommands.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "vqsd",
		Short: "measure video quality",
		Long: `vqsd compares distorted videos with the reference they were made from, frame by frame, and computes VMAF and its
features on the CPU or a GPU: the figures of libvmaf 3.2.0, to the last bit of every feature.

Results go to standard output, everything else to standard error. The exit status is 0 when all was done, 1 when
something failed, and 2 when the command was not understood.`,
		Example: `  vqsd measure -r reference.mp4 -d encode.mp4
  vqsd inspect encode.mp4
  vqsd measure -r reference.mp4 -d encode.mp4 --server media-host
  vqsd query 'score < 80' --server media-host`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.New("name a command: vqsd --help lists them")
		},
	}
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "describe a command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("unknown command %q", strings.Join(args, " "))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	})
	root.AddCommand(a.measureCommand(), a.inspectCommand(), a.modelsCommand(), a.devicesCommand(), a.rulesCommand(), a.versionCommand())
	root.AddCommand(a.getCommand(), a.listCommand(), a.queryCommand(), a.cancelCommand(), a.deleteCommand(), a.rescoreCommand(), a.exportCommand(), a.importCommand())
	root.AddCommand(a.adminCommand(), a.backupCommand(), a.restoreCommand())
	root.AddCommand(a.serveCommand(), a.watchCommand(), a.workerCommand(), a.benchCommand(), a.doctorCommand())
	root.AddCommand(a.vmafCommand())
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.InitDefaultCompletionCmd() // it keeps the output it finds
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.RunE = func(*cobra.Command, []string) error { return usagef("name a shell: bash, zsh, fish or powershell") }
	}
	a.watch(root)
	return root
}

// watch notes when a subcommand of c begins, which is after its flags and arguments have been accepted.
func (a *app) watch(c *cobra.Command) {
	for _, sub := range c.Commands() {
		a.watch(sub)
		if inner := sub.RunE; inner != nil {
			sub.RunE = func(cmd *cobra.Command, args []string) error {
				a.running = true
				return inner(cmd, args)
			}
		}
	}
}

// usageError is a command that was not understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef makes a usageError. Its format may have %w.
func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// report tells standard error what went wrong and chooses the exit status.
func (a *app) report(ctx context.Context, command *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.stderr, interrupted)
		return exitFailed
	}
	for line := range strings.Lines(err.Error()) {
		if line = printable(strings.TrimSpace(line)); line != "" {
			fmt.Fprintln(a.stderr, "vqsd: "+line)
		}
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		fmt.Fprintf(a.stderr, "see %q\n", command.CommandPath()+" --help")
		return exitUsage
	}
	if own := (*statusError)(nil); errors.As(err, &own) {
		return own.status
	}
	if limit := (*decode.LimitError)(nil); errors.As(err, &limit) {
		fmt.Fprintf(a.stderr, "the limit can be raised with --limit %s=N\n", limit.Name)
	}
	return exitFailed
}

// printable is text fit for a terminal: file names, and what files say of themselves, may hold anything.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// output is standard output. It keeps the first error of writing: what printed cannot know whether it arrived.
type output struct {
	w   *bufio.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}

func (o *output) flush() error {
	if o.err == nil {
		o.err = o.w.Flush()
	}
	return o.err
}
