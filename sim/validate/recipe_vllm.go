package validate

import "github.com/clustersim/clustersim/models"

// vllmRecipes are the vLLM launch scripts of SemiAnalysisAI/InferenceX; the first
// that fits is taken. KV in FP8 without a flag is the checkpoint's own: vLLM follows
// kv_cache_quant_algo of NVIDIA's checkpoints (vllm-project/vllm#29980). A running
// limit equal to the clients (--max-num-seqs $CONC) binds nobody and is left out.
// Routers in TF32 run on tensor cores and are taken as BF16's. Captured graphs end at
// 512 rows unless a script says otherwise; with cudagraph_mode FULL_DECODE_ONLY no
// step with a prompt is one.
var vllmRecipes = []recipe{
	{engine: "vllm", chips: blackwell, model: "llama-3.1-70b", kv: models.FP8, memory: 0.9, maxTokens: 8192, maxSequences: 512, graphTokens: 1, source: "70b_fp4_b200_docker.sh@bb4c7f9, 70b_fp8_b200_docker.sh@bb4c7f9"},
	{engine: "vllm", chips: hopper, model: "llama-3.1-70b", kv: models.FP8, memory: 0.9, maxTokens: 8192, source: "70b_fp8_h200_slurm.sh@409e9a4, 70b_fp8_h100_slurm.sh@2a205bb"},
	{engine: "vllm", chips: blackwell, model: "gpt-oss-120b", kv: models.FP8, memory: 0.9, maxTokens: 8192, maxSequences: 512, graphTokens: 2048, source: "gptoss_fp4_b200.sh@34bc7c4"},
	{engine: "vllm", chips: hopper, model: "gpt-oss-120b", memory: 0.9, maxTokens: 8192, graphTokens: 2048, source: "gptoss_fp4_h200.sh@34bc7c4, gptoss_fp4_h100.sh@34bc7c4"},
	{engine: "vllm", model: "kimi-k2.5", precision: "fp4", kv: models.FP8, memory: 0.9, source: "kimik2.5_fp4_b200.sh@04107b3, kimik2.5_fp4_b300.sh@5632483"},
	{engine: "vllm", chips: blackwell, model: "kimi-k2.5", precision: "int4", memory: 0.97, source: "kimik2.5_int4_b200.sh@2b7b694"},
	{engine: "vllm", chips: hopper, model: "kimi-k2.5", precision: "int4", memory: 0.95, source: "kimik2.5_int4_h200.sh@34bc7c4"},
	{engine: "vllm", chips: blackwell, model: "minimax-m2.5", version: "0.19", snapshot: "db-dump/2026-04-27", router: models.BF16, kv: models.FP8, memory: 0.9, inputs: 2, graphTokens: 2048, source: "VLLM_FLOAT32_MATMUL_PRECISION=high since pull requests 1068, 1069, 1106 and 1107 of InferenceX"},
	{engine: "vllm", chips: blackwell, model: "minimax-m2.5", version: "0.19", kv: models.FP8, memory: 0.9, inputs: 2, graphTokens: 2048, source: "minimaxm2.5_fp8_b300.sh@5632483, minimaxm2.5_fp4_b300.sh@5632483: the B200 recipes of v0.19"},
	{engine: "vllm", chips: blackwell, model: "minimax-m2.5", precision: "fp4", kv: models.FP8, memory: 0.9, source: "minimaxm2.5_fp4_b200.sh@56245be"},
	{engine: "vllm", chips: blackwell, model: "minimax-m2.5", precision: "fp8", memory: 0.95, source: "minimaxm2.5_fp8_b200.sh@13453b4"},
	{engine: "vllm", chips: []string{"h100"}, model: "minimax-m2.5", memory: 0.9, maxSequences: 256, source: "minimaxm2.5_fp8_h100.sh@34bc7c4"},
	{engine: "vllm", chips: []string{"h200"}, model: "minimax-m2.5", memory: 0.95, source: "minimaxm2.5_fp8_h200.sh@1c3aa8b"},
}
