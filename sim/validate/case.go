package validate

import (
	"fmt"
	"slices"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// Case is one published deployment: what it states before the run, as a scenario,
// and what was measured on it.
type Case struct {
	ID       string // the row's own, or file:line
	Hardware string // the chip
	Model    string // the model's full name
	Engine   string // the serving framework as the row names it
	Scenario *scenario.Scenario
	Phase    Phase
	Steady   *Steady // priced as one step in place of a run
	Replay   *Replay // the scenario's trace, and what each of its requests measured
	Measures []Measure
	Assumed  []string // what the row does not state and the scenario has
	Note     string   // what is doubtful about the measurement, told with a bad error
}

// Measure is one measured figure.
type Measure struct {
	Metric string // a name in figures
	Value  float64
}

// Skipped is a row that cannot be predicted from what it states.
type Skipped struct {
	ID  string `json:"id" yaml:"id"`
	Why string `json:"why" yaml:"why"`
}

// Set is what a file holds, in its order.
type Set struct {
	Cases   []Case
	Skipped []Skipped
}

// Phase is which pool's chips the per-chip metrics count.
type Phase string

// All is every deployed chip; an aggregated deployment has no other.
const (
	All     Phase = "all"
	Prefill Phase = "prefill"
	Decode  Phase = "decode"
)

// Filter keeps the rows whose column has a value.
type Filter struct{ Column, Value string }

// ReadOptions say what of a file is wanted.
type ReadOptions struct {
	Filters []Filter // all must hold
	// Engine is the profile that every row is predicted with, in place of its own.
	Engine    string
	ModelDirs []string
	// Recipe is the launch script that every row is started with, by name or path, in place
	// of its own; empty for that.
	Recipe string
	// AsUser predicts rows from what someone who asks about the deployment would write:
	// model, chips, engine, layout, checkpoint, drafts and load. What launch scripts tune
	// is left to the engine's profile.
	AsUser bool
	// TopologyDirs are looked into before what is shipped, as ModelDirs are.
	TopologyDirs []string

	names nameCache
}

// place fills in what a case is counted under: the chip of the pool that its phase
// is about, the model's full name. It says why that is not known.
func (c *Case) place(o *ReadOptions) (err error) {
	if c.Model, err = o.names.of("model", c.Scenario.Model, o); err != nil {
		return err
	}
	if c.Hardware, err = o.names.of("topology", c.Scenario.Topology, o); err != nil {
		return err
	}
	d := &c.Scenario.Deployment
	if p := pool(d, c.Phase); p != nil && p.Chip != "" {
		if c.Hardware, err = o.names.of("chip", p.Chip, o); err != nil {
			return err
		}
	}
	if c.Engine == "" {
		c.Engine = d.Engine
	}
	if c.Engine == "" {
		c.Engine, err = o.names.of("engine", c.Scenario.Topology, o)
	}
	return err
}

// nameCache keeps what references resolve to: a file has thousands of rows and few
// models.
type nameCache map[[2]string]resolved

// resolved is a name or why there is none.
type resolved struct {
	name string
	err  error
}

func (n nameCache) of(kind, ref string, o *ReadOptions) (string, error) {
	key := [2]string{kind, ref}
	found, has := n[key]
	if !has {
		found.name, found.err = resolve(kind, ref, o)
		n[key] = found
	}
	return found.name, found.err
}

// resolve gives a model's or chip's full name, a topology's chip, or the usual
// engine of a topology's chip.
func resolve(kind, ref string, o *ReadOptions) (string, error) {
	switch kind {
	case "model":
		m, err := models.Load(ref, o.ModelDirs...)
		if err != nil {
			return "", err
		}
		return m.Name, nil
	case "chip":
		chip, err := topologies.LoadChip(ref, o.TopologyDirs...)
		if err != nil {
			return "", err
		}
		return chip.Name, nil
	}
	t, err := topologies.Load(ref, o.TopologyDirs...)
	if err != nil {
		return "", err
	}
	if kind == "topology" {
		return t.Chip.Name, nil
	}
	e, err := cost.DefaultEngine(t.Chip)
	if err != nil {
		return "", err
	}
	return e.Name, nil
}

// metric is one figure of a result.
type metric struct {
	name string
	// kind groups metrics that mean the same in tables: TTFT, TPOT, throughput.
	kind string
	of   func(r *result.Result, p Phase) float64
}

// figures are all that can be compared, in the order of tables. The two of
// InferenceX keep its names: tput_per_gpu counts prompt and output tokens over all
// GPUs, output_tput_per_gpu output tokens over those that decode.
var figures = slices.Concat([]metric{
	{"tput_per_gpu", "tokens/s/GPU", func(r *result.Result, _ Phase) float64 { return total(r) / chips(r, All) }},
	{"output_tput_per_gpu", "output tokens/s/GPU", func(r *result.Result, _ Phase) float64 { return r.Throughput.OutputTokensPerS / chips(r, Decode) }},
	{"output_tokens_per_s_per_chip", "output tokens/s/GPU", func(r *result.Result, p Phase) float64 { return r.Throughput.OutputTokensPerS / chips(r, p) }},
	{"total_tokens_per_s_per_chip", "tokens/s/GPU", func(r *result.Result, p Phase) float64 { return total(r) / chips(r, p) }},
	{"prefill_tokens_per_s_per_chip", "input tokens/s/GPU", func(r *result.Result, p Phase) float64 { return r.Throughput.InputTokensPerS / chips(r, p) }},
	{"kv_transfer_ms_mean", "KV transfer", func(r *result.Result, _ Phase) float64 { return r.Causes.Request.KVTransfer * r.Latency.E2E.Mean }},
},
	latencies("ttft_ms", "TTFT", func(l *result.Latency) *result.Distribution { return &l.TTFT }),
	latencies("tpot_ms", "TPOT", func(l *result.Latency) *result.Distribution { return &l.TPOT }),
	latencies("itl_ms", "ITL", func(l *result.Latency) *result.Distribution { return &l.ITL }),
	latencies("e2e_ms", "E2E", func(l *result.Latency) *result.Distribution { return &l.E2E }))

func latencies(name, kind string, of func(*result.Latency) *result.Distribution) []metric {
	at := func(suffix string, pick func(*result.Distribution) float64) metric {
		return metric{name + "_" + suffix, kind, func(r *result.Result, _ Phase) float64 { return pick(of(&r.Latency)) }}
	}
	return []metric{
		at("mean", func(d *result.Distribution) float64 { return d.Mean }),
		at("p50", func(d *result.Distribution) float64 { return d.P50 }),
		at("p90", func(d *result.Distribution) float64 { return d.P90 }),
		at("p99", func(d *result.Distribution) float64 { return d.P99 }),
	}
}

func findMetric(name string) (*metric, error) {
	names := make([]string, len(figures))
	for i := range figures {
		if names[i] = figures[i].name; names[i] == name {
			return &figures[i], nil
		}
	}
	return nil, spec.UnknownName("metric", name, names)
}

func total(r *result.Result) float64 {
	return r.Throughput.InputTokensPerS + r.Throughput.OutputTokensPerS
}

// chips are the packages that a phase's figures are divided by.
func chips(r *result.Result, p Phase) float64 {
	count := func(pool *result.PoolInfo) float64 { return float64(pool.Instances * pool.ChipsPerInstance) }
	d := &r.Deployment
	switch {
	case p == Prefill && d.Prefill != nil:
		return count(d.Prefill)
	case p == Decode && d.Decode != nil:
		return count(d.Decode)
	}
	return float64(d.Chips)
}

func parsePhase(s string) (Phase, error) {
	switch p := Phase(s); p {
	case "":
		return All, nil
	case All, Prefill, Decode:
		return p, nil
	}
	return "", spec.UnknownName("phase", s, []string{string(All), string(Prefill), string(Decode)})
}

// ParseFilter reads COLUMN=VALUE.
func ParseFilter(text string) (Filter, error) {
	for i := range len(text) {
		if text[i] == '=' && i > 0 {
			return Filter{text[:i], text[i+1:]}, nil
		}
	}
	return Filter{}, fmt.Errorf("%q: want COLUMN=VALUE, for example hardware=h200", text)
}
