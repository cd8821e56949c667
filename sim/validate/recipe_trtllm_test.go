package validate

import (
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
)

// What TensorRT-LLM's launch scripts choose.
func TestTensorRTLaunchScripts(t *testing.T) {
	llama := with(kimi, "backend", "trtllm", "model_path", "meta-llama/Llama-3.1-70B", "precision", "fp8", "gemm_quant_mode", "fp8",
		"attention_dp_size", "1", "moe_ep_size", "1")
	gptoss := with(llama, "model_path", "openai/gpt-oss-120b", "precision", "fp4", "moe_tp_size", "4")
	r1 := with(h200, "hardware", "b200", "decode_ep", "1", "conc", "64")
	for _, x := range []struct {
		name              string
		columns           []string
		row               map[string]string
		tokens, sequences int
		kv                models.Format
		memory            float64
		wait              cost.BatchWait
		balance           cost.Balance
	}{
		{"Llama 1K/1K", siliconColumns, llama, 16384, 0, models.FP8, 0, cost.BatchWait{Steps: 20, Share: 0.9}, cost.Balance{}},
		{"Llama 1K/1K on 8", siliconColumns, with(llama, "tp_size", "8"), 16384, 0, models.FP8, 0, cost.BatchWait{}, cost.Balance{}},
		{"Llama 8K/1K", siliconColumns, with(llama, "isl", "8192"), 16384, 0, models.FP8, 0, cost.BatchWait{}, cost.Balance{}},
		{"gpt-oss", siliconColumns, gptoss, 20000, 512, models.FP8, 0.85, cost.BatchWait{}, cost.Balance{}},
		{"gpt-oss, H200", siliconColumns, with(gptoss, "system", "h200_sxm"), 20000, 32, models.BF16, 0.85, cost.BatchWait{}, cost.Balance{}},
		{"gpt-oss, DP", siliconColumns, with(gptoss, "tp_size", "1", "attention_dp_size", "4", "moe_tp_size", "1", "moe_ep_size", "4"),
			20000, 512, models.FP8, 0.85, cost.BatchWait{}, cost.Balance{Steps: 50, Gather: 10}},
		{"R1 1K/1K", inferenceXColumns, r1, 8192, 0, models.FP8, 0.8, cost.BatchWait{Steps: 40, Share: 0.8}, cost.Balance{}},
		{"R1 1K/1K, 256 clients", inferenceXColumns, with(r1, "conc", "256"), 8192, 0, models.FP8, 0.7, cost.BatchWait{}, cost.Balance{}},
		{"R1, DP", inferenceXColumns, with(r1, "decode_ep", "8", "decode_dp_attn", "True", "isl", "8192"), 8320, 0, models.FP8, 0.8, cost.BatchWait{}, cost.Balance{Steps: 60}},
		{"R1, H200", inferenceXColumns, with(r1, "hardware", "h200"), 8192, 0, models.FP8, 0.75, cost.BatchWait{}, cost.Balance{}},
	} {
		s := onlyCase(t, x.columns, x.row).Scenario
		d := s.Deployment
		if p := d.Serve; p.MaxTokens != x.tokens || p.MaxSequences != x.sequences || d.Precision.KV != x.kv ||
			engineNumber(s, "memory_fraction") != x.memory || engineNumber(s, "batch_wait.steps") != float64(x.wait.Steps) ||
			engineNumber(s, "batch_wait.share") != x.wait.Share || engineNumber(s, "balance.steps") != float64(x.balance.Steps) || engineNumber(s, "balance.gather") != float64(x.balance.Gather) {
			t.Errorf("%s: %+v, %+v", x.name, d, p)
		}
	}
}

// Rows are gathered where there are no more expert ranks than a token has experts: 8 of
// R1's, 4 of gpt-oss's.
func TestTensorRTExchange(t *testing.T) {
	gptoss := with(kimi, "backend", "trtllm", "model_path", "openai/gpt-oss-120b", "precision", "fp4", "gemm_quant_mode", "fp8", "tp_size", "1", "moe_tp_size", "1")
	r1 := with(h200, "conc", "64")
	for _, x := range []struct {
		columns []string
		row     map[string]string
		want    string
	}{
		{siliconColumns, with(gptoss, "attention_dp_size", "4", "moe_ep_size", "4"), "gather"},
		{siliconColumns, with(gptoss, "attention_dp_size", "8", "moe_ep_size", "8"), ""},
		{inferenceXColumns, with(r1, "decode_ep", "8", "decode_dp_attn", "True"), "gather"},
		{inferenceXColumns, with(r1, "decode_ep", "8"), ""},
	} {
		if d := onlyCase(t, x.columns, x.row).Scenario.Deployment; d.Serve.Experts.Exchange != x.want {
			t.Errorf("%+v: exchange %q, want %q", d.Serve, d.Serve.Experts.Exchange, x.want)
		}
	}
}

// Its runs by aiconfigurator: a step takes every client's row and one prompt, and
// 1500 tokens to spare.
func TestGapAnalysisRuns(t *testing.T) {
	for engine, want := range map[string]struct {
		tokens int
		memory float64
	}{"trtllm": {16 + 1024 + 1500, 0.8}, "vllm": {16 + 1024 + 1500, 0}, "sglang": {8192, 0}} {
		s := onlyCase(t, siliconColumns, with(local, "backend", engine)).Scenario
		d := s.Deployment
		if d.Serve.MaxTokens != want.tokens || engineNumber(s, "memory_fraction") != want.memory {
			t.Errorf("%s: %+v, %+v", engine, d, d.Serve)
		}
	}
}
