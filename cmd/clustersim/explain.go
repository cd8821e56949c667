package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/typeset"
)

const explainExamples = `  # the step that the deployment of a run is in, of the pool that limits it
  clustersim explain --model v4 --topo supernode8912

  # its decode pool; with twice the batch
  clustersim explain --model v4 --topo supernode8912 --pool decode
  clustersim explain --model v4 --topo supernode8912 --pool decode --batch 128

  # of a scenario file
  clustersim explain scenario.yaml --phase decode

  # a layout by itself: the last 8,192 tokens of a prompt of 64K, on 32 ranks
  clustersim explain --model v3 --topo hgx-h800:32 --phase prefill --batch 1 --context 65536 --chunk 8192 --dp 32`

// explainFlags are those of explain beside the scenario's; zero is left to the
// estimate.
type explainFlags struct {
	scenario              *scenarioInput
	pool, phase, output   string
	batch, context, chunk int64
	redundant             int
}

func newExplainCommand() *cobra.Command {
	f := &explainFlags{}
	c := &cobra.Command{
		Use:   "explain [scenario.yaml]",
		Short: "Print one step operator by operator: shape, precision, FLOPs, bytes, time, cause",
		Long: `Prints the step that instances of a deployment run in steady state. The scenario is
resolved as run does it: the same layout, engine and formats. The pool is the one that
limits capacity unless --pool or --phase says otherwise. Batch and context are those
that the planner's estimate has at the scenario's rate (80 % of the estimated capacity
where it has none), unless --batch, --context or --chunk say otherwise.

M, N, K, FLOPs and bytes are of one layer on one rank; TIME is the share of the step
of all layers of the kind, so the rows add up to the step. Bytes are compulsory ones:
weights, cache, messages. Communication shows what overlap leaves exposed.

In the decode phase --batch counts the sequences of a rank, all --context tokens
long. In the prefill phase it counts prompts of --context tokens, of each of which
this step takes the last --chunk tokens (by default what the engine lets a rank
take in a step). A decode step with --chunk also takes that many tokens of one prompt.

With --tp, --dp, --ep, --pp or --cp one instance of that layout, of the pool or phase
that is named, is priced by itself, whatever else the topology would hold: where run
builds a deployment of such instances, explain looks at one.`,
		Example: explainExamples,
		Args:    wantsScenario,
		RunE:    f.run,
	}
	f.scenario = addScenarioFlags(c)
	f.scenario.alone = true
	fl := c.Flags()
	fl.StringVar(&f.pool, "pool", "", "pool whose step is printed: prefill, decode or serve (default: the one that limits capacity)")
	fl.StringVar(&f.phase, "phase", "", "prefill or decode, of a pool that does both (default: the one that takes more time)")
	fl.Int64Var(&f.batch, "batch", 0, "sequences of a rank that decode, or prompts of a rank")
	fl.Int64Var(&f.context, "context", 0, "tokens of each sequence or prompt")
	fl.Int64Var(&f.chunk, "chunk", 0, "tokens of each prompt in this step")
	fl.IntVar(&f.redundant, "redundant", 0, "redundant expert copies")
	addOutputFlag(c, &f.output, "text or json", "text", "json")
	offerFor(c, "pool", list("prefill", "decode", "serve"))
	offerFor(c, "phase", list(string(cost.Decode), string(cost.Prefill)))
	return c
}

// explained is what the command prints.
type explained struct {
	cost.Explanation
	step   *plan.Step
	config cost.Config
	memory cost.Memory
	held   *result.KVPool // by an instance
	given  bool           // batch, context or chunk: every rank has the same work
	said   []string
}

func (f *explainFlags) run(c *cobra.Command, args []string) error {
	if err := textOrJSON(f.output); err != nil {
		return err
	}
	s, err := f.scenario.scenario(c, args)
	if err := errors.Join(err, f.check(c)); err != nil {
		return err
	}
	step, err := plan.Typical(c.Context(), s, f.scenario.options(c), f.asked(c, s))
	if err != nil {
		return err
	}
	x := explained{step: step, config: step.Stepper.Config(), memory: step.Stepper.Memory(), held: sim.Holding(step.Stepper), said: step.Notes, given: f.batch+f.context+f.chunk > 0}
	x.note()
	x.Explanation = step.Stepper.Explain(step.Loads)
	for _, text := range x.said {
		fmt.Fprintf(c.ErrOrStderr(), "note: %s\n", text)
	}
	return writeShown(c.OutOrStdout(), f.output, x.shown(), x.print)
}

// shown is the step as JSON has it: what it is of, then what it is made of.
func (x *explained) shown() any {
	s := x.step
	return struct {
		Model                string      `json:"model"`
		Topology             string      `json:"topology"`
		Pool                 string      `json:"pool"`
		Phase                string      `json:"phase"`
		Chip                 string      `json:"chip"`
		Chips                int         `json:"chips"` // of the instance
		Layout               string      `json:"layout"`
		Engine               string      `json:"engine"`
		Overlap              string      `json:"overlap"`
		Sequences            int64       `json:"sequences"` // of the mean rank
		ContextTokens        int64       `json:"context_tokens"`
		ChunkTokens          int64       `json:"chunk_tokens"`
		InstanceRequestsPerS float64     `json:"instance_requests_per_s"` // what the batch is estimated for
		Memory               rankMemory  `json:"memory"`
		KV                   plan.Caches `json:"kv"` // of the instance
		cost.Explanation
	}{
		x.config.Model.Name, x.config.Topology.Name, s.Pool, string(s.Phase), x.config.Chip.Name, s.Stepper.Chips(), x.config.Layout.String(),
		x.config.Engine.Name, string(x.config.Layout.Overlap), s.Sequences, s.Context, s.ChunkTokens, s.Rate,
		x.rankMemory(), plan.Caches{Pools: map[string]*result.KVPool{s.Pool: x.held}}, x.Explanation,
	}
}

// degrees are the flags that describe a layout.
var degrees = []string{"tp", "dp", "ep", "pp", "cp", "redundant"}

// asked is the question that the flags put. Degrees lie over those that the scenario
// has for the phase's pool.
func (f *explainFlags) asked(c *cobra.Command, s *scenario.Scenario) plan.Asked {
	a := plan.Asked{Pool: f.pool, Phase: cost.Role(f.phase), Sequences: f.batch, Context: f.context, Chunk: f.chunk}
	if !slices.ContainsFunc(degrees, c.Flags().Changed) {
		return a
	}
	d := &s.Deployment
	pool := scenario.Pool{}
	name := cmp.Or(f.pool, f.phase, "decode")
	for _, p := range []struct {
		name string
		pool *scenario.Pool
	}{{"prefill", d.Prefill}, {"decode", d.Decode}, {"serve", d.Serve}} {
		if p.pool != nil && (p.name == name || p.name == "serve") {
			pool = *p.pool
		}
	}
	pool.Instances = 1
	for name, into := range map[string]*int{"tp": &pool.TP, "dp": &pool.DP, "ep": &pool.EP, "pp": &pool.PP, "cp": &pool.CP} {
		n, _ := f.scenario.degrees[name].degree(name) // checked before
		*into = cmp.Or(n, *into)
	}
	pool.Experts.Redundant = cmp.Or(f.redundant, pool.Experts.Redundant)
	a.Alone = &pool
	return a
}

// check names every flag that is out of range.
func (f *explainFlags) check(c *cobra.Command) error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if phases := []string{string(cost.Prefill), string(cost.Decode)}; f.phase != "" && !slices.Contains(phases, f.phase) {
		fault("--phase: %v", spec.UnknownName("phase", f.phase, phases))
	}
	if f.context > 0 && f.chunk > f.context {
		fault("--chunk: must be at most the %d tokens of --context, got %d", f.context, f.chunk)
	}
	for _, d := range degreeFlags {
		if _, err := f.scenario.degrees[d.name].degree(d.name); err != nil {
			fault("%v", err)
		}
	}
	for _, n := range []struct {
		name      string
		v, lo, hi int64
	}{
		{"batch", f.batch, 1, 1 << 20}, {"context", f.context, 1, 1 << 30}, {"chunk", f.chunk, 1, 1 << 30},
		{"redundant", int64(f.redundant), 0, 1 << 20},
	} {
		if c.Flags().Changed(n.name) && (n.v < n.lo || n.v > n.hi) {
			fault("--%s: must be from %d to %d, got %d", n.name, n.lo, n.hi, n.v)
		}
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "\n"))
	}
	return nil
}

// note says where the work that was asked for is more than an engine would take.
func (x *explained) note() {
	for i := range x.step.Loads[:1] {
		l := &x.step.Loads[i]
		if held := x.memory.KVBytes(l.Context, l.Sequences); held > x.memory.Free {
			x.said = append(x.said, fmt.Sprintf("the cache of this batch, %.2f GB a rank, is more than the %.2f GB that are free", float64(held)/1e9, float64(x.memory.Free)/1e9))
		}
		if most := int64(x.config.MaxTokens); l.ChunkTokens > most {
			x.said = append(x.said, fmt.Sprintf("%s takes at most %d prompt tokens a rank in a step, %d are asked for", x.config.Engine.Name, most, l.ChunkTokens))
		}
		if most := int64(x.config.MaxSequences); l.Sequences > most {
			x.said = append(x.said, fmt.Sprintf("%s decodes at most %d sequences a rank, %d are asked for", x.config.Engine.Name, most, l.Sequences))
		}
	}
}

func (x *explained) print(w io.Writer) {
	c, s := x.config, x.step
	fmt.Fprintf(w, "%s on %s, a %s step of pool %s: %s, %d × %s, engine %s, overlap %s\n",
		c.Model.Name, c.Topology.Name, s.Phase, s.Pool, c.Layout, s.Stepper.Chips(), c.Chip.Name, c.Engine.Name, c.Layout.Overlap)
	who := "mean rank"
	if x.given {
		who = "each rank"
	}
	if c.Layout.CP > 1 {
		who += fmt.Sprintf(" (%d that share their prompts)", c.Layout.CP)
	}
	if s.Sequences > 0 {
		fmt.Fprintf(w, "%s: %d sequences of %d tokens, %d rows a sequence\n", who, s.Sequences, s.Context, 1+c.Drafts)
	}
	switch l := &s.Loads[0]; {
	case s.ChunkTokens == 0:
	case x.given:
		fmt.Fprintf(w, "%s: %d prompt tokens of %d prompts, behind %d\n", who, l.ChunkTokens, l.Chunks, l.Prefix)
	default:
		fmt.Fprintf(w, "%s: %d prompt tokens, fullest rank %d\n", who, s.ChunkTokens, l.ChunkTokens)
	}
	if !x.given && s.Rate > 0 {
		fmt.Fprintf(w, "estimated for %s requests a second of the instance\n", plan.Figure(s.Rate))
	}
	x.printMemory(w)
	x.printOperators(w)
	x.printCauses(w)
}

// printMemory is a rank's memory by item, and its cache in users' units.
func (x *explained) printMemory(w io.Writer) {
	gb := func(b int64) string { return fmt.Sprintf("%.2f", float64(b)/1e9) }
	m := x.rankMemory()
	var items []string
	for _, i := range m.Items {
		items = append(items, i.Name+" "+gb(i.Bytes))
	}
	fmt.Fprintf(w, "memory of a rank: %s GB = %s + cache %s, of which this batch takes %s\n", gb(m.CapacityBytes), strings.Join(items, " + "), gb(m.CacheBytes), gb(m.BatchBytes))
	fmt.Fprintf(w, "cache of an instance: %s\n\n", x.held.Text())
}

// rankMemory is what a rank's memory is used for: CapacityBytes is the sum of Items and
// CacheBytes, of which this step's sequences take BatchBytes.
type rankMemory struct {
	CapacityBytes int64             `json:"capacity_bytes"`
	Items         []cost.Item       `json:"items"`
	Weights       []cost.WeightPart `json:"weights"`
	CacheBytes    int64             `json:"cache_bytes"`
	BatchBytes    int64             `json:"batch_bytes"`
}

func (x *explained) rankMemory() rankMemory {
	m, l := &x.memory, &x.step.Loads[0]
	return rankMemory{m.Capacity, m.Items(), m.Weights, m.Free, m.KVBytes(l.Context, l.Sequences)}
}

func (x *explained) printOperators(w io.Writer) {
	t := typeset.NewRightTable(w)
	t.Keys = 2
	fmt.Fprintln(t, "LAYERS\tOPERATOR\tPRECISION\tCOUNT\tM\tN\tK\tGFLOP\tMB\tTIME us\tSHARE\tCAUSE\t")
	number := func(v int64) string {
		if v == 0 {
			return ""
		}
		return fmt.Sprint(v)
	}
	apportioned := false
	for _, o := range x.Operators {
		mark := ""
		if o.Apportioned {
			mark, apportioned = "~", true
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s%.1f\t%.1f%%\t%s\t\n", o.LayerKind, o.Name, o.Precision, o.Count, number(o.M), number(o.N), number(o.K),
			figure(o.Flops/1e9), figure(o.Bytes/1e6), mark, float64(o.Ns)/1e3, 100*float64(o.Ns)/math.Max(1, float64(x.StepNs)), o.Cause)
	}
	t.Flush()
	if apportioned {
		fmt.Fprintln(w, "~ part of a block that was timed as a whole: its time is apportioned by its work")
	}
}

// figure is three significant digits, nothing for nothing.
func figure(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.3g", v)
}

func (x *explained) printCauses(w io.Writer) {
	fmt.Fprintf(w, "\nstep %.3f ms\n", float64(x.StepNs)/1e6)
	for _, name := range cause.Names {
		ns := x.CausesNs[name]
		if ns == 0 {
			continue
		}
		share := float64(ns) / float64(x.StepNs)
		fmt.Fprintf(w, "%15s  %9.1f us  %5.1f%%  %s\n", name, float64(ns)/1e3, 100*share, strings.Repeat("█", int(math.Round(40*share))))
	}
	if x.TauNs > 0 {
		fmt.Fprintf(w, "%15s  %9.1f us, within comm_latency: what the topology's delays cause\n", "tau", float64(x.TauNs)/1e3)
	}
	if x.HiddenNs > 0 {
		fmt.Fprintf(w, "%15s  %9.1f us, beside the step: what overlap took off it\n", "hidden", float64(x.HiddenNs)/1e3)
	}
}
