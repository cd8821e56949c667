package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/clustersim/clustersim/sim/spec"
)

// wants demands the arguments that a usage line names, such as TRACE and OUT.
func wants(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		want := strings.Join(names, " ")
		if want == "" {
			want = "no arguments"
		}
		return fmt.Errorf("want %s, got %s (%s --help)", want, said(args), c.CommandPath())
	}
}

// wantsScenario takes a scenario file or nothing.
func wantsScenario(c *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return fmt.Errorf("want one scenario file at most, got %s (%s --help)", said(args), c.CommandPath())
}

// wantsFiles demands at least one file, of any of the kinds.
func wantsFiles(kinds ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return fmt.Errorf("want at least one %s, got nothing (%s --help)", strings.Join(kinds, " or "), c.CommandPath())
	}
}

func said(args []string) string {
	if len(args) == 0 {
		return "nothing"
	}
	return strings.Join(args, " ")
}

// group is a command that only holds others.
func group(c *cobra.Command, members ...*cobra.Command) *cobra.Command {
	c.AddCommand(members...)
	var examples []string
	for _, m := range members {
		if m.Name() == "list" && m.Example == "" {
			line := "  clustersim " + c.Name() + " list"
			m.Example = line + "\n" + line + " --output json"
		}
		first, _, _ := strings.Cut(m.Example, "\n")
		examples = append(examples, first)
	}
	c.Example = strings.Join(examples, "\n")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		return c.Help()
	}
	return c
}

func unknownCommand(c *cobra.Command, name string) error {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	return spec.UnknownName("command", name, names)
}

// flagError puts cobra's complaint about a flag in the words of the other errors.
func flagError(c *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		return fmt.Errorf("--%s: %s", bad.GetFlag().Name, wrongValue(bad))
	}
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		if meant := meantFlag(c, name); meant != "" {
			return fmt.Errorf("%w; did you mean %s?", err, meant)
		}
	}
	return fmt.Errorf("%w (%s --help)", err, c.CommandPath())
}

// otherNames are what serving engines, their benchmarks and earlier versions call a flag
// or a path.
var otherNames = map[string]string{
	"topology": "--topo", "system": "--topo", "cluster": "--topo", "hardware": "--topo", "gpu": "--topo",
	"tensor-parallel-size": "--tp", "tensor-parallel": "--tp", "tp-size": "--tp",
	"data-parallel-size": "--dp", "data-parallel": "--dp", "dp-size": "--dp",
	"expert-parallel-size": "--ep", "ep-size": "--ep",
	"pipeline-parallel-size": "--pp", "pp-size": "--pp",
	"prefill-context-parallel-size": "--cp", "attn-cp-size": "--cp", "cp-size": "--cp",
	"request-rate": "--rate", "qps": "--rate", "num-prompts": "--requests",
	"max-concurrency": "--concurrency", "format": "--output",
	"input-len": "--input-tokens", "output-len": "--output-tokens", "random-input-len": "--input-tokens", "random-output-len": "--output-tokens",
	"max-num-seqs": "--set deployment.serve.max_sequences=N", "max-num-batched-tokens": "--set deployment.serve.max_tokens=N",
	"gpu-memory-utilization": "--set engine.memory_fraction=X", "instances": "--set deployment.serve.instances=N",
}

// meantFlag is the flag of the command that was probably meant by an unknown name.
func meantFlag(c *cobra.Command, name string) string {
	meant, known := otherNames[strings.ToLower(name)]
	flag, _, path := strings.Cut(strings.TrimPrefix(meant, "--"), " ")
	if known && c.Flags().Lookup(flag) != nil {
		return meant
	}
	if known && path {
		return ""
	}
	if near := spec.Nearest(name, flagNames(c)); near != "" {
		return "--" + near
	}
	return ""
}

func wrongValue(bad *pflag.InvalidValueError) string {
	switch bad.GetFlag().Value.Type() {
	case "int", "int64":
		return fmt.Sprintf("want a whole number, got %q", bad.GetValue())
	case "uint64":
		return fmt.Sprintf("want a whole number of at least 0, got %q", bad.GetValue())
	case "float64":
		return fmt.Sprintf("want a number, got %q", bad.GetValue())
	case "bool":
		return fmt.Sprintf("want true or false, got %q", bad.GetValue())
	}
	return bad.Unwrap().Error()
}

func flagNames(c *cobra.Command) []string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// addModelDirs declares --models, and addTopologyDirs --topologies.
func addModelDirs(c *cobra.Command, into *[]string) {
	c.Flags().StringArrayVar(into, "models", nil, "folder `DIR` of model files that go before the shipped ones (repeatable)")
}

func addTopologyDirs(c *cobra.Command, into *[]string) {
	c.Flags().StringArrayVar(into, "topologies", nil, "folder `DIR` of topology files, its chips/ of chips, that go before the shipped ones (repeatable)")
}
