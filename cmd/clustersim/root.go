package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/typeset"
	"github.com/clustersim/clustersim/sim/work"
)

// The exit codes, a stable surface.
const (
	exitDone        = 0
	exitFailure     = 1
	exitUsage       = 2
	exitSLOMissed   = 3
	exitInterrupted = 130
)

// exit is an error that knows the process's exit code. Its text may be empty when
// everything has been said. Errors of any other kind come from what the user gave:
// flags, files, traces.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// failed marks an error as the system's, not the user's input's.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return exit{exitFailure, err}
}

// run is the whole process: arguments and streams in, exit code out. The first signal
// ends a command that has nothing to keep at once, whatever it is reading; one that has
// finishes with what there is. A second one ends the process in any case.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	keeping := &keeper{}
	ended := make(chan int, 1)
	go func() { ended <- execute(context.WithValue(ctx, keeperKey{}, keeping), args, stdin, stdout, stderr) }()
	select {
	case code := <-ended:
		return code
	case <-ctx.Done():
	}
	if len(ended) == 0 && keeping.leave() {
		fmt.Fprintln(stderr, "clustersim: interrupted before there was a result")
		return exitInterrupted
	}
	return <-ended
}

// keeper knows whether a command has come to where it has something to keep when it is
// interrupted: from then on it ends by itself.
type keeper struct{ state atomic.Int32 }

type keeperKey struct{}

const (
	keepsSome = 1 + iota
	left
)

// leave reports whether there was nothing to keep; then the command is left alone.
func (k *keeper) leave() bool { return k.state.CompareAndSwap(0, left) }

// keep says that from here on the command has something to keep, and heeds its context.
func keep(ctx context.Context) {
	k, is := ctx.Value(keeperKey{}).(*keeper)
	if is && !k.state.CompareAndSwap(0, keepsSome) && k.state.Load() == left {
		select {} // the process is ending
	}
}

// execute runs a command to its end.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "clustersim: broken invariant: %v\n%s", r, debug.Stack())
			code = exitFailure
		}
	}()
	stderr = &printable{to: stderr}
	out := &sink{to: &printable{to: stdout}}
	root := newRootCommand()
	root.SetArgs(args)
	if stdin != nil {
		root.SetIn(&interruptibleReader{ctx: ctx, from: stdin})
	}
	root.SetOut(out)
	root.SetErr(stderr)
	addCompletion(root)
	fitHelp(root, out.Columns())
	err := root.ExecuteContext(ctx)
	if out.err != nil {
		err = failed(fmt.Errorf("standard output: %w", out.err))
	}
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = exit{exitInterrupted, errors.New("interrupted before there was a result")}
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(stderr, "clustersim: %s\n", strings.TrimSuffix(text, "\n"))
	}
	return codeOf(err, stderr)
}

// codeOf is the exit code of a command that failed. A broken invariant on a worker ends
// as one on the main goroutine does: with its stack, and never as the user's fault.
func codeOf(err error, stderr io.Writer) int {
	var broken *work.Panic
	if errors.As(err, &broken) {
		fmt.Fprintf(stderr, "%s", broken.Stack)
		return exitFailure
	}
	var e exit
	if errors.As(err, &e) {
		return e.code
	}
	return exitUsage
}

func newRootCommand() *cobra.Command {
	root := newRunCommand()
	root.Use = "clustersim [scenario.yaml]"
	root.Short = "Simulate LLM inference on a cluster of accelerators"
	root.Long = `clustersim replays a request workload through a model's attention design on a
topology of chips and reports latency, throughput and what bounded them. Without
a command it runs one scenario (as "clustersim run").`
	root.Version = result.Program()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetVersionTemplate("clustersim {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(commands()...)
	root.SetHelpCommand(newHelpCommand())
	return root
}

// commands are all there are, beside the root.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newRunCommand(),
		newPlanCommand(),
		newSweepCommand(),
		newExplainCommand(),
		newModelCommand(),
		newTopoCommand(),
		newChipCommand(),
		newEngineCommand(),
		newRouterCommand(),
		newRecipeCommand(),
		newTraceCommand(),
		newReportCommand(),
		newDiffCommand(),
		newValidateCommand(),
		newCalibrateCommand(),
		newVersionCommand(),
	}
}

// fitHelp breaks what help says of commands and flags at a width.
func fitHelp(root *cobra.Command, columns int) {
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages ", fmt.Sprintf("FlagUsagesWrapped %d ", columns)))
	if columns >= typeset.Default {
		return // it is written for that
	}
	var fit func(c *cobra.Command)
	fit = func(c *cobra.Command) {
		c.Long = reflowed(c.Long, columns)
		for _, sub := range c.Commands() {
			fit(sub)
		}
	}
	fit(root)
}

// reflowed breaks paragraphs anew; lines that are indented stay.
func reflowed(text string, columns int) string {
	var out, paragraph []string
	end := func() {
		if len(paragraph) > 0 {
			out = append(out, typeset.Wrap(strings.Join(paragraph, " "), columns)...)
		}
		paragraph = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || line[0] == ' ' {
			end()
			out = append(out, line)
			continue
		}
		paragraph = append(paragraph, line)
	}
	end()
	return strings.Join(out, "\n")
}

// addCompletion gives cobra's commands that write scripts of completion their examples. It
// comes when the streams are known, which these commands keep.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		for _, shell := range c.Commands() {
			shell.Example = "  clustersim completion " + shell.Name()
		}
		c.Example = "  source <(clustersim completion bash)"
	}
}

// newVersionCommand prints what --version prints.
func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of the program", Args: wants(),
		Example: "  clustersim version",
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "clustersim %s\n", result.Program())
			return failed(err)
		},
	}
}

// newHelpCommand is cobra's, but for topics that there are not: they are errors.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Print the help of a command",
		Example: "  clustersim help run\n  clustersim help trace convert",
		ValidArgsFunction: func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			about, _, err := c.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, sub := range about.Commands() {
				names = append(names, sub.Name())
			}
			fitting, _ := offered(names, typed)
			return fitting, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(about, rest[0])
			}
			return about.Help()
		},
	}
}
