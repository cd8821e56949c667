package validate

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
)

// trtPools are the disaggregated TensorRT-LLM deployments that InferenceX ran: its
// list of deployments (nvidia-master.yaml of SemiAnalysisAI/InferenceX@0004cf5 and, of
// December 2025, of ROCm/InferenceMAX@03067ca) with what the recipes behind it say
// (srt-slurm, recipes/trtllm, as in connorcarpenter15/srt-slurm@5a156f6): layouts, the
// prompt tokens that a prefill rank takes in a step (the lesser of max_num_tokens and
// max_batch_size prompts), max_batch_size of a decode rank, drafts. Where a recipe's
// name and its text differ, the text is taken: B200 FP8 at 4 and 32 clients, B300 FP8
// at 10. Clients are the recipes': H200's and the 2025 list count those of one decode
// worker.
//
//go:embed dynamo_trtllm.csv
var trtPools string

// poolRecipe is what a disaggregated deployment's recipe says of its two pools.
type poolRecipe struct {
	prefill, decode scenario.Pool
	drafts          int
}

// trtRecipe finds a row's deployment by what it states: chip, precision, lengths,
// drafting or not, workers, chips a worker, data-parallel attention in prefill, clients.
// Decode is cut as the recipe says: the list has attention DP for tep8 recipes. ok is
// false when it has none or several.
func (r *inferenceXRow) trtRecipe() (found poolRecipe, ok bool) {
	if r.engine() != "dynamo-trtllm" || r.prefill.workers == 0 || r.decode.workers == 0 {
		return found, false
	}
	matches := 0
	for _, cell := range trtRows() {
		if cell[0] != r.hardware || cell[1] != r.precision || cell[2] != strconv.Itoa(r.isl) || cell[3] != strconv.Itoa(r.osl) ||
			(cell[8] != "0") != (r.spec == "mtp") || !slices.Contains(strings.Fields(cell[9]), strconv.Itoa(r.conc)) {
			continue
		}
		prefill, decode := workers(cell[4]), workers(cell[6])
		if !r.prefill.has(&prefill) || r.prefill.dataParallel != (prefill.DP > 1) || !r.decode.has(&decode) {
			continue
		}
		prefill.MaxTokens, decode.MaxSequences = whole(cell[5]), whole(cell[7])
		r.trtExchange(&prefill, &decode)
		found = poolRecipe{prefill, decode, whole(cell[8])}
		matches++
	}
	return found, matches == 1
}

// trtExchange is how TensorRT-LLM's data-parallel ranks meet their experts: by
// gathering the rows, except where a recipe forces another way. H100's are WIDEEP with
// TRTLLM_FORCE_ALLTOALL_METHOD=DeepEP in both pools; decode in racks has
// TRTLLM_FORCE_COMM_METHOD=NVLINK_TWO_SIDED or CUTLASS's all-to-all over NVLink.
func (r *inferenceXRow) trtExchange(prefill, decode *scenario.Pool) {
	if r.hardware == "h100" {
		return
	}
	if prefill.DP > 1 {
		prefill.Experts.Exchange = string(cost.Gather)
	}
	if decode.DP > 1 && !strings.HasPrefix(r.hardware, "gb") {
		decode.Experts.Exchange = string(cost.Gather)
	}
}

// has reports that a pool is of so many workers on so many chips each.
func (p *inferenceXPool) has(q *scenario.Pool) bool {
	return p.workers == q.Instances && p.gpus == q.Instances*q.TP*q.DP
}

// trtRows are the cells of trtPools below its header.
func trtRows() [][]string {
	rows, err := csv.NewReader(strings.NewReader(trtPools)).ReadAll()
	if err != nil {
		panic("validate: dynamo_trtllm.csv: " + err.Error()) // its test reads it
	}
	return rows[1:]
}

func whole(cell string) int {
	n, err := strconv.Atoi(cell)
	if err != nil {
		panic("validate: dynamo_trtllm.csv: " + err.Error())
	}
	return n
}

// workers reads 4xtep8: four workers of eight chips. The letters are the recipes':
// tp is tensor parallelism, tep that of attention with expert parallelism, dp
// data-parallel attention with a slice of every expert, dep with expert parallelism.
func workers(text string) scenario.Pool {
	count, layout, _ := strings.Cut(text, "x")
	kind := strings.TrimRight(layout, "0123456789")
	n := whole(strings.TrimPrefix(layout, kind))
	p := scenario.Pool{Instances: whole(count), TP: 1, DP: n, EP: n}
	switch kind {
	case "tp":
		p.TP, p.DP, p.EP = n, 1, 1
	case "tep":
		p.TP, p.DP = n, 1
	case "dp":
		p.EP = 1
	case "dep":
	default:
		panic(fmt.Sprintf("validate: dynamo_trtllm.csv: unknown layout %q", text))
	}
	return p
}

// scripted are the deployments of late 2025 whose rows say TP 1 and EP 1 for workers
// of several chips: "tp, ep, and dp-attn do nothing because they are hardcoded" in
// scripts, says the list, and its comments name the workers (nvidia-master.yaml of
// ROCm/InferenceMAX@03067ca). Its low-latency workers of one node, which the list calls
// DEP4, are cut by tensors in the recipes that followed (srt-slurm,
// gb200-fp8 and gb200-fp4, low-latency.yaml); R1 in FP8 does not fit DEP4.
var scripted = []struct {
	precision       string
	input           int
	prefill, decode string
}{
	{"fp8", 1024, "2xdep8", "1xdep32"}, {"fp8", 1024, "3xdep8", "1xdep48"}, {"fp8", 1024, "1xtp4", "4xtp4"},
	{"fp8", 8192, "5xdep8", "1xdep32"}, {"fp8", 8192, "1xtp4", "1xtp4"},
	{"fp4", 1024, "4xdep4", "1xdep48"}, {"fp4", 1024, "4xdep4", "1xdep32"}, {"fp4", 1024, "1xtp4", "2xtp4"},
	{"fp4", 8192, "6xtp4", "1xdep48"}, {"fp4", 8192, "10xtp4", "1xdep32"}, {"fp4", 8192, "1xtp4", "4xtp4"},
}

// placeholders replaces degrees of 1 by those of the scripts, where the list names
// such workers.
func (r *inferenceXRow) placeholders() {
	if r.engine() != "dynamo-sglang" || max(r.prefill.tp, r.prefill.ep, r.decode.tp, r.decode.ep) > 1 {
		return
	}
	for _, x := range scripted {
		prefill, decode := workers(x.prefill), workers(x.decode)
		if x.precision == r.precision && x.input == r.isl && r.prefill.has(&prefill) && r.decode.has(&decode) {
			r.prefill.degrees(&prefill)
			r.decode.degrees(&decode)
			return
		}
	}
}

func (p *inferenceXPool) degrees(q *scenario.Pool) {
	p.tp, p.ep, p.dataParallel = q.TP*q.DP, q.EP, q.DP > 1
}

// servers are the launch choices of SGLang's two servers behind a disaggregating
// front end. Both are of a worker; SGLang divides them by its data-parallel ranks.
type servers struct {
	engine    string
	chips     []string
	precision string  // "" is all
	spec      string  // "" is all
	gather    [2]bool // no --moe-a2a-backend in the prefill, in the decode recipe
	chunk     [2]int  // --chunked-prefill-size, without and with data-parallel attention
	// running is --max-running-requests of decode: tensor parallelism, with experts
	// in parallel too, data-parallel attention. 0 is more than any row has clients.
	running [3]int
	// prefilling is --max-running-requests of prefill, which counts prompts until their
	// cache has left: both pools cut by tensors, decode alone with data-parallel
	// attention, prefill with it. 0 is more than any prefill worker holds.
	prefilling [3]int
	source     string
}

var sglangServers = []servers{
	{"dynamo-sglang", []string{"h100"}, "", "", [2]bool{true, true}, [2]int{2048, 2048}, [3]int{128, 128, 64}, [3]int{2, 4, 0}, "srt-slurm recipes/h100 (csahithi/srt-slurm@31050f9)"},
	{"dynamo-sglang", []string{"h200"}, "", "mtp", [2]bool{true, true}, [2]int{163840, 65536}, [3]int{128, 128, 128}, [3]int{256, 256, 64}, "srt-slurm recipes/h200 (csahithi/srt-slurm@44b22ab, a2198b8)"},
	{"dynamo-sglang", []string{"h200"}, "", "", [2]bool{true, true}, [2]int{163840, 262144}, [3]int{512, 512, 512}, [3]int{512, 512, 512}, "srt-slurm recipes/h200 (csahithi/srt-slurm@59bb0e1)"},
	{"dynamo-sglang", []string{"b200"}, "fp4", "", [2]bool{true, true}, [2]int{32768, 32768}, [3]int{512, 512, 1024}, [3]int{512, 512, 512}, "srt-slurm recipes/b200-fp4 (connorcarpenter15/srt-slurm@5a156f6)"},
	{"dynamo-sglang", []string{"b200"}, "", "", [2]bool{true, true}, [2]int{32768, 32768}, [3]int{512, 512, 512}, [3]int{512, 512, 512}, "srt-slurm recipes/b200-fp8 (csahithi/srt-slurm@2173522)"},
	{"dynamo-sglang", []string{"gb200", "gb300"}, "fp4", "", [2]bool{true, false}, [2]int{131072, 65536}, [3]int{}, [3]int{}, "srt-slurm recipes/gb200-fp4 (ishandhanani/srt-slurm@ab58651, f64d2b9)"},
	{"dynamo-sglang", []string{"gb200", "gb300"}, "", "", [2]bool{}, [2]int{131072, 131072}, [3]int{}, [3]int{}, "srt-slurm recipes/gb200-fp8, gb300-fp8 (ishandhanani/srt-slurm@ab58651, f64d2b9)"},
	{"mori-sglang", []string{"mi355x"}, "fp4", "", [2]bool{}, [2]int{16384, 65536}, [3]int{128, 256, 0}, [3]int{128, 128, 24}, "InferenceX benchmarks/multi_node/amd_utils/models.yaml@02d1804"},
	{"mori-sglang", []string{"mi355x"}, "", "", [2]bool{}, [2]int{262144, 65536}, [3]int{128, 256, 0}, [3]int{128, 128, 24}, "InferenceX benchmarks/multi_node/amd_utils/models.yaml@02d1804"},
}

// router is the front end's policy. Dynamo's frontend is started without --router-mode,
// whose default takes workers in turn (srt-slurm src/srtctl/frontends/dynamo.py,
// ishandhanani/srt-slurm@4d7e1f2; NVIDIA Dynamo, Router Guide). Within a worker SGLang takes
// data-parallel ranks in turn (--load-balance-method round_robin), TensorRT-LLM the one
// with the least to do (_torch/pyexecutor/py_executor.py). Recipes of racks start
// several frontends, each with turns of its own, which is not modelled. MoRI's is the default.
func (s *start) router() string {
	switch s.engine {
	case "dynamo-sglang":
		return "round-robin"
	case "dynamo-trtllm":
		return "round-robin-instances"
	}
	return ""
}

// serve puts the launch choices of SGLang's servers into a deployment of two pools.
func (s *start) serve(d *scenario.Deployment) {
	i := slices.IndexFunc(sglangServers, func(x servers) bool {
		return x.engine == s.engine && slices.Contains(x.chips, s.chip) &&
			(x.precision == "" || x.precision == s.precision) && (x.spec == "" || x.spec == s.spec)
	})
	if i < 0 {
		return
	}
	x := &sglangServers[i]
	chunk, running, prefilling := x.chunk[0], x.running[0], x.prefilling[0]
	switch {
	case d.Decode.DP > 1:
		running, prefilling = x.running[2], x.prefilling[1]
	case d.Decode.EP > 1:
		running = x.running[1]
	}
	if d.Prefill.DP > 1 {
		chunk, prefilling = x.chunk[1], x.prefilling[2]
	}
	d.Prefill.MaxTokens, d.Decode.MaxSequences = chunk/d.Prefill.DP, running/d.Decode.DP
	d.Prefill.MaxSequences = prefilling / d.Prefill.DP
	for i, p := range []*scenario.Pool{d.Prefill, d.Decode} {
		if p.DP > 1 && x.gather[i] {
			p.Experts.Exchange = string(cost.Gather)
		}
	}
	// No recipe has --enable-two-batch-overlap.
	d.Overlap = string(cost.NoOverlap)
	s.lowLatency(d)
}

// lowLatency is the chunk of GB200's and GB300's recipes whose pools are both cut by
// tensors, by the prompts' length: --chunked-prefill-size 8192, 24576 with 8K prompts,
// of which the default of 16,384 --max-prefill-tokens is less; GB300's FP8 recipes say
// 32768 for both (srt-slurm recipes/gb200-fp4, gb200-fp8, gb300-fp4, gb300-fp8,
// low-latency.yaml, as above). Those of late 2025 give nearly all of memory to weights
// and cache, without which R1 in FP8 has no room on four chips (ai-dynamo/dynamo@bc8ca75
// slurm_jobs/scripts/gb200-fp8/disagg/8k1k-low-latency.sh, and gb200-fp4 as above).
func (s *start) lowLatency(d *scenario.Deployment) {
	if !strings.HasPrefix(s.chip, "gb") || d.Prefill.DP > 1 || d.Decode.DP > 1 {
		return
	}
	d.Prefill.MaxTokens = 8192
	if s.chip == "gb200" {
		d.MemoryFraction = 0.95
	}
	switch {
	case s.input > 1024 && s.chip == "gb300" && s.precision == "fp8":
		d.Prefill.MaxTokens = 32768
	case s.input > 1024:
		d.Prefill.MaxTokens = 16384
	}
}
