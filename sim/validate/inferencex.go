package validate

import (
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/models"
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

// r1Experts are the routed experts of DeepSeek-R1's layers, the file's one model.
const r1Experts = 256

// inferenceXModels are the file's names of models.
var inferenceXModels = map[string]string{"dsr1": "deepseek-r1"}

// inferenceXRow is one row, read.
type inferenceXRow struct {
	hardware, framework, model, precision, spec string
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
	return &inferenceXRow{
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

// profile is the engine profile behind a framework. ATOM has none; it is run with
// its chip's default one.
func profile(engine string) (string, error) {
	_, name, front := strings.Cut(engine, "-")
	if !front {
		name = engine
	}
	switch name {
	case "sglang", "trtllm", "vllm":
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
	model, known := inferenceXModels[r.model]
	switch {
	case !known:
		return nil, fmt.Errorf("unknown model %q", r.model)
	case r.gpus == 0:
		return nil, fmt.Errorf("layout unknown: the number of GPUs is not settled (gpus_best is empty)")
	}
	s := &scenario.Scenario{Version: scenario.Version, Seed: 1, Model: model}
	if s.Deployment.Engine, err = profile(r.engine()); err != nil {
		return nil, err
	}
	if s.Deployment.Precision, err = r.formats(); err != nil {
		return nil, err
	}
	if r.disaggregated {
		err = r.disaggregate(s, sys)
	} else {
		err = r.aggregate(s, sys)
	}
	if err != nil {
		return nil, err
	}
	if s.Workload, err = workload(r.conc, r.isl, r.osl, rangeRatio); err != nil {
		return nil, err
	}
	switch r.spec {
	case "none", "mtp":
	default:
		return nil, fmt.Errorf("unknown speculative decoding %q", r.spec)
	}
	s.Deployment.Routing = routing
	st := start{engine: r.engine(), chip: r.hardware, model: model, precision: r.precision, spec: r.spec, clients: r.conc, input: r.isl, output: r.osl, tensorParallel: r.gpus, dataParallel: 1}
	for _, p := range []*scenario.Pool{s.Deployment.Serve, s.Deployment.Decode} {
		if p != nil {
			st.dataParallel = p.DP
		}
	}
	st.apply(&s.Deployment)
	s.Router.Policy = st.router()
	if o.Engine != "" {
		s.Deployment.Engine = o.Engine
	}
	return s, nil
}

// formats of DeepSeek-R1's checkpoints: FP8 in blocks is its own. The FP4 one of
// NVIDIA's scripts (nvidia/DeepSeek-R1-0528-FP4-V2, model card) quantises all FFNs and,
// of attention, the output projection alone; AMD's (amd/DeepSeek-R1-0528-MXFP4)
// experts. The cache is FP8 in every launch script.
func (r *inferenceXRow) formats() (p scenario.Precision, err error) {
	switch r.precision {
	case "fp8":
	case "fp4":
		p = scenario.Precision{Weights: models.NVFP4, Attention: models.BF16, AttentionOutput: models.NVFP4, Experts: models.NVFP4}
		if strings.HasPrefix(r.hardware, "mi") {
			p = scenario.Precision{Weights: models.BF16, Experts: models.MXFP4}
		}
	default:
		err = fmt.Errorf("unknown precision %q", r.precision)
	}
	return p, err
}

// aggregate lays out one instance. The declared GPU counts of rows with expert
// parallelism are tp·ep (published.md, "Data-quality findings"); tp is the instance.
func (r *inferenceXRow) aggregate(s *scenario.Scenario, sys *system) error {
	pool, err := split(r.gpus, r.decode.tp, r.decode.ep, r.decode.dataParallel)
	if err != nil {
		return err
	}
	s.Deployment.Mode, s.Deployment.Serve = "aggregated", &pool
	s.Topology = sys.hold(r.gpus)
	return nil
}

func (r *inferenceXRow) disaggregate(s *scenario.Scenario, sys *system) error {
	if sum := r.prefill.gpus + r.decode.gpus; sum != r.gpus {
		return fmt.Errorf("layout unknown: pools of %d and %d GPUs, %d in all", r.prefill.gpus, r.decode.gpus, r.gpus)
	}
	s.Deployment.Mode, s.Topology = "disaggregated", sys.hold(r.prefill.gpus, r.decode.gpus)
	if known, ok := r.trtRecipe(); ok {
		s.Deployment.Prefill, s.Deployment.Decode, s.Deployment.MTP.Drafts = &known.prefill, &known.decode, known.drafts
		return nil
	}
	r.placeholders()
	var err error
	if s.Deployment.Prefill, err = r.prefill.instances("prefill"); err != nil {
		return err
	}
	s.Deployment.Decode, err = r.decode.instances("decode")
	return err
}

func (p *inferenceXPool) instances(name string) (*scenario.Pool, error) {
	if p.workers < 1 || p.gpus%p.workers != 0 {
		return nil, fmt.Errorf("layout unknown: %d %s workers on %d GPUs", p.workers, name, p.gpus)
	}
	pool, err := split(p.gpus/p.workers, p.tp, p.ep, p.dataParallel)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	pool.Instances = p.workers
	// Experts must fall evenly on the ranks: EP 48 cannot do without 32 copies of
	// R1's 256 experts. What a recipe has beyond that is not stated.
	pool.Experts.Redundant = (pool.EP - r1Experts%pool.EP) % pool.EP
	return &pool, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
