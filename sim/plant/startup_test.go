package plant

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
)

// startup is what a user writes to get what a start-up log is of.
type startup struct {
	model, topology, engine string
	patches                 string // of the engine and the chip, as YAML
	serve                   string // the pool, as YAML
	precision               string
}

// memory is the account of a rank, or why there is none.
func (s *startup) memory() (*cost.Memory, error) {
	text := fmt.Sprintf("version: 1\nmodel: %s\ntopology: %q\nworkload: {concurrency: 1, requests: 1}\npatches: {%s}\ndeployment: {mode: aggregated, engine: %s, precision: {%s}, serve: {instances: 1, %s}}\n",
		s.model, s.topology, s.patches, s.engine, s.precision, s.serve)
	asked, err := Read("startup.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	asked.Defaults()
	p, err := Build(asked, Source{})
	if err != nil {
		return nil, err
	}
	m := p.Pools[0].Stepper.Memory()
	return &m, nil
}

// What a log says of a rank.
const gibibyte = 1 << 30

func available(m *cost.Memory) float64 { return float64(m.Free) / gibibyte }
func weights(m *cost.Memory) float64   { return float64(m.WeightBytes) / gibibyte }
func tokens(m *cost.Memory) float64    { return float64(m.Holds().Tokens) }
func perToken(m *cost.Memory) float64  { return m.Holds().EngineBytes }

// atMost is how many requests of a length a rank holds, needed the GiB that one needs.
func atMost(length int64) func(*cost.Memory) float64 {
	return func(m *cost.Memory) float64 { return m.Concurrency(length) }
}

func needed(length int64) func(*cost.Memory) float64 {
	return func(m *cost.Memory) float64 { return float64(m.RequestBytes(length)) / gibibyte }
}

var (
	ossOneH100   = startup{"gpt-oss-120b", "hgx-h100:1", "vllm-0.11", "engine.memory_fraction: 0.95", "max_tokens: 1024", ""}
	flashDP8     = startup{"v4-flash", "hgx-b200:8", "vllm", "engine.memory_fraction: 0.95", "dp: 8, ep: 8, max_tokens: 8192, max_sequences: 256", ""}
	flashTP8     = startup{"v4-flash", "hgx-b200:8", "vllm", "engine.memory_fraction: 0.95", "tp: 8, ep: 8, max_tokens: 8192, max_sequences: 256", ""}
	flashTP2     = startup{"v4-flash", "hgx-h200:2", "vllm", "engine.memory_fraction: 0.95", "tp: 2, ep: 2, max_tokens: 16384, max_sequences: 256", ""}
	qwen35       = startup{"testdata/qwen3.5-27b.yaml", "hgx-h20:1", "vllm", "engine.memory_fraction: 0.9, chip.memory.capacity: 141GiB", "max_tokens: 16384, max_sequences: 16", ""}
	qwen235      = startup{"qwen3-235b", "hgx-h100:4", "vllm-0.11", "", "tp: 4", "weights: fp8_block, experts: fp8_block"}
	qwen235Other = startup{"qwen3-235b", "hgx-h100:4", "sglang", "engine.memory_fraction: 0.93", "tp: 4", "weights: fp8_block, experts: fp8_block"}
	llama8       = startup{"llama-3.1-8b", "hgx-h100:1", "vllm", "engine.memory_fraction: 0.92", "tp: 1", ""}
	llama8V0     = startup{"llama-3.1-8b", "l40s:1", "vllm-0.11", "", "tp: 1", ""}
	oss20A100    = startup{"gpt-oss-20b", "hgx-a100:1", "vllm", "engine.memory_fraction: 0.65", "tp: 1", ""}
	r1SGLang     = startup{"r1", "hgx-h200:8", "sglang", "engine.memory_fraction: 0.82", "tp: 8, max_tokens: 32768", "kv: bf16"}
	r1           = startup{"r1", "hgx-h200:8", "trtllm", "engine.memory_fraction: 0.85", "tp: 8, max_tokens: 16384, max_sequences: 256", ""}
)

// Start-up logs that are public, a row a figure, predicted from what whoever has the log
// wrote: within a tenth, or what is said. No constant of the account is fitted to a row;
// they come from where the engines' files say, some from others of these logs.
var startupLogs = []struct {
	source string
	of     *startup
	what   func(*cost.Memory) float64
	logged float64
	within float64
}{
	{`"Available KV cache memory: 1.71 GiB" vllm-project/vllm#27508`, &ossOneH100, available, 1.71, 0.1},
	{`"Model loading took 65.9651 GiB" vllm-project/vllm#23278`, &ossOneH100, weights, 65.9651, 0.01},
	{"78,384 tokens in 5.38 GiB, alvarobartt/hf-mem#60", &ossOneH100, perToken, 73728, 1e-9},
	{"156.9x of 1,048,576 tokens on eight ranks, vllm-project/vllm#51454", &flashDP8, atMost(1 << 20), 156.9 / 8, 0.1},
	{"20.43x of 1,048,576 tokens, vllm-project/vllm#51454", &flashTP8, atMost(1 << 20), 20.43, 0.1},
	{"30,000 tokens need 6.66 GiB, vllm-project/vllm#44376", &flashTP2, needed(30000), 6.66, 0.03},
	{"290,864 tokens, vllm-project/vllm#40691", &qwen35, tokens, 290864, 0.1},
	{"33.04x of 32,768 tokens, vllm-project/vllm#40691", &qwen35, atMost(32768), 33.04, 0.1},
	{`"Available KV cache memory: 8.11 GiB" vllm-project/vllm#21348`, &qwen235, available, 8.11, 0.1},
	{"178,880 tokens, vllm-project/vllm#21348", &qwen235, tokens, 178880, 0.1},
	{"SGLang: #tokens: 367404, vllm-project/vllm#21348", &qwen235Other, tokens, 367404, 0.1},
	{`"Model loading took 14.9889 GiB" vllm-project/vllm#17122`, &llama8V0, weights, 14.9889, 0.01},
	{`"Model loading took 15.0 GiB", 460,496 tokens, a log of vLLM of 2026-10-06`, &llama8, tokens, 460496, 0.1},
	{`"Model loading took 13.72 GiB", vLLM 0.19, myoceane.fr, ai-vllm-a100-gemma-4`, &oss20A100, weights, 13.72, 0.01},
	{`"Available KV cache memory: 36.56 GiB", the same`, &oss20A100, available, 36.56, 0.1},
	{"SGLang: about 509,000 tokens, ai-dynamo/aisimulate#263", &r1SGLang, tokens, 509e3, 0.1},
	{"TensorRT-LLM: available KV cache memory 41.11 GiB of 139.81, a log among the tests of aiperf", &r1, available, 41.11, 0.1},
}

// TestStartupLogs holds the account of memory to what engines say when they start.
func TestStartupLogs(t *testing.T) {
	for _, x := range startupLogs {
		m, err := x.of.memory()
		if err != nil {
			t.Errorf("%s: %v", x.source, err)
			continue
		}
		got := x.what(m)
		t.Logf("%-90s logged %9.6g, predicted %9.6g (%+.1f %%)", x.source, x.logged, got, 100*(got/x.logged-1))
		if !(math.Abs(got/x.logged-1) <= x.within) {
			t.Errorf("%s: %s on %s, %s: %g, logged %g; the rank has %.2f GiB of cache beside %v",
				x.source, x.of.model, x.of.topology, x.of.engine, got, x.logged, available(m), m.Items())
		}
	}
}

// Logs that say whether an engine starts: whether a rank holds a request of a length.
func TestWhetherEnginesStart(t *testing.T) {
	pro := func(fraction string) *startup {
		return &startup{"v4-pro", "hgx-h200:8", "vllm", "engine.memory_fraction: " + fraction, "dp: 8, ep: 8, max_tokens: 512, max_sequences: 512", ""}
	}
	ascend := func(precision string) *startup {
		return &startup{"v4-flash", "atlas-800-a2:8", "cann", "", "chip: ascend910b4, tp: 8, ep: 8", precision}
	}
	for _, x := range []struct {
		source string
		of     *startup
		length int64
		starts bool
	}{
		{"does not start at full context, vllm-project/vllm#27508", &ossOneH100, 131072, false},
		{`at 0.9 "Available KV cache memory: -2.14 GiB", vllm-project/vllm#23278`, &startup{"gpt-oss-120b", "hgx-h100:1", "vllm-0.11", "", "tp: 1", ""}, 1, false},
		{"starts with 800K, vllm-project/recipes#381", pro("0.95"), 800_000, true},
		{"the same with the engine's own fraction", pro("0.92"), 800_000, false},
		{"V4-Flash in W8A8 on eight 910B4, vllm-project/vllm-ascend#8746", ascend("experts: int8"), 4096, false},
		{"its experts in 4 bits", ascend("experts: int4"), 4096, true},
		{"SGLang, --mem-fraction-static 0.88: weights leave nothing, SemiAnalysisAI/InferenceX#2128",
			&startup{"v4-pro", "hgx-h200:8", "sglang", "engine.memory_fraction: 0.88", "dp: 8, ep: 8, max_tokens: 2048", ""}, 1, false},
	} {
		m, err := x.of.memory()
		if err != nil && !strings.Contains(err.Error(), "does not fit") {
			t.Fatal(err)
		}
		if starts := err == nil && m.Concurrency(x.length) >= 1; starts != x.starts {
			t.Errorf("%s: starts with %d tokens is %v: %v", x.source, x.length, starts, err)
		}
	}
}
