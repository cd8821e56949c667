package validate

import (
	"slices"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/scenario"
)

// recipe is how a benchmark's launch script starts an engine, where it differs from
// the engine's profile. Zero leaves a choice to the profile.
type recipe struct {
	engine       string
	chips        []string // nil is all
	model        string   // "" is all
	precision    string   // "" is all
	spec         string   // "" is all, none, mtp
	maxTokens    int      // chunk of prompt tokens a step
	maxSequences int
	poll         [2]int // steps between two looks at the queue, below 16 clients and from 16
	drafts       int
	kv           models.Format
	version      string  // of the engine, or its beginning; "" is all
	snapshot     string  // of the data that a row is from, or its beginning; "" is all
	memory       float64 // the engine's memory fraction
	router       models.Format
	graphTokens  int // most rows of a captured step
	inputs       int // chunk of prompt tokens in multiples of the nominal input; 0: maxTokens
	source       string
}

var (
	blackwell = []string{"b200", "b300"}
	hopper    = []string{"h100", "h200"}
	mi300     = []string{"mi300x", "mi325x"}
)

const qwen35 = "qwen3.5-397b-a17b"

// recipes are the launch scripts of SemiAnalysisAI/InferenceX, benchmarks/ and
// benchmarks/single_node/; the first that fits is taken. TensorRT-LLM's scripts
// decide by more than fits a line: see recipe_trtllm.go. An engine behind a
// disaggregating front end (dynamo-, mori-) polls at every step: its recipes set no
// interval, but for the rack-scale low-latency ones, whose 10 is how often decode looks
// for requests that it is to receive.
var recipes = []recipe{
	{engine: "sglang", chips: blackwell, model: "deepseek-r1", spec: "mtp", maxTokens: 16384, maxSequences: 512, poll: [2]int{10, 30}, drafts: 2, source: "dsr1_fp8_b200_mtp.sh@285b662, dsr1_fp4_b200_mtp.sh@f89cdfe"},
	{engine: "sglang", chips: blackwell, model: "deepseek-r1", precision: "fp4", maxTokens: 16384, maxSequences: 256, poll: [2]int{10, 30}, source: "dsr1_fp4_b200.sh@1fc5d73"},
	{engine: "sglang", chips: blackwell, model: "deepseek-r1", precision: "fp8", maxTokens: 32768, maxSequences: 128, poll: [2]int{10, 30}, source: "dsr1_fp8_b200.sh@1fc5d73"},
	{engine: "sglang", chips: blackwell, model: qwen35, spec: "mtp", maxTokens: 16384, maxSequences: 512, poll: [2]int{10, 30}, drafts: 3, kv: models.FP8, source: "qwen3.5_fp8_b200_mtp.sh@8eec0d4: as many as there are clients"},
	{engine: "sglang", chips: blackwell, model: qwen35, precision: "fp4", maxTokens: 32768, maxSequences: 128, poll: [2]int{30, 30}, kv: models.FP8, source: "qwen3.5_fp4_b200.sh@088fe66"},
	{engine: "sglang", chips: blackwell, model: qwen35, precision: "bf16", maxTokens: 32768, maxSequences: 128, poll: [2]int{10, 30}, source: "qwen3.5_bf16_b200.sh@29d69fa"},
	{engine: "sglang", chips: blackwell, model: qwen35, maxTokens: 32768, maxSequences: 128, poll: [2]int{10, 30}, kv: models.FP8, source: "qwen3.5_fp8_b200.sh@01fa35c"},
	{engine: "sglang", chips: blackwell, model: "glm-5", precision: "fp4", maxTokens: 32768, poll: [2]int{10, 10}, kv: models.FP8, source: "glm5_fp4_b200.sh@405c601"},
	{engine: "sglang", chips: blackwell, model: "glm-5", maxTokens: 32768, poll: [2]int{1, 1}, kv: models.FP8, source: "glm5_fp8_b200.sh@4eca3fe"},
	{engine: "sglang", chips: hopper, model: qwen35, maxTokens: 16384, maxSequences: 128, poll: [2]int{1, 1}, kv: models.FP8, source: "qwen3.5_fp8_h200.sh@2116fc4"},
	{engine: "sglang", chips: hopper, model: "deepseek-r1", maxTokens: 32768, maxSequences: 512, poll: [2]int{1, 1}, drafts: 2, kv: models.BF16, source: "dsr1_fp8_h200_mtp.sh@bdf931e: no --kv-cache-dtype"},
	{engine: "sglang", chips: mi300, maxTokens: 131072, poll: [2]int{4, 4}, drafts: 3, source: "dsr1_fp8_mi300x.sh@285b662: --num-continuous-decode-steps 4"},
	{engine: "sglang", chips: []string{"mi355x"}, spec: "mtp", maxTokens: 196608, poll: [2]int{8, 8}, drafts: 3, source: "dsr1_fp8_mi355x_mtp.sh@ba8d7d0: --num-continuous-decode-steps 8"},
	{engine: "sglang", chips: []string{"mi355x"}, maxTokens: 196608, poll: [2]int{4, 4}, source: "dsr1_fp4_mi355x.sh@1fc5d73"},
	{engine: "trtllm", drafts: 3, source: "dsr1_fp8_b200_trt_mtp.sh@111f031: three draft layers, one with data-parallel attention"},
	{engine: "dynamo-trtllm", drafts: 3, kv: models.FP8, source: "as trtllm"},
	{engine: "dynamo-sglang", chips: hopper, poll: [2]int{1, 1}, drafts: 2, kv: models.BF16, source: "srt-slurm recipes/h100, recipes/h200: no kv-cache-dtype (csahithi/srt-slurm@59bb0e1, a2198b8, 31050f9)"},
	{engine: "dynamo-sglang", poll: [2]int{1, 1}, drafts: 2, source: "as sglang"},
	{engine: "mori-sglang", poll: [2]int{1, 1}, drafts: 3, source: "as sglang on MI355X"},
	{engine: "atom", drafts: 1, source: "dsr1_fp4_mi355x_atom_mtp.sh@bc11f9a: --method mtp with the engine's own number, 1"},
}

// start is what decides on a launch script's choices.
type start struct {
	engine, version, snapshot, chip, model, precision, spec string
	clients, input, output                                  int
	tensorParallel, dataParallel                            int // ranks and attention ranks of an instance
}

func (s *start) recipe() recipe {
	recipes := recipes
	if s.engine == "vllm" {
		recipes = vllmRecipes
	}
	i := slices.IndexFunc(recipes, func(r recipe) bool {
		return r.engine == s.engine && strings.HasPrefix(s.version, r.version) && strings.HasPrefix(s.snapshot, r.snapshot) && (r.chips == nil || slices.Contains(r.chips, s.chip)) &&
			(r.model == "" || r.model == s.model) && (r.precision == "" || r.precision == s.precision) && (r.spec == "" || r.spec == s.spec)
	})
	if i < 0 {
		return recipe{}
	}
	return recipes[i]
}

// apply puts the script's choices into a scenario.
func (s *start) apply(d *scenario.Deployment) {
	r := s.recipe()
	if s.spec == "mtp" {
		if d.MTP.Drafts == 0 {
			d.MTP.Drafts = r.drafts
			if s.dataParallel > 1 && (s.engine == "trtllm" || s.engine == "dynamo-trtllm") {
				d.MTP.Drafts = 1
			}
		}
		d.MTP.AcceptedLength = accepted(s.model, d.MTP.Drafts)
	}
	if r.router != "" {
		d.Precision.Router = r.router
	}
	if r.kv != "" {
		d.Precision.KV = r.kv
	}
	d.MemoryFraction, d.GraphTokens = r.memory, r.graphTokens
	if d.PollSteps = r.poll[0]; s.clients >= 16 {
		d.PollSteps = r.poll[1]
	}
	if d.Prefill != nil {
		s.serve(d)
	}
	if d.Serve != nil {
		d.Serve.MaxTokens, d.Serve.MaxSequences = r.maxTokens, r.maxSequences
		if r.inputs > 0 {
			d.Serve.MaxTokens = r.inputs * s.input
		}
		if s.engine == "trtllm" {
			s.trtllm(d)
		}
	}
}

// acceptedLengths are published mean tokens a verify step, by number of drafts,
// for models whose own file has fewer. DeepSeek publishes one draft only; two and
// three are those of V4's module of the same kind (InferenceX golden_al_distribution,
// V4-Pro, thinking on), assumed for R1.
var acceptedLengths = map[string][]float64{
	"deepseek-r1": {0, 2.27, 2.49},
}

func accepted(model string, drafts int) float64 {
	if a := acceptedLengths[model]; drafts >= 1 && drafts <= len(a) {
		return a[drafts-1]
	}
	return 0
}
