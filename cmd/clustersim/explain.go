package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

const explainExamples = `  # one decode step of 64 sequences a rank at 32K tokens of context
  clustersim explain --model v4 --topo supernode8912 --phase decode --batch 64 --context 32768

  # the last 8,192 tokens of a prompt of 64K, on 32 ranks
  clustersim explain --model v3 --topo hgx-h800:32 --phase prefill --batch 1 --context 65536 --chunk 8192 --dp 32`

// explainFlags are those of explain; zero degrees are chosen.
type explainFlags struct {
	model, topology, phase, engine, overlap, routing, compress, tau, output string
	batch, context, chunk                                                   int64
	layout                                                                  cost.Layout
	drafts                                                                  int
	modelDirs, topologyDirs                                                 []string
}

func newExplainCommand() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain",
		Short: "Print one step operator by operator: shape, precision, FLOPs, bytes, time, cause",
		Long: `Prices one step of one instance and lists its operators. M, N, K, FLOPs and bytes
are of one layer on one rank; TIME is the share of the step of all layers of the
kind, so the rows add up to the step. Bytes are compulsory ones: weights, cache,
messages. Communication shows what overlap leaves exposed.

In the decode phase --batch counts the sequences of a rank, all --context tokens
long. In the prefill phase it counts prompts of --context tokens, of each of which
this step takes the last --chunk tokens (by default what the engine lets a rank
take in a step). A decode step with --chunk also takes that many tokens of one prompt.

Without a layout the smallest one is taken that holds the weights and this batch:
attention data-parallel over as many ranks as experts (1, 2, 4, …), with redundant
experts until the ranks divide them; for a model without experts the smallest TP.`,
		Example: explainExamples,
		Args:    wants(),
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	fl := c.Flags()
	fl.StringVar(&f.model, "model", "", "name, alias or path of a model, or a Hugging Face config.json")
	fl.StringVar(&f.topology, "topo", "", "name or path of a topology; a size follows a colon: hgx-h100:64")
	fl.StringVar(&f.phase, "phase", "decode", "prefill or decode")
	fl.Int64Var(&f.batch, "batch", 1, "sequences of a rank that decode, or prompts of a rank")
	fl.Int64Var(&f.context, "context", 4096, "tokens of each sequence or prompt")
	fl.Int64Var(&f.chunk, "chunk", 0, "tokens of each prompt in this step")
	fl.IntVar(&f.layout.TP, "tp", 0, "tensor-parallel ranks")
	fl.IntVar(&f.layout.DP, "dp", 0, "data-parallel attention ranks")
	fl.IntVar(&f.layout.EP, "ep", 0, "expert-parallel ranks (TP × DP when DP is above 1)")
	fl.IntVar(&f.layout.PP, "pp", 0, "pipeline stages")
	fl.IntVar(&f.layout.CP, "cp", 0, "context-parallel ranks")
	fl.IntVar(&f.layout.Redundant, "redundant", 0, "redundant expert copies")
	fl.StringVar(&f.overlap, "overlap", "", "none, two-batch or wave (default: the engine's)")
	fl.StringVar(&f.routing, "routing", "", "how tokens fall on experts: uniform, power-law(1.01) or 'histogram FILE' of measured loads")
	fl.StringVar(&f.engine, "engine", "", "serving engine profile: "+strings.Join(cost.EngineNames(), ", ")+", or a path")
	fl.StringVar(&f.compress, "kv-compress", "", "other attention parameters: csa=8,hca=256,topk=2048,window=256,kv=fp8,indexer=fp4 or uncompressed")
	fl.StringVar(&f.tau, "tau", "", "delay budget of links: optics=10ns,switch=150ns, or a preset")
	fl.IntVar(&f.drafts, "drafts", 0, "MTP drafts a step")
	addModelDirs(c, &f.modelDirs)
	addTopologyDirs(c, &f.topologyDirs)
	addOutputFlag(c, &f.output, "text or json", "text", "json")
	fl.SortFlags = false
	offerFor(c, "model", func() []string { return models.Names(f.modelDirs...) })
	offerFor(c, "topo", func() []string { return topologies.Names(f.topologyDirs...) })
	offerFor(c, "engine", cost.EngineNames)
	offerFor(c, "phase", list(string(cost.Decode), string(cost.Prefill)))
	return c
}

// explained is what the command prints.
type explained struct {
	cost.Explanation
	config cost.Config
	memory cost.Memory
	loads  []cost.Load
	chips  int
	said   []string
}

func (f *explainFlags) run(c *cobra.Command) error {
	if err := f.check(c); err != nil {
		return err
	}
	config, said, err := f.config()
	if err != nil {
		return err
	}
	s, err := f.stepper(config)
	if err != nil {
		return err
	}
	x := explained{config: s.Config(), memory: s.Memory(), loads: f.loads(s), chips: s.Chips(), said: said}
	if held := x.memory.KVBytes(x.loads[0].Context, x.loads[0].Sequences); held > x.memory.Free {
		x.said = append(x.said, fmt.Sprintf("the cache of this batch, %.2f GB a rank, is more than the %.2f GB that are free", float64(held)/1e9, float64(x.memory.Free)/1e9))
	}
	if most := int64(x.config.MaxTokens); x.loads[0].ChunkTokens > most {
		x.said = append(x.said, fmt.Sprintf("%s takes at most %d prompt tokens a rank in a step, %d are asked for", x.config.Engine.Name, most, x.loads[0].ChunkTokens))
	}
	x.Explanation = s.Explain(x.loads)
	for _, text := range x.said {
		fmt.Fprintf(c.ErrOrStderr(), "note: %s\n", text)
	}
	return writeShown(c.OutOrStdout(), f.output, x.Explanation, x.print)
}

// check names every flag that is out of range.
func (f *explainFlags) check(c *cobra.Command) error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if f.model == "" {
		fault("--model must be given (known: %s)", strings.Join(models.Names(), ", "))
	}
	if f.topology == "" {
		fault("--topo must be given (known: %s)", strings.Join(topologies.Names(f.topologyDirs...), ", "))
	}
	if f.phase != string(cost.Prefill) && f.phase != string(cost.Decode) {
		fault("--phase: %v", spec.UnknownName("phase", f.phase, []string{string(cost.Prefill), string(cost.Decode)}))
	}
	for _, n := range []struct {
		name      string
		v, lo, hi int64
	}{{"batch", f.batch, 1, 1 << 20}, {"context", f.context, 1, 1 << 30}, {"chunk", f.chunk, 0, f.context}} {
		if n.v < n.lo || n.v > n.hi {
			fault("--%s: must be from %d to %d, got %d", n.name, n.lo, n.hi, n.v)
		}
	}
	l := &f.layout
	for _, n := range []struct {
		name  string
		v, lo int
	}{{"tp", l.TP, 1}, {"dp", l.DP, 1}, {"ep", l.EP, 1}, {"pp", l.PP, 1}, {"cp", l.CP, 1}, {"redundant", l.Redundant, 0}, {"drafts", f.drafts, 0}} {
		if c.Flags().Changed(n.name) && n.v < n.lo {
			fault("--%s: must be at least %d, got %d", n.name, n.lo, n.v)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return nil
}

// config loads what the flags name.
func (f *explainFlags) config() (c cost.Config, said []string, err error) {
	m, err := models.Load(f.model, f.modelDirs...)
	if err != nil {
		return c, nil, err
	}
	var change models.Compression
	if err := change.UnmarshalText([]byte(f.compress)); err != nil {
		return c, nil, fmt.Errorf("--kv-compress: %w", err)
	}
	if m, err = m.Compress(change); err != nil {
		return c, nil, err
	}
	t, err := topologies.Load(f.topology, f.topologyDirs...)
	if err != nil {
		return c, nil, err
	}
	var tau topologies.TauOverrides
	if err := tau.UnmarshalText([]byte(f.tau)); err != nil {
		return c, nil, fmt.Errorf("--tau: %w", err)
	}
	if t, err = t.WithTau(tau); err != nil {
		return c, nil, fmt.Errorf("--tau: %w", err)
	}
	c = cost.Config{Topology: t, Chip: t.Chip, Role: cost.Role(f.phase), Layout: f.layout, Drafts: f.drafts}
	if f.phase == string(cost.Decode) && f.chunk > 0 {
		c.Role = cost.Mixed
	}
	if c.Model, said, err = cost.Substitute(m, t.Chip); err != nil {
		return c, nil, err
	}
	if c.Engine, err = cost.EngineFor(f.engine, t.Chip); err != nil {
		return c, nil, fmt.Errorf("--engine: %w", err)
	}
	c.MaxSequences = max(int(f.batch), 1)
	if c.Layout.Overlap, err = cost.ParseOverlap(f.overlap); err != nil {
		return c, nil, fmt.Errorf("--overlap: %w", err)
	}
	c.Layout.Routing, err = f.routingModel()
	return c, said, err
}

func (f *explainFlags) routingModel() (cost.Routing, error) {
	r, err := plant.LoadRouting(f.routing)
	if err != nil {
		return r, fmt.Errorf("--routing: %w", err)
	}
	return r, nil
}

// stepper prices the layout that the flags give, or the smallest that fits.
func (f *explainFlags) stepper(c cost.Config) (*cost.Stepper, error) {
	l := &c.Layout
	if l.TP > 0 || l.DP > 0 || l.EP > 0 || l.PP > 0 {
		if l.EP == 0 && l.DP > 1 && c.Model.Experts() > 0 {
			l.EP = max(1, l.TP) * l.DP
		}
		return cost.New(c)
	}
	experts := c.Model.Experts()
	var last error
	tried := 0
	for n := 1; n <= c.Topology.Chips*max(1, c.Chip.Dies); n *= 2 {
		try := c
		if experts > 0 {
			slots := experts + int64(l.Redundant)
			if int64(n) > slots {
				break
			}
			try.Layout.DP, try.Layout.EP = n, n
			try.Layout.Redundant += int((int64(n) - slots%int64(n)) % int64(n))
		} else {
			try.Layout.TP = n
		}
		s, err := cost.New(try)
		if err == nil {
			load := f.loads(s)[0]
			m := s.Memory()
			if m.KVBytes(load.Context, load.Sequences) <= m.Free {
				return s, nil
			}
			err = fmt.Errorf("the cache of %d sequences of %d tokens does not fit", f.batch, f.context)
		}
		last, tried = err, n
	}
	return nil, fmt.Errorf("no layout of 1, 2, 4, … ranks holds %s on %s; on %d: %w", c.Model.Name, c.Topology.Name, tried, last)
}

// loads gives every rank the same work.
func (f *explainFlags) loads(s *cost.Stepper) []cost.Load {
	if f.phase == string(cost.Prefill) {
		chunk := f.chunk
		if chunk == 0 {
			chunk = min(f.context, max(1, int64(s.Config().MaxTokens)/f.batch))
		}
		return s.Uniform(0, f.batch, f.context, chunk)
	}
	return s.Uniform(f.batch, min(1, f.chunk), f.context, f.chunk)
}

func (x *explained) print(w io.Writer) {
	c, l := x.config, x.loads[0]
	fmt.Fprintf(w, "%s on %s (%s), %s: %d chips, engine %s, overlap %s\n", c.Model.Name, c.Topology.Name, c.Chip.Name, c.Layout, x.chips, c.Engine.Name, c.Layout.Overlap)
	if l.Sequences > 0 {
		fmt.Fprintf(w, "each rank: %d sequences of %.0f tokens, %d rows a sequence\n", l.Sequences, float64(l.Context[0])/float64(l.Sequences)/(1<<cost.ContextShift), 1+c.Drafts)
	}
	if l.ChunkTokens > 0 {
		fmt.Fprintf(w, "each rank: %d prompt tokens of %d prompts, behind %d\n", l.ChunkTokens, l.Chunks, l.Prefix)
	}
	gb := func(b int64) float64 { return float64(b) / 1e9 }
	m := x.memory
	fmt.Fprintf(w, "memory of a rank: %.1f GB = weights %.1f + activations %.1f + reserve %.1f + cache %.1f, of which this batch takes %.1f\n\n",
		gb(m.Capacity), gb(m.WeightBytes), gb(m.Activations), gb(m.Reserve), gb(m.Free), gb(m.KVBytes(l.Context, l.Sequences)))
	x.printOperators(w)
	x.printCauses(w)
}

func (x *explained) printOperators(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "LAYERS\tOPERATOR\tPRECISION\tCOUNT\tM\tN\tK\tGFLOP\tMB\tTIME us\tSHARE\tCAUSE\t")
	number := func(v int64) string {
		if v == 0 {
			return ""
		}
		return fmt.Sprint(v)
	}
	for _, o := range x.Operators {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%.1f\t%.1f%%\t%s\t\n", o.LayerKind, o.Name, o.Precision, o.Count, number(o.M), number(o.N), number(o.K),
			figure(o.Flops/1e9), figure(o.Bytes/1e6), float64(o.Ns)/1e3, 100*float64(o.Ns)/math.Max(1, float64(x.StepNs)), o.Cause)
	}
	t.Flush()
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
