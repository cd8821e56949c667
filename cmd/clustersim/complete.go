package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/topologies"
	"github.com/clustersim/clustersim/traces"
)

// offer completes a flag or an argument in the shell with what fits of the names, in
// letters of any case. No blank follows what is not the end of a value.
func offer(names func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return offered(names(), typed)
	}
}

func offered(names []string, typed string) (fitting []string, directive cobra.ShellCompDirective) {
	for _, n := range names {
		if len(n) < len(typed) || !strings.EqualFold(n[:len(typed)], typed) {
			continue
		}
		fitting = append(fitting, n)
		if strings.HasSuffix(n, "=") || strings.HasSuffix(n, "(") || strings.HasSuffix(n, " ") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
	}
	return fitting, directive
}

// offerFor completes a flag that has been declared.
func offerFor(c *cobra.Command, flag string, names func() []string) {
	offerBy(c, flag, offer(names))
}

func offerBy(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err)
	}
}

func list(names ...string) func() []string { return func() []string { return names } }

// offerParts completes the last part of a value whose parts commas separate.
func offerParts(names func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		fitting, directive := offered(names(), typed[len(before):])
		for i := range fitting {
			fitting[i] = before + fitting[i]
		}
		return fitting, directive
	}
}

// offerTopologies completes a topology's name, and behind a colon its sizes.
func offerTopologies(dirs *[]string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return offered(topologyRefs(*dirs, typed), typed)
	}
}

func topologyRefs(dirs []string, typed string) (refs []string) {
	name, _, sized := strings.Cut(typed, ":")
	if !sized {
		return topologies.Refs(dirs...)
	}
	sizes, err := topologies.NewSource(dirs, nil).Sizes(name)
	if err != nil {
		return nil
	}
	for _, n := range sizes {
		refs = append(refs, fmt.Sprintf("%s:%d", name, n))
	}
	return refs
}

var (
	routings     = list("power-law(1.01)", "uniform", "histogram ")
	arrivalKinds = list("poisson", "gamma(", "constant", "burst", "burst(")
	knobs        = list("uncompressed", "csa=", "hca=", "topk=", "window=", "kv=", "indexer=")
	tauPresets   = list("pluggable", "lpo", "npo", "cpo", "aspire100ns", "tcp", "rdma", "optics=", "switch=", "serdes=", "fec=", "endpoint=", "software=")
)

func traceFormats() []string {
	names := []string{"auto"}
	for _, f := range traces.Formats() {
		names = append(names, f.Name)
	}
	return names
}

// complete offers the shipped names as values in the shell.
func (in *scenarioInput) complete(c *cobra.Command) {
	offerFor(c, "model", func() []string { return models.Refs(in.modelDirs...) })
	offerBy(c, "topo", offerTopologies(&in.topologyDirs))
	offerFor(c, "workload", traces.Profiles)
	offerFor(c, "engine", engineRefs)
	offerFor(c, "router", policy.Names)
	offerFor(c, "trace-format", traceFormats)
	offerFor(c, "mode", scenario.Modes)
	offerFor(c, "overlap", cost.OverlapNames)
	offerFor(c, "routing", routings)
	offerFor(c, "arrivals", arrivalKinds)
	offerBy(c, "kv-compress", offerParts(knobs))
	offerBy(c, "tau", offerParts(tauPresets))
	offerBy(c, "slo", offerParts(list("ttft=2s/8K,tpot=50ms", "ttft=", "tpot=", "itl=", "e2e=")))
	offerBy(c, "set", in.completeSet)
}

// setValues are the values that a path of --set is completed with.
func (in *scenarioInput) setValues(path, typed string) []string {
	switch path {
	case "model":
		return models.Refs(in.modelDirs...)
	case "topology":
		return topologyRefs(in.topologyDirs, typed)
	case "trace.format":
		return traceFormats()
	case "workload.profile":
		return traces.Profiles()
	case "workload.arrivals":
		return arrivalKinds()
	case "workload.start":
		return []string{"stationary", "empty"}
	case "deployment.mode":
		return scenario.Modes()
	case "deployment.engine":
		return engineRefs()
	case "deployment.overlap":
		return cost.OverlapNames()
	case "deployment.routing":
		return routings()
	case "deployment.prefill.chip", "deployment.decode.chip", "deployment.serve.chip":
		return topologies.ChipRefs(in.topologyDirs...)
	case "router.policy":
		return policy.Names()
	}
	return nil
}
