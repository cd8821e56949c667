package validate

import (
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
)

// kimi is a row of aiconfigurator's that came from InferenceX: its layout columns say
// TP4 × DP4, which was TP4 EP4 on 4 GPUs, and its batch is the clients over that dp.
var kimi = map[string]string{
	"id": "kimi", "silicon_data_source": "db-dump/2026-04-27; config_id=635; silicon_concurrency=32; vllm/vllm-openai:v0.17.0",
	"backend": "vllm", "backend_version": "0.17.0", "model_path": "moonshotai/Kimi-K2.5", "system": "b200_sxm", "precision": "fp4", "mode": "agg",
	"isl": "1024", "osl": "1024", "gemm_quant_mode": "nvfp4", "batch_size": "8", "tp_size": "4", "pp_size": "1", "attention_dp_size": "4",
	"moe_tp_size": "1", "moe_ep_size": "16", "silicon_ttft_ms": "300", "silicon_tpot_ms": "15",
}

// local is one of its own runs: exact lengths, BF16 because no precision is given.
var local = with(kimi, "id", "local", "silicon_data_source", "source_file=local/projects/data.csv; silicon_concurrency=16", "backend", "sglang",
	"model_path", "Qwen/Qwen3-32B", "system", "h100_sxm", "precision", "", "gemm_quant_mode", "", "batch_size", "16", "tp_size", "2",
	"attention_dp_size", "", "moe_tp_size", "1", "moe_ep_size", "1", "isl", "1024", "osl", "128")

func TestSiliconRowFromInferenceX(t *testing.T) {
	c := onlyCase(t, siliconColumns, kimi)
	d := c.Scenario.Deployment
	if p := d.Serve; c.ID != "kimi" || p.TP != 4 || p.DP != 1 || p.EP != 4 || p.Instances != 1 {
		t.Errorf("%s %+v, want TP4 EP4", c.ID, p)
	}
	if w := c.Scenario.Workload; w.Concurrency != 32 || w.Requests != 320 || w.InputTokens.String() != "uniform(819,1024)" {
		t.Errorf("%+v %v, want 32 clients", w, w.InputTokens)
	}
	if p := d.Precision; p.Weights != models.BF16 || p.Experts != models.NVFP4 {
		t.Errorf("%+v, want attention in BF16, experts in NVFP4", p)
	}
	if c.Measures[0] != (Measure{"tpot_ms_mean", 15}) || c.Measures[1] != (Measure{"ttft_ms_mean", 300}) {
		t.Errorf("%+v, want means", c.Measures)
	}
}

func TestSiliconLocalRow(t *testing.T) {
	c := onlyCase(t, siliconColumns, local)
	d, s := c.Scenario.Deployment, c.Scenario
	if w := c.Scenario.Workload; w.Concurrency != 16 || w.InputTokens.String() != "1024" || w.OutputTokens.String() != "128" {
		t.Errorf("%+v %v %v, want exact lengths", w, w.InputTokens, w.OutputTokens)
	}
	if d.Precision.Weights != "" || int(engineNumber(s, "poll_steps")) != 1 || d.Serve.TP != 2 || d.Serve.MaxTokens != 8192 {
		t.Errorf("%+v, want the checkpoint's BF16, a poll each step, TP2", d)
	}
	// Clients over several replicas: 448 clients, 14 each.
	c = onlyCase(t, siliconColumns, with(local, "silicon_data_source", "source_file=local/x; silicon_concurrency=448", "batch_size", "14", "system", "gb200"))
	if p := c.Scenario.Deployment.Serve; p.Instances != 32 || c.Scenario.Topology != "gb200-nvl72" {
		t.Errorf("%+v on %s, want 32 instances", p, c.Scenario.Topology)
	}
}

// The file does not say which of its Qwen3.5 rows ran with MTP; the benchmark's
// configuration does, by the layout of that version's runs.
func TestSiliconSpeculation(t *testing.T) {
	qwen := with(local, "silicon_data_source", "source_file=2026-03-25.csv; silicon_concurrency=64", "backend", "sglang", "backend_version", "0.5.9",
		"model_path", "Qwen/Qwen3.5-397B-A17B", "system", "b200_sxm", "precision", "fp8", "tp_size", "4", "attention_dp_size", "1")
	for _, x := range []struct {
		row    map[string]string
		drafts int
	}{
		{with(qwen, "moe_tp_size", "4", "moe_ep_size", "1"), 3},
		{with(qwen, "moe_tp_size", "1", "moe_ep_size", "4"), 0},
		{with(qwen, "moe_tp_size", "4", "moe_ep_size", "1", "backend_version", "0.5.10.post1"), 0},
	} {
		s := onlyCase(t, siliconColumns, x.row).Scenario
		if d := s.Deployment; d.MTP.Drafts != x.drafts || int(engineNumber(s, "poll_steps")) != 30 {
			t.Errorf("moe tp %s of %s: %+v, poll %g; want %d drafts", x.row["moe_tp_size"], x.row["backend_version"], d.MTP, engineNumber(s, "poll_steps"), x.drafts)
		}
	}
}

func TestSiliconLayouts(t *testing.T) {
	moe := &checkpoint{MoE: true}
	for _, x := range []struct {
		stated     siliconPool
		tp, dp, ep int
	}{
		{siliconPool{16, 1, 1, 4, 4}, 4, 1, 4},
		{siliconPool{64, 1, 1, 8, 8}, 8, 1, 8},
		{siliconPool{1, 1, 16, 4, 4}, 1, 4, 4},
		{siliconPool{1, 1, 64, 8, 8}, 1, 8, 8},
		{siliconPool{4, 1, 4, 1, 16}, 4, 1, 4},
		{siliconPool{4, 1, 1, 2, 2}, 2, 1, 2},
		{siliconPool{8, 1, 0, 1, 8}, 8, 1, 8},
		{siliconPool{1, 1, 4, 1, 4}, 1, 4, 4},
	} {
		p, err := x.stated.pool(moe, false)
		if err != nil || p.TP != x.tp || p.DP != x.dp || p.EP != x.ep {
			t.Errorf("%+v: %+v, %v; want TP%d DP%d EP%d", x.stated, p, err, x.tp, x.dp, x.ep)
		}
	}
	if p, err := (siliconPool{4, 1, 1, 2, 2}).pool(moe, true); err != nil || p.TP != 4 || p.EP != 2 {
		t.Errorf("a run of the project's own: %+v, %v; want TP4 EP2", p, err)
	}
	if p, err := (siliconPool{2, 1, 0, 0, 0}).pool(&checkpoint{}, false); err != nil || p.TP != 2 || p.DP != 1 || p.EP != 1 {
		t.Errorf("a dense model: %+v, %v", p, err)
	}
	for _, stated := range []siliconPool{{8, 1, 1, 2, 2}, {0, 1, 1, 1, 1}, {8, 2, 1, 8, 1}} {
		if p, err := stated.pool(moe, false); err == nil {
			t.Errorf("%+v is laid out as %+v", stated, p)
		}
	}
}

func TestSiliconFormats(t *testing.T) {
	for _, x := range []struct {
		path, precision, gemm string
		weights, experts      models.Format
	}{
		{"meta-llama/Llama-3.1-70B", "fp8", "fp8", models.FP8, ""},
		{"meta-llama/Llama-3.1-8B-Instruct", "fp8", "fp8_block", models.FP8Block, ""},
		{"Qwen/Qwen3-235B-A22B-FP8", "fp8", "fp8", models.FP8Block, models.FP8Block},
		{"MiniMaxAI/MiniMax-M2.5", "fp8", "fp8", "", ""},
		{"openai/gpt-oss-120b", "fp4", "nvfp4", "", ""},
		{"Qwen/Qwen3.5-397B-A17B", "bf16", "", "", ""},
	} {
		c := onlyCase(t, siliconColumns, with(kimi, "model_path", x.path, "precision", x.precision, "gemm_quant_mode", x.gemm))
		if p := c.Scenario.Deployment.Precision; p.Weights != x.weights || p.Experts != x.experts {
			t.Errorf("%s in %s: %+v, want %q %q", x.path, x.precision, p, x.weights, x.experts)
		}
	}
}

func TestSiliconSkips(t *testing.T) {
	for _, x := range []struct{ change, to, why string }{
		{"quality_flags", "no concurrency", "quality_flags: no concurrency"},
		{"model_path", "deepseek-ai/DeepSeek-R1", "MTP is not labelled"},
		{"model_path", "a/b", `unknown model "a/b"`},
		{"system", "tpu9", `unknown chip "tpu9"`},
		{"precision", "fp8", "no fp8 checkpoint of kimi-k2.5 is known"},
		{"moe_ep_size", "3", "moe_tp 1 × moe_ep 3 is not tp 4 × attention_dp 4"},
		{"mode", "disagg", "prefill: layout unknown: tp_size is empty"},
		{"silicon_data_source", "x; silicon_concurrency=none", `silicon_concurrency is "none"`},
	} {
		row := with(kimi, x.change, x.to)
		if x.to == "disagg" {
			row = with(row, "decode_tp_size", "4", "decode_moe_tp_size", "1", "decode_moe_ep_size", "4")
		}
		set := readOne(t, siliconColumns, row)
		if len(set.Skipped) != 1 || !strings.Contains(set.Skipped[0].Why, x.why) {
			t.Errorf("%s=%s: %+v, want skipped for %q", x.change, x.to, set, x.why)
		}
	}
}

func TestSiliconDisaggregated(t *testing.T) {
	c := onlyCase(t, siliconColumns, with(kimi, "system", "gb200", "mode", "disagg", "batch_size", "",
		"prefill_num_workers", "1", "prefill_tp_size", "4", "prefill_attention_dp_size", "1", "prefill_moe_tp_size", "1", "prefill_moe_ep_size", "4",
		"decode_num_workers", "4", "decode_tp_size", "4", "decode_attention_dp_size", "1", "decode_moe_tp_size", "1", "decode_moe_ep_size", "4"))
	d := c.Scenario.Deployment
	if d.Mode != "disaggregated" || d.Prefill.Instances != 1 || d.Decode.Instances != 4 || d.Decode.TP != 4 || d.Decode.EP != 4 || c.Scenario.Workload.Concurrency != 32 {
		t.Errorf("%+v %+v %+v", d, d.Prefill, d.Decode)
	}
}

// A doubtful measurement is told of, not left out.
func TestSiliconNotes(t *testing.T) {
	c := onlyCase(t, siliconColumns, with(kimi, "backend_version", "0.12.0", "model_path", "Qwen/Qwen3-235B-A22B-FP8", "precision", "fp8"))
	if !strings.Contains(c.Note, "eager") {
		t.Errorf("note %q", c.Note)
	}
}

// vLLM rows of InferenceX run with what its launch scripts say, by version.
func TestSiliconRecipesOfVLLM(t *testing.T) {
	minimax := with(kimi, "model_path", "MiniMaxAI/MiniMax-M2.5", "system", "b200_sxm", "precision", "fp8", "moe_tp_size", "4", "moe_ep_size", "1", "attention_dp_size", "1", "isl", "8192")
	for _, x := range []struct {
		version, source    string
		kv, router         models.Format
		memory             float64
		chunk, graphTokens int
	}{
		{"0.19.0", "db-dump/2026-04-27", models.FP8, models.BF16, 0.9, 16384, 2048},
		{"0.19.0", "source_file=2026-03-25.csv", models.FP8, "", 0.9, 16384, 2048},
		{"0.17.0", "source_file=2026-03-25.csv", "", "", 0.95, 0, 0},
	} {
		row := with(minimax, "backend_version", x.version, "silicon_data_source", x.source+"; silicon_concurrency=32")
		s := onlyCase(t, siliconColumns, row).Scenario
		d := s.Deployment
		if d.Precision.KV != x.kv || d.Precision.Router != x.router || engineNumber(s, "memory_fraction") != x.memory || d.Serve.MaxTokens != x.chunk || int(engineNumber(s, "graph_tokens")) != x.graphTokens {
			t.Errorf("v%s: %+v, serve %+v", x.version, d, d.Serve)
		}
	}
}
