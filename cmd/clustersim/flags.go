package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/sim/spec"
)

// scenarioFlag is a flag that sets one path of the scenario.
type scenarioFlag struct {
	name, path, kind, usage string
}

// scenarioFlags are set in this order, after the scenario file and before --set.
var scenarioFlags = []scenarioFlag{
	{"model", "model", "MODEL", "name, alias or path of a model, a Hugging Face config.json, or the repository of one that ships"},
	{"topo", "topology", "TOPOLOGY", "name or path of a topology; a size follows a colon, a part of one or many: hgx-h100:4, hgx-h100:64, supernode8912:512"},
	{"trace", "trace.file", "FILE", `recorded requests to replay: a file, "-" for standard input, "sample" for the shipped one`},
	{"trace-format", "trace.format", "FORMAT", "format of the trace, when it is not to be sniffed"},
	{"trace-limit", "trace.limit", "N", "replay the first N requests only"},
	{"trace-from", "trace.from", "TIME", "leave out what the trace recorded before this time, such as 10m, which becomes time zero"},
	{"trace-to", "trace.to", "TIME", "leave out what the trace recorded from this time on"},
	{"rate-scale", "trace.rate_scale", "X", "offer the trace X times as fast"},
	{"workload", "workload.profile", "PROFILE", "generated workload: name or path of a profile"},
	{"rate", "workload.rate", "R", "offered requests a second; 80 % of capacity when not given"},
	{"requests", "workload.requests", "N", "requests to measure"},
	{"duration", "workload.duration", "TIME", "simulated time during which requests arrive, such as 5m"},
	{"input-tokens", "workload.input_tokens", "DIST", "prompt lengths: 4096, uniform(819,1024), lognormal(mean=4000,p99=20000), exp(500)"},
	{"output-tokens", "workload.output_tokens", "DIST", "answer lengths, in the same forms"},
	{"arrivals", "workload.arrivals", "PROCESS", "poisson, gamma(CV), constant, burst (all at once) or burst(N)"},
	{"concurrency", "workload.concurrency", "N", "closed loop: N clients, each sends its next request when its last one ends; replaces a rate in the file"},
	{"think-time", "workload.think_time", "TIME", "closed loop: pause of a client between requests"},
	{"mode", "deployment.mode", "MODE", "auto, aggregated or disaggregated"},
	{"engine", "deployment.engine", "ENGINE", "serving engine profile"},
	{"overlap", "deployment.overlap", "OVERLAP", "none, two-batch or wave; the engine's own when not given"},
	{"routing", "deployment.routing", "ROUTING", "how tokens fall on experts: power-law(1.01), uniform or 'histogram FILE' of measured loads (default power-law(1.01), DeepSeek-V3's own traffic)"},
	{"drafts", "deployment.mtp.drafts", "N", "MTP drafts a step"},
	{"router", "router.policy", "ROUTER", "policy by which requests find their ranks: least-loaded, power-of-two, round-robin, round-robin-instances, prefix-aware or session-sticky (router list)"},
	{"kv-compress", "kv_compress", "KNOBS", "other attention parameters: any of csa, hca, topk, window, kv and indexer, such as csa=8,hca=256,kv=fp8, or uncompressed"},
	{"tau", "tau", "PARTS", "delay budget of links: optics=10ns,switch=150ns, or a preset: pluggable, lpo, npo, cpo, aspire100ns, tcp, rdma"},
	{"slo", "slo", "LIMITS", "latency promised to a request: any of ttft, tpot, itl and e2e, judged as written, and nothing else; ttft=2s/8K is 2s up to 8K (8192) prompt tokens and in proportion beyond (default ttft=2s/8K,tpot=50ms)"},
	{"seed", "seed", "N", "seed of every random draw"},
}

// given collects the values of a flag as text; the scenario's types read them.
type given struct {
	kind   string
	values []string
	said   []string // values as they were given; those of an axis are taken out of values
}

func (g *given) String() string { return strings.Join(g.values, " ") }
func (g *given) Set(v string) error {
	g.values, g.said = append(g.values, v), append(g.said, v)
	return nil
}
func (g *given) Type() string { return g.kind }

// scenarioInput is what a command line says about the scenario.
type scenarioInput struct {
	flags                   map[string]*given
	degrees                 map[string]*given // tp, dp and so on
	alone                   bool              // the degrees are of an instance that is priced by itself
	sets                    *given
	recipe                  string
	noted                   []string       // what has been said of how the run differs from the recipe's
	file                    map[string]any // the scenario file as it is written
	modelDirs, topologyDirs []string
}

// addScenarioFlags declares the flags that all commands which take a scenario share.
func addScenarioFlags(c *cobra.Command) *scenarioInput {
	in := &scenarioInput{flags: map[string]*given{}, degrees: map[string]*given{}, sets: &given{kind: "PATH=VALUE"}}
	for _, f := range scenarioFlags {
		g := &given{kind: f.kind}
		in.flags[f.name] = g
		c.Flags().Var(g, f.name, f.usage)
	}
	in.addDegreeFlags(c)
	c.Flags().Var(in.sets, "set", "set any path of the scenario or of what it names: deployment.decode.tp=4, chip.memory.bandwidth=x1.2, topology.tiers.*.bandwidth=400Gb/s, engine.poll_steps=1; null leaves it open again (repeatable)")
	addRecipeFlag(c, &in.recipe)
	addModelDirs(c, &in.modelDirs)
	addTopologyDirs(c, &in.topologyDirs)
	c.Flags().SortFlags = false
	in.complete(c)
	return in
}

// options are the run's options that the flags and streams give.
func (in *scenarioInput) options(c *cobra.Command) sim.Options {
	return sim.Options{Source: plant.Source{ModelDirs: in.modelDirs, TopologyDirs: in.topologyDirs}, Stdin: c.InOrStdin()}
}

// scenario reads the file, if one is given, and puts the flags on top of it and the
// recipe beneath.
func (in *scenarioInput) scenario(c *cobra.Command, args []string) (*scenario.Scenario, error) {
	s, err := in.stated(c, args)
	if err == nil {
		_, err = in.follow(c, s, nil)
	}
	return s, err
}

// stated is the scenario of file and flags. All faults of the flags are reported
// together.
func (in *scenarioInput) stated(c *cobra.Command, args []string) (*scenario.Scenario, error) {
	s := &scenario.Scenario{Version: scenario.Version, Seed: 1}
	if len(args) > 0 {
		var err error
		if s, err = in.read(c, args[0]); err != nil {
			return nil, err
		}
	}
	var faults []string
	note := func(err error) {
		if err != nil {
			faults = append(faults, err.Error())
		}
	}
	note(in.chooseWorkload(s))
	for _, f := range scenarioFlags {
		note(in.flags[f.name].apply(s, f))
	}
	if !in.alone {
		faults = append(faults, in.setDegrees(s)...)
	}
	seen := map[string]bool{}
	for _, set := range in.sets.values {
		path, _, _ := strings.Cut(set, "=")
		if seen[path] {
			note(fmt.Errorf("--set %s is given more than once", path))
			continue
		}
		seen[path] = true
		note(applySet(s, set))
	}
	if s.Model == "" {
		note(fmt.Errorf("--model must be given, such as v4 (model list has all)"))
	}
	if s.Topology == "" {
		note(fmt.Errorf("--topo must be given, such as hgx-h100:8 or supernode8912 (topo list has all)"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return s, nil
}

// read reads a scenario file; a name that is no file may be a mistyped command.
func (in *scenarioInput) read(c *cobra.Command, name string) (*scenario.Scenario, error) {
	var data []byte
	var err error
	if name == "-" {
		name = "standard input"
		if data, err = spec.Description.ReadAll(name, c.InOrStdin()); err != nil {
			return nil, failed(err)
		}
	} else if data, err = spec.Description.Read(os.Open(name)); err != nil {
		if spec.IsPath(name) {
			return nil, fmt.Errorf("scenario: %w", err)
		}
		return nil, fmt.Errorf("%q is neither a scenario file nor a command: %w", name, unknownCommand(c.Root(), name))
	}
	s, err := plant.Read(name, data)
	if err != nil {
		return nil, err
	}
	return s, failed(yaml.Load(data, &in.file))
}

// chooseWorkload lets flags of one kind of workload replace a scenario file's of
// the other kind, and refuses a mixture.
func (in *scenarioInput) chooseWorkload(s *scenario.Scenario) error {
	var trace, workload []string
	for _, f := range scenarioFlags {
		switch head, _, _ := strings.Cut(f.path, "."); {
		case len(in.flags[f.name].values) == 0:
		case head == "trace":
			trace = append(trace, "--"+f.name)
		case head == "workload":
			workload = append(workload, "--"+f.name)
		}
	}
	switch {
	case len(trace) > 0 && len(workload) > 0:
		return fmt.Errorf("%s and %s exclude each other: a recorded trace keeps its own lengths and timestamps (--rate-scale changes its rate)",
			strings.Join(trace, ", "), strings.Join(workload, ", "))
	case len(trace) > 0:
		s.Workload = nil
	case len(workload) > 0:
		s.Trace = nil
		in.chooseLoop(s.Workload)
	}
	return nil
}

// chooseLoop lets flags of a closed loop replace a file's rate, and flags of an open one
// its clients. What flags mix is left to the scenario's own checks.
func (in *scenarioInput) chooseLoop(w *scenario.Workload) {
	if w == nil {
		return
	}
	said := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return len(in.flags[n].values) > 0 })
	}
	switch {
	case said("concurrency", "think-time") && (w.Concurrency == 0 || said("concurrency")):
		w.Rate, w.Arrivals, w.Duration, w.Start = 0, "", 0, ""
	case said("rate", "arrivals", "duration") && w.Concurrency > 0:
		w.Concurrency, w.ThinkTime, w.Start = 0, 0, ""
	}
	if said("arrivals") && (&scenario.Workload{Arrivals: in.value("arrivals")}).AllAtOnce() {
		w.Rate, w.Duration, w.Start = 0, 0, ""
	}
	if said("rate") && w.AllAtOnce() {
		w.Arrivals, w.Start = "", ""
	}
}

// apply sets the flag's path; a flag given twice is a slip, since only one of the
// values could count.
func (g *given) apply(s *scenario.Scenario, f scenarioFlag) error {
	if len(g.values) == 0 {
		return nil
	}
	if len(g.values) > 1 {
		return fmt.Errorf("--%s is given %d times: %s", f.name, len(g.values), strings.Join(g.values, ", "))
	}
	if f.name == "slo" {
		return applySLO(s, g.values[0])
	}
	if err := s.Set(f.path, g.values[0]); err != nil {
		return fmt.Errorf("--%s %s: %w", f.name, g.values[0], err)
	}
	return nil
}

// applySLO takes the limits that are given for all there are, whatever a file says.
func applySLO(s *scenario.Scenario, text string) error {
	s.SLO = slo.Limits{}
	given := map[string]bool{}
	for _, part := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		switch {
		case !ok:
			return fmt.Errorf("--slo %s: want LIMIT=TIME with commas between, of %s: ttft=2s/8K,tpot=50ms", text, strings.Join(slo.Names(), ", "))
		case !slices.Contains(slo.Names(), name):
			return fmt.Errorf("--slo %s: %w", text, spec.UnknownName("limit", name, slo.Names()))
		case given[name]:
			return fmt.Errorf("--slo %s: %s is given more than once", text, name)
		}
		given[name] = true
		if err := s.Set("slo."+name, value); err != nil {
			return fmt.Errorf("--slo %s: %w", text, err)
		}
	}
	return nil
}

func applySet(s *scenario.Scenario, set string) error {
	path, value, ok := strings.Cut(set, "=")
	if !ok {
		return fmt.Errorf("--set %s: want PATH=VALUE, for example deployment.decode.tp=4", set)
	}
	if err := s.Set(path, value); err != nil {
		return fmt.Errorf("--set %s: %w", set, err)
	}
	return nil
}
