package validate

import (
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/scenario"
)

// inferenceXColumns are those that a row is predicted from, and those that it is
// compared with.
var inferenceXColumns = []string{
	"gpus_best", "hardware", "framework", "model", "precision", "spec", "disagg",
	"prefill_tp", "prefill_ep", "prefill_dp_attn", "prefill_workers", "decode_tp", "decode_ep", "decode_dp_attn", "decode_workers",
	"num_prefill_gpu", "num_decode_gpu", "isl", "osl", "conc",
	"median_ttft_s", "median_tpot_s", "tput_per_gpu", "output_tput_per_gpu",
}

// inferenceXRow is one row, read.
type inferenceXRow struct {
	hardware, framework, model, precision, spec string
	version                                     string // of the image, where the file has one
	disaggregated                               bool
	gpus, isl, osl, conc                        int
	prefill, decode                             inferenceXPool
}

// inferenceXPool is what a row states of one pool.
type inferenceXPool struct {
	tp, ep, workers, gpus int
	dataParallel          bool
}

func readInferenceX(name string, data []byte, o *ReadOptions) (*Set, error) {
	t, err := newTable(name, data, inferenceXColumns, o)
	if err != nil {
		return nil, err
	}
	return t.cases(o, func(t *table) stated {
		row := inferenceXRowOf(t)
		return stated{Case: Case{ID: t.at(), Engine: row.engine(), Phase: All, Measures: t.measures(inferenceXMeasures)}, scenario: row.scenario}
	})
}

func inferenceXRowOf(t *table) *inferenceXRow {
	const most = 1 << 20
	pool := func(which string) inferenceXPool {
		return inferenceXPool{
			tp: t.whole(which+"_tp", 0, most, true), ep: t.whole(which+"_ep", 0, most, true), workers: t.whole(which+"_workers", 0, most, true),
			gpus: t.whole("num_"+which+"_gpu", 0, most, true), dataParallel: t.truth(which + "_dp_attn"),
		}
	}
	_, version, _ := strings.Cut(t.optional("image"), ":")
	return &inferenceXRow{
		version:  version,
		hardware: t.text("hardware"), framework: t.text("framework"), model: t.text("model"), precision: t.text("precision"), spec: t.text("spec"),
		disaggregated: t.truth("disagg"), gpus: t.whole("gpus_best", 1, most, true),
		isl: t.whole("isl", 1, 1<<24, false), osl: t.whole("osl", 1, 1<<24, false), conc: t.whole("conc", 1, most, false),
		prefill: pool("prefill"), decode: pool("decode"),
	}
}

// inferenceXMeasures are a row's medians, in milliseconds, and its throughputs.
var inferenceXMeasures = []measure{
	{"median_tpot_s", "tpot_ms_p50", 1e3}, {"median_ttft_s", "ttft_ms_p50", 1e3},
	{"tput_per_gpu", "tput_per_gpu", 1}, {"output_tput_per_gpu", "output_tput_per_gpu", 1},
}

// engine is the framework in this package's spelling.
func (r *inferenceXRow) engine() string {
	base, name := "", r.framework
	if front, behind, ok := strings.Cut(r.framework, "-"); ok {
		base, name = front+"-", behind
	}
	if name == "trt" {
		name = "trtllm"
	}
	return base + name
}

// profile is the engine profile behind a framework, the one that stands for the version
// that is stated, or the newest where none does (a nightly build, a front end's version).
// ATOM has none; it is run with its chip's default one.
func profile(engine, version string) (string, error) {
	_, name, front := strings.Cut(engine, "-")
	if !front {
		name = engine
	}
	switch name {
	case "sglang", "trtllm", "vllm":
		if of, err := cost.EngineProfile(name, version); err == nil {
			return of, nil
		}
		return name, nil
	case "atom":
		return "", nil
	}
	return "", fmt.Errorf("unknown engine %q", engine)
}

// scenario is what the row states before the run; the error says what it does not.
func (r *inferenceXRow) scenario(o *ReadOptions) (*scenario.Scenario, error) {
	sys, err := findSystem(r.hardware)
	if err != nil {
		return nil, err
	}
	point, err := findCheckpoint(known().InferenceX, r.model)
	if err != nil {
		return nil, err
	}
	switch {
	case r.gpus == 0:
		return nil, fmt.Errorf("layout unknown: the number of GPUs is not settled (gpus_best is empty)")
	case r.spec != "none" && r.spec != "mtp":
		return nil, fmt.Errorf("unknown speculative decoding %q", r.spec)
	}
	s := &scenario.Scenario{Version: scenario.Version, Seed: 1, Model: point.Model}
	if s.Deployment.Engine, err = profile(r.engine(), r.version); err != nil {
		return nil, err
	}
	if s.Workload, err = workload(r.conc, r.isl, r.osl, rangeRatio); err != nil {
		return nil, err
	}
	s.Deployment.Routing = routing
	if r.disaggregated {
		err = r.disaggregate(s, sys, o)
	} else {
		err = r.aggregate(s, sys, o)
	}
	if err != nil {
		return nil, err
	}
	switch d := &s.Deployment; {
	case r.precision != point.Own && d.Precision.Weights == "":
		return nil, fmt.Errorf("unknown precision %q: no recipe has such a checkpoint of %s on %s", r.precision, point.Model, r.hardware)
	case r.spec == "mtp" && d.MTP.Drafts == 0:
		return nil, fmt.Errorf("drafts unknown: no recipe of %s on %s drafts", r.engine(), r.hardware)
	}
	if o.Engine != "" {
		s.Deployment.Engine = o.Engine
	}
	return s, nil
}

// facts are what a launch script may be told by, the pools apart.
func (r *inferenceXRow) facts(s *scenario.Scenario) recipe.Facts {
	f := plant.Facts(s, nil)
	f.Benchmark, f.Engine, f.Chip, f.Model, f.Precision, f.Spec = "inferencex", r.engine(), r.hardware, s.Model, r.precision, r.spec
	return f
}

// aggregate lays out one instance. The declared GPU counts of rows with expert
// parallelism are tp·ep; tp is the instance.
func (r *inferenceXRow) aggregate(s *scenario.Scenario, sys *system, o *ReadOptions) error {
	pool, err := split(r.gpus, r.decode.tp, r.decode.ep, r.decode.dataParallel)
	if err != nil {
		return err
	}
	s.Deployment.Mode, s.Deployment.Serve = "aggregated", &pool
	s.Topology = sys.hold(r.gpus)
	f := r.facts(s)
	script, err := launched(f, "", o)
	if err != nil {
		return err
	}
	return follow(s, script, f, o)
}

// disaggregate lays out two pools: as the recipe says that has a table of deployments
// and this one in it, otherwise as the row says.
func (r *inferenceXRow) disaggregate(s *scenario.Scenario, sys *system, o *ReadOptions) error {
	if sum := r.prefill.gpus + r.decode.gpus; sum != r.gpus {
		return fmt.Errorf("layout unknown: pools of %d and %d GPUs, %d in all", r.prefill.gpus, r.decode.gpus, r.gpus)
	}
	d := &s.Deployment
	d.Mode, s.Topology = "disaggregated", sys.hold(r.prefill.gpus, r.decode.gpus)
	f := r.facts(s)
	f.Prefill, f.Decode = r.prefill.facts(), r.decode.facts()
	script, err := launched(f, "", o)
	if err != nil {
		return err
	}
	if script != nil && script.Table != nil {
		d.Prefill, d.Decode = &scenario.Pool{Instances: r.prefill.workers}, &scenario.Pool{Instances: r.decode.workers}
		return follow(s, script, f, o)
	}
	if d.Prefill, err = r.prefill.instances("prefill", s.Model); err != nil {
		return err
	}
	if d.Decode, err = r.decode.instances("decode", s.Model); err != nil {
		return err
	}
	return follow(s, script, f, o)
}

// facts are what a row states of a pool. Degrees of 1 on several chips are placeholders
// and state nothing.
func (p *inferenceXPool) facts() recipe.Pool {
	f := recipe.Pool{Instances: p.workers}
	if p.workers > 0 && p.gpus%p.workers == 0 {
		f.Ranks = p.gpus / p.workers
	}
	switch {
	case p.tp <= 1 && p.ep <= 1 && f.Ranks > 1:
	case p.dataParallel || p.tp == 1:
		f.TP, f.DP, f.EP = 1, f.Ranks, p.ep
	default:
		f.TP, f.DP, f.EP = p.tp, 1, p.ep
	}
	return f
}

func (p *inferenceXPool) instances(name, model string) (*scenario.Pool, error) {
	if p.workers < 1 || p.gpus%p.workers != 0 {
		return nil, fmt.Errorf("layout unknown: %d %s workers on %d GPUs", p.workers, name, p.gpus)
	}
	pool, err := split(p.gpus/p.workers, p.tp, p.ep, p.dataParallel)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	pool.Instances = p.workers
	m, err := models.Load(model)
	if err != nil {
		return nil, err
	}
	// Experts must fall evenly on the ranks: EP 48 cannot do without 32 copies of 256
	// experts. What a recipe has beyond that is not stated.
	pool.Experts.Redundant = (pool.EP - int(m.Experts())%pool.EP) % pool.EP
	return &pool, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
