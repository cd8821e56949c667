package validate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/scenario"
)

var siliconColumns = []string{
	"id", "silicon_data_source", "backend", "backend_version", "model_path", "system", "precision", "mode", "isl", "osl", "gemm_quant_mode",
	"batch_size", "tp_size", "pp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size",
	"prefill_num_workers", "prefill_tp_size", "prefill_pp_size", "prefill_attention_dp_size", "prefill_moe_tp_size", "prefill_moe_ep_size",
	"decode_num_workers", "decode_tp_size", "decode_pp_size", "decode_attention_dp_size", "decode_moe_tp_size", "decode_moe_ep_size",
	"silicon_ttft_ms", "silicon_tpot_ms", "quality_flags",
}

// checkpoint is a model as the file names it. fp8 and fp4 are the formats of its
// published quantised checkpoints (Hugging Face); a model without one refuses that
// precision.
type checkpoint struct {
	path, model string
	moe         bool
	fp8, fp4    scenario.Precision
	own         string // the precision that the model's own checkpoint has
}

var (
	fp8Tensor = scenario.Precision{Weights: models.FP8}
	fp8Dense  = scenario.Precision{Weights: models.FP8Block}
	fp8Blocks = scenario.Precision{Weights: models.FP8Block, Experts: models.FP8Block}
	nvfp4     = scenario.Precision{Weights: models.NVFP4}
	// nvfp4Experts: NVIDIA's FP4 checkpoints of mixtures leave attention in BF16.
	nvfp4Experts = scenario.Precision{Weights: models.BF16, Experts: models.NVFP4}
)

var checkpoints = []checkpoint{
	{path: "meta-llama/Llama-3.1-8B-Instruct", model: "llama-3.1-8b", fp8: fp8Tensor, own: "bf16"},
	{path: "nvidia/Llama-3.1-8B-Instruct-FP8", model: "llama-3.1-8b", fp8: fp8Tensor},
	{path: "meta-llama/Llama-3.1-70B", model: "llama-3.1-70b", fp8: fp8Tensor, fp4: nvfp4, own: "bf16"},
	{path: "Qwen/Qwen3-32B", model: "qwen3-32b", fp8: fp8Tensor, own: "bf16"},
	{path: "nvidia/Qwen3-32B-NVFP4", model: "qwen3-32b", fp4: nvfp4},
	{path: "Qwen/Qwen3-235B-A22B-FP8", model: "qwen3-235b-a22b", moe: true, fp8: fp8Blocks},
	{path: "Qwen/Qwen3.5-397B-A17B", model: "qwen3.5-397b-a17b", moe: true, fp8: fp8Blocks, fp4: nvfp4Experts, own: "bf16"},
	{path: "MiniMaxAI/MiniMax-M2.5", model: "minimax-m2.5", moe: true, fp8: fp8Blocks, fp4: nvfp4Experts, own: "fp8"},
	{path: "moonshotai/Kimi-K2.5", model: "kimi-k2.5", moe: true, fp4: nvfp4Experts, own: "int4"},
	{path: "zhipuai/GLM-5", model: "glm-5", moe: true, fp8: fp8Blocks, fp4: nvfp4Experts, own: "bf16"},
	{path: "openai/gpt-oss-120b", model: "gpt-oss-120b", moe: true, own: "fp4"},
}

// unlabelledMTP is why DeepSeek rows are left out: of 28 that match InferenceX rows
// exactly, 9 ran with MTP, and nothing in the file says which.
const unlabelledMTP = "MTP is not labelled in this file's DeepSeek rows (9 of 28 matched ones ran with it); see InferenceX for them"

// siliconRow is one row, read.
type siliconRow struct {
	source, engine, version, path, system, precision, mode, gemm string
	flags                                                        string // why the file doubts the row
	isl, osl, batch, workers, prefillWorkers                     int
	serve, prefill                                               siliconPool // serve: or decode
}

// siliconPool is the layout that a row states. Empty cells are 0.
type siliconPool struct{ tp, pp, dp, moeTP, moeEP int }

func readSilicon(name string, data []byte, o *ReadOptions) (*Set, error) {
	t, err := newTable(name, data, siliconColumns, o)
	if err != nil {
		return nil, err
	}
	return t.cases(o, func(t *table) stated {
		row := siliconRowOf(t)
		c := Case{ID: cmp.Or(t.text("id"), t.at()), Engine: row.engine, Phase: All, Measures: t.measures(siliconMeasures), Note: row.note()}
		return stated{Case: c, scenario: row.scenario}
	})
}

// siliconMeasures are a row's means.
var siliconMeasures = []measure{{"silicon_tpot_ms", "tpot_ms_mean", 1}, {"silicon_ttft_ms", "ttft_ms_mean", 1}}

func siliconRowOf(t *table) *siliconRow {
	const most = 1 << 20
	pool := func(prefix string) siliconPool {
		n := func(column string) int { return t.whole(prefix+column, 0, most, true) }
		return siliconPool{n("tp_size"), n("pp_size"), n("attention_dp_size"), n("moe_tp_size"), n("moe_ep_size")}
	}
	r := &siliconRow{
		source: t.text("silicon_data_source"), engine: t.text("backend"), version: t.text("backend_version"), path: t.text("model_path"),
		system: strings.TrimSuffix(t.text("system"), "_sxm"), precision: t.text("precision"), mode: t.text("mode"), gemm: t.text("gemm_quant_mode"),
		flags: t.text("quality_flags"),
		isl:   t.whole("isl", 1, 1<<24, false), osl: t.whole("osl", 1, 1<<24, false), batch: t.whole("batch_size", 0, most, true),
	}
	if r.mode == "disagg" {
		r.prefill, r.serve = pool("prefill_"), pool("decode_")
		r.prefillWorkers, r.workers = t.whole("prefill_num_workers", 0, most, true), t.whole("decode_num_workers", 0, most, true)
	} else {
		r.serve = pool("")
	}
	return r
}

// local reports whether the row is of the project's own runs, whose lengths are
// exact. All others came from InferenceX: uniform in [0.8, 1.0] of the nominal.
func (r *siliconRow) local() bool { return strings.HasPrefix(r.source, "source_file=local/") }

// clients is the concurrency of the whole deployment. batch_size is it divided by
// the attention_dp_size of the file, which is wrong where that is.
func (r *siliconRow) clients() (int, error) {
	for _, part := range strings.Split(r.source, ";") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(part), "silicon_concurrency="); ok {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 1<<20 {
				return 0, fmt.Errorf("concurrency unknown: silicon_concurrency is %q", text)
			}
			return n, nil
		}
	}
	if r.batch > 0 && r.mode == "agg" {
		return r.batch, nil
	}
	return 0, errors.New("concurrency unknown: neither silicon_concurrency nor batch_size is given")
}

func (r *siliconRow) scenario(o *ReadOptions) (*scenario.Scenario, error) {
	if r.flags != "" {
		return nil, fmt.Errorf("quality_flags: %s", r.flags)
	}
	if strings.Contains(r.path, "DeepSeek") {
		return nil, errors.New(unlabelledMTP)
	}
	i := slices.IndexFunc(checkpoints, func(c checkpoint) bool { return c.path == r.path })
	if i < 0 {
		return nil, fmt.Errorf("unknown model %q", r.path)
	}
	point := &checkpoints[i]
	sys, err := findSystem(r.system)
	if err != nil {
		return nil, err
	}
	s := &scenario.Scenario{Version: scenario.Version, Seed: 1, Model: point.model}
	if s.Deployment.Engine, err = profile(r.engine); err != nil {
		return nil, err
	}
	if s.Deployment.Precision, err = r.formats(point); err != nil {
		return nil, err
	}
	clients, err := r.clients()
	if err != nil {
		return nil, err
	}
	if err := r.deploy(s, sys, point, clients); err != nil {
		return nil, err
	}
	share := rangeRatio
	if r.local() {
		share = 1
	}
	if s.Workload, err = workload(clients, r.isl, r.osl, share); err != nil {
		return nil, err
	}
	if point.moe {
		s.Deployment.Routing = routing
	}
	r.start(s, point, clients)
	if o.Engine != "" {
		s.Deployment.Engine = o.Engine
	}
	return s, nil
}

// start applies the launch script of rows that came from InferenceX. The project's
// own runs keep the engine's defaults: SGLang looks at its queue at every step,
// cuts prompts into 8192 tokens on parts below 160 GB (server_args.py@v0.5.6) and lets
// 2048 requests run at least (model_runner.py, max_num_reqs).
func (r *siliconRow) start(s *scenario.Scenario, point *checkpoint, clients int) {
	d := &s.Deployment
	if r.local() {
		if r.engine == "sglang" {
			d.PollSteps = 1
			if d.Serve != nil {
				d.Serve.MaxTokens, d.Serve.MaxSequences = 8192, 2048
			}
		}
		r.gapAnalysis(d, clients)
		return
	}
	st := start{
		engine: r.engine, version: r.version, snapshot: r.source, chip: r.system, model: point.model, precision: r.precision, spec: r.spec(),
		clients: clients, input: r.isl, output: r.osl, tensorParallel: 1, dataParallel: 1,
	}
	if d.Serve != nil {
		st.tensorParallel, st.dataParallel = d.Serve.TP*d.Serve.DP, d.Serve.DP
	}
	st.apply(d)
}

// spec tells rows that ran with MTP, which the file does not say. InferenceX@2ecc5ce
// .github/configs/nvidia-master.yaml runs Qwen3.5 FP8 on SGLang 0.5.9 and Blackwell at
// TP4 EP4 and TP8 EP1 without it, and at TP4 EP1 (image v0.5.9-cu130) in the entry with
// it, where the rows have their clients: up to 256, twice what the other entry lets run.
func (r *siliconRow) spec() string {
	p := r.serve
	if r.engine == "sglang" && r.version == "0.5.9" && r.path == "Qwen/Qwen3.5-397B-A17B" && r.precision == "fp8" &&
		slices.Contains(blackwell, r.system) && p.tp == 4 && p.moeTP == 4 && p.moeEP == 1 {
		return "mtp"
	}
	return "none"
}

// formats are those of the checkpoint that was served. An empty precision is the
// checkpoint's own. The file's gemm_quant_mode decides between FP8 forms of a dense
// model; a mixture's published FP8 checkpoint is in blocks, whatever it says.
func (r *siliconRow) formats(c *checkpoint) (scenario.Precision, error) {
	var p scenario.Precision
	switch {
	case r.precision == "" || r.precision == c.own:
		return p, nil
	case r.precision == "fp8":
		if p = c.fp8; !c.moe && p.Weights != "" && r.gemm == "fp8_block" {
			p = fp8Dense
		}
	case r.precision == "fp4":
		p = c.fp4
	}
	if p == (scenario.Precision{}) {
		return p, fmt.Errorf("precision unknown: no %s checkpoint of %s is known", r.precision, c.model)
	}
	return p, nil
}

func (r *siliconRow) deploy(s *scenario.Scenario, sys *system, c *checkpoint, clients int) error {
	pool, err := r.serve.pool(c, r.local())
	if err != nil {
		return err
	}
	chips := pool.TP * pool.DP
	d := &s.Deployment
	switch r.mode {
	case "agg":
		if r.local() && r.batch > 0 && clients%r.batch == 0 {
			pool.Instances = clients / r.batch / pool.DP // replicas: batch_size is of one
		}
		pool.Instances = max(1, pool.Instances)
		d.Mode, d.Serve = "aggregated", pool
		s.Topology = sys.hold(spread(sys, chips) * pool.Instances)
	case "disagg":
		prefill, err := r.prefill.pool(c, r.local())
		if err != nil {
			return fmt.Errorf("prefill: %w", err)
		}
		if r.workers < 1 || r.prefillWorkers < 1 {
			return fmt.Errorf("layout unknown: %d prefill and %d decode workers", r.prefillWorkers, r.workers)
		}
		prefill.Instances, pool.Instances = r.prefillWorkers, r.workers
		d.Mode, d.Prefill, d.Decode = "disaggregated", prefill, pool
		s.Topology = sys.hold(spread(sys, prefill.TP*prefill.DP)*prefill.Instances, spread(sys, chips)*pool.Instances)
	default:
		return fmt.Errorf("unknown mode %q", r.mode)
	}
	return nil
}

// spread is what an instance takes of the topology: larger than a node, whole nodes.
func spread(s *system, chips int) int {
	if domain := max(s.node, s.chips); chips > domain {
		return (chips + domain - 1) / domain * domain
	}
	return chips
}

// pool is a stated layout with the file's known slips put right. In rows that came
// from InferenceX, tp or dp was multiplied by the expert parallelism (checked on the
// 28 rows that are in both files):
//
//	tp 4, 16 or 64 with moe_tp = moe_ep = 2, 4 or 8   TP 2, 4 or 8, EP 2, 4 or 8
//	dp 4, 16 or 64 with moe_tp = moe_ep = 2, 4 or 8   attention DP 2, 4 or 8, EP 2, 4 or 8
//	tp = dp = 4, moe_ep 16                            TP 4, EP 4
//
// Rows of tp 4 with moe_tp = moe_ep = 2 run as fast as those of tp 2, and their ids
// say tp2_ep2. The project's own runs state what they ran.
// dp 0 and an empty dp are 1. Dense models have no expert degrees, whatever is stated.
func (p siliconPool) pool(c *checkpoint, local bool) (*scenario.Pool, error) {
	square := !local && p.moeTP == p.moeEP && p.moeEP > 1
	switch {
	case p.tp > 1 && p.dp <= 1 && square && p.tp == p.moeTP*p.moeEP:
		p.tp, p.moeTP = p.moeEP, 1
	case p.tp == 1 && square && p.dp == p.moeTP*p.moeEP:
		p.dp, p.moeTP = p.moeEP, 1
	case p.tp > 1 && p.tp == p.dp && p.moeTP == 1 && p.moeEP == p.tp*p.dp:
		p.dp, p.moeEP = 1, p.tp
	}
	if p.dp == 0 {
		p.dp = 1
	}
	switch {
	case p.tp < 1:
		return nil, errors.New("layout unknown: tp_size is empty")
	case p.pp > 1:
		return nil, fmt.Errorf("layout unknown: pp_size is %d in a file of single-stage rows", p.pp)
	}
	pool := &scenario.Pool{TP: p.tp, DP: p.dp, EP: 1}
	if !c.moe {
		return pool, nil
	}
	if p.moeTP*p.moeEP != p.tp*p.dp {
		return nil, fmt.Errorf("layout unknown: moe_tp %d × moe_ep %d is not tp %d × attention_dp %d", p.moeTP, p.moeEP, p.tp, p.dp)
	}
	pool.EP = p.moeEP
	return pool, nil
}

// note tells what is doubtful about a measurement. No row is left out for it.
func (r *siliconRow) note() string {
	switch {
	case r.engine == "vllm" && r.version == "0.12.0" && strings.HasPrefix(r.path, "Qwen/Qwen3-235B"):
		return "measured TPOT is the same at every batch: eager, without CUDA graphs"
	case r.engine == "vllm" && r.path == "nvidia/Llama-3.1-8B-Instruct-FP8":
		return "measured prefill is beyond the fastest kernel: likely prefix-cache hits"
	case r.system == "gb200" && r.path == "Qwen/Qwen3-32B":
		return "measured TPOT jumps from 8 to 42 ms between one and two clients"
	}
	return ""
}
