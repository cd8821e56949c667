package validate

import (
	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
)

// The launch scripts of TensorRT-LLM decide by lengths, clients and layout. All are
// of SemiAnalysisAI/InferenceX, benchmarks/.

// trtllm puts the choices of its script into a scenario.
func (s *start) trtllm(d *scenario.Deployment) {
	switch s.model {
	case "llama-3.1-70b":
		s.trtllmLlama(d)
	case "gpt-oss-120b":
		s.trtllmGPTOSS(d)
	case "deepseek-r1":
		s.trtllmR1(d)
	}
}

// short is 1K in, 1K out.
func (s *start) short() bool { return s.input == 1024 && s.output == 1024 }

// trtllmLlama: 70b_fp8_h200_trt_slurm.sh, 70b_fp8_b200_trt_slurm.sh and
// 70b_fp4_b200_trt_slurm.sh@a267b4b.
func (s *start) trtllmLlama(d *scenario.Deployment) {
	d.Precision.KV = models.FP8
	d.Serve.MaxTokens = 16384
	if s.short() && s.tensorParallel < 8 {
		d.BatchWait = cost.BatchWait{Steps: 20, Share: 0.9}
	}
}

// trtllmGPTOSS: gptoss_fp4_b200_trt.sh@1825e7f, gptoss_fp4_h200_trt.sh@111f031. Both
// set TRTLLM_ENABLE_PDL; on H200 the experts run in Triton, whose kernels take no part
// in it, and the cache keeps the model's own type. Balanced attention data parallelism
// leaves its waits to their defaults (AttentionDpConfig of TensorRT-LLM's llm_args.py).
func (s *start) trtllmGPTOSS(d *scenario.Deployment) {
	d.MemoryFraction = 0.85
	d.Serve.MaxTokens, d.Serve.MaxSequences = 20000, 512
	d.Precision.KV, d.DependentLaunch = models.FP8, true
	if s.chip == "h200" {
		d.Precision.KV, d.DependentLaunch, d.Serve.MaxSequences = models.BF16, false, s.clients
	}
	if s.dataParallel > 1 {
		d.Balance = cost.Balance{Steps: 50, Gather: 10}
	}
	s.exchange(d, 4)
}

// trtllmR1: dsr1_fp4_b200_trt.sh@111f031, dsr1_fp8_b200_trt.sh@0a919c5,
// dsr1_fp8_h200_trt.sh@1fc5d73 and their _mtp forms (111f031, 13dd0c2, 1fc5d73).
func (s *start) trtllmR1(d *scenario.Deployment) {
	d.Precision.KV = models.FP8
	d.MemoryFraction = 0.8
	d.Serve.MaxTokens = s.chunk(d.MTP.Drafts)
	if d.MTP.Drafts > 0 {
		d.Serve.MaxSequences = max(1, s.clients/s.dataParallel)
	}
	if s.dataParallel > 1 {
		d.Balance = cost.Balance{Steps: 60}
	}
	s.exchange(d, 8)
	switch {
	case s.chip == "h200":
		d.MemoryFraction = 0.75
	case s.chip != "b200" || s.precision != "fp8" || d.MTP.Drafts > 0:
	case s.input == 1024 && s.clients >= 256:
		d.MemoryFraction = 0.7
	case s.short() && s.clients >= 64:
		d.BatchWait = cost.BatchWait{Steps: 40, Share: 0.8}
	case s.input == 8192 && s.tensorParallel == 4:
		d.MemoryFraction = 0.75
	}
}

// exchange is how data-parallel ranks meet their experts: they gather all rows where
// there are no more expert ranks than a token has experts (NVIDIA/TensorRT-LLM,
// _torch/modules/fused_moe, select_alltoall_method_type: moe_ep_size <= top_k is
// NotEnabled; no script forces another way).
func (s *start) exchange(d *scenario.Deployment, active int) {
	if s.dataParallel > 1 && d.Serve.EP <= active {
		d.Serve.Experts.Exchange = string(cost.Gather)
	}
}

// chunk is max_num_tokens of R1's scripts: room for a prompt and the decoding rows,
// in multiples of 64, without MTP never below 8192.
func (s *start) chunk(drafts int) int {
	rows := s.clients
	if drafts > 0 {
		rows = (1 + drafts) * max(1, s.clients/s.dataParallel)
	}
	n := (rows + s.input + 64 + 63) / 64 * 64
	if drafts == 0 {
		n = max(n, 8192)
	}
	return n
}

// gapAnalysis puts the choices of aiconfigurator's own runs of vLLM and TensorRT-LLM
// into a scenario: a step's tokens hold every client's row and one prompt, and 1500
// to spare (ai-dynamo/aiconfigurator@581e459,
// src/aiconfigurator/generator/rule_plugin/benchmark/trtllm.rule, vllm.rule), so that
// prompts of more than about 1500 tokens come one a step. TensorRT-LLM's cache takes
// 0.8 of the free memory
// (generator/config/backend_templates/trtllm/extra_engine_args.1.0.0rc3.yaml.j2).
func (r *siliconRow) gapAnalysis(d *scenario.Deployment, clients int) {
	if d.Serve == nil {
		return
	}
	switch r.engine {
	case "vllm", "trtllm":
		d.Serve.MaxTokens = (clients+d.Serve.Instances-1)/d.Serve.Instances + r.isl + 1500
	}
	if r.engine == "trtllm" {
		d.MemoryFraction = 0.8
	}
}
