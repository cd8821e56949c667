package sim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/result"
)

// Systems that mechanisms are switched in: one rank with one client and with eight;
// experts over ranks; two pools.
const (
	single = `
version: 1
model: llama-3.1-8b
topology: hgx-h100
workload: {concurrency: 1, requests: 4, input_tokens: "1000", output_tokens: "101"}
deployment: {mode: aggregated, serve: {instances: 1, tp: 1}, engine: vllm}
`
	batch = `
version: 1
model: llama-3.1-8b
topology: hgx-h100
workload: {concurrency: 8, requests: 64, input_tokens: "1000", output_tokens: "uniform(60,140)"}
deployment: {mode: aggregated, serve: {instances: 1, tp: 1}, engine: vllm}
`
	// Two waves, whole: prompts and answers are apart in time.
	experts = `
version: 1
model: v3
topology: hgx-h200:16
workload: {concurrency: 512, requests: 1024, window: all, input_tokens: "200", output_tokens: "50"}
deployment: {mode: aggregated, serve: {instances: 1, dp: 16, ep: 16}, routing: uniform, engine: vllm}
`
	pools = `
version: 1
model: v3
topology: hgx-h200:32
workload: {concurrency: 16, requests: 64, input_tokens: "4000", output_tokens: "50"}
deployment:
  mode: disaggregated
  prefill: {instances: 1, dp: 16, ep: 16}
  decode: {instances: 1, dp: 16, ep: 16}
  engine: vllm
`
)

// TestSwitches switches one mechanism after another, whole runs apart, and bounds what
// that does by what it stands for: the change of a figure from without to with, as a
// difference or as a ratio. A system is written once; set gives paths of the scenario,
// engine lines of a profile.
func TestSwitches(t *testing.T) {
	drafting := strings.Replace(experts, "engine:", "mtp: {drafts: 1, accepted_length: 1.8}, engine:", 1)
	apart := strings.Replace(pools, "engine:", "overlap: none\n  engine:", 1)
	lone := strings.Replace(pools, "concurrency: 16", "concurrency: 1", 1)
	skewed := strings.Replace(pools, "engine:", "routing: power-law(1.2)\n  engine:", 1)
	transfer := func(r *result.Result) float64 { return r.Causes.Request.KVTransfer * r.Latency.E2E.Mean }
	for _, c := range []struct {
		name, base  string
		of          func(*result.Result) float64
		set, engine []string
		difference  bool
		low, high   float64
	}{
		{name: "host time stands in every step", base: single, of: tpot,
			engine: []string{"fitted: {host_step_us: 1400}"}, difference: true, low: 0.999, high: 1.001},
		{name: "a front end delays the first token alone", base: single, of: ttft,
			engine: []string{"fitted: {ttft_ms: 72}"}, difference: true, low: 49.99, high: 50.01},
		{name: "and not the others", base: single, of: tpot,
			engine: []string{"fitted: {ttft_ms: 72}"}, difference: true, low: -0.001, high: 0.001},
		{name: "the software of a hand-over delays the first token", base: lone, of: ttft,
			engine: []string{"fitted: {handover_ms: 50}"}, difference: true, low: 49.99, high: 50.01},
		{name: "as the request's own account says", base: lone, of: transfer,
			engine: []string{"fitted: {handover_ms: 50}"}, difference: true, low: 49.99, high: 50.01},
		{name: "an overlapped host is hidden behind the chip", base: single, of: tpot,
			engine: []string{"host_overlapped: true"}, difference: true, low: -0.407, high: -0.405},
		// 32 layers of about ten kernels, 50 µs apart: the host binds, chip time is hidden.
		{name: "without CUDA graphs the host launches every kernel", base: single, of: tpot,
			engine: []string{"decode_launch: eager", "fitted: {eager_kernel_us: 50}"}, difference: true, low: 6, high: 20},
		// Twenty steps pass between looks, so that a request waits for ten on average.
		{name: "polling makes requests wait for half an interval", base: batch, of: func(r *result.Result) float64 { return ttft(r) / tpot(r) },
			set: []string{"engine.poll_steps=20"}, difference: true, low: 7, high: 16},
		// 1,000 prompt tokens in steps of 100 instead of one: at least nine decode-like steps more.
		{name: "chunks lengthen a prompt", base: single, of: ttft,
			set: []string{"deployment.serve.max_tokens=100"}, difference: true, low: 9 * 4, high: 10 * 12},
		{name: "and shorten the worst gap of those that decode", base: batch, of: func(r *result.Result) float64 { return r.Latency.ITL.P99 },
			set: []string{"deployment.serve.max_tokens=256"}, low: 0.2, high: 0.9},
		{name: "the cache is what memory leaves", base: single, of: func(r *result.Result) float64 { return float64(r.KV.CapacityBytes) },
			engine: []string{"memory_fraction: 0.82"}, difference: true, low: -0.1001 * 0.99 * (80 << 30), high: -0.0999 * 0.99 * (80 << 30)},
		// 131,072 bytes a token in BF16; 15.5 tokens less of half pages, once a sequence.
		{name: "a page is half empty", base: single, of: func(r *result.Result) float64 { return float64(r.KV.PeakBytes) },
			engine: []string{"page_tokens: 16"}, difference: true, low: -120.5 * 131072, high: -119.5 * 131072},
		{name: "drafts shorten the time per token by what is accepted, less what they cost", base: experts, of: tpot,
			set: []string{"deployment.mtp.drafts=1", "deployment.mtp.accepted_length=1.8"}, low: 1 / 1.8, high: 0.95},
		// 32 sequences a rank, 100 µs each, a step of 1.8 tokens; in the last wave fewer.
		{name: "drafts keep a host that does not overlap them", base: drafting, of: tpot,
			engine: []string{"fitted: {draft_sequence_us: 100}"}, difference: true, low: 0.85 * 3.2 / 1.8, high: 1.02 * 3.2 / 1.8},
		{name: "skewed routing waits for the heaviest rank", base: experts, of: tpot,
			set: []string{"deployment.routing=power-law(1.2)"}, low: 1.02, high: 3},
		{name: "redundant copies of heavy experts take some of that back", base: skewed, of: ttft,
			set: []string{"deployment.prefill.experts.redundant=32"}, low: 0.4, high: 0.97},
		{name: "two batches hide communication behind compute", base: apart, of: func(r *result.Result) float64 { return float64(r.Causes.NS.Prefill.Hidden) },
			set: []string{"deployment.overlap=two-batch"}, difference: true, low: 1, high: 1e18},
		{name: "and the prompt is sooner done", base: apart, of: ttft,
			set: []string{"deployment.overlap=two-batch"}, low: 0.5, high: 0.99},
		{name: "a cache in BF16 takes longer to hand over", base: pools, of: transfer,
			set: []string{"deployment.precision.kv=bf16"}, low: 1.3, high: 2.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			without, with := c.of(switched(t, c.base, nil, nil)), c.of(switched(t, c.base, c.set, c.engine))
			change := with / without
			if c.difference {
				change = with - without
			}
			if !(change >= c.low && change <= c.high) {
				t.Errorf("%g → %g: %g, want %g to %g", without, with, change, c.low, c.high)
			}
		})
	}
}

func tpot(r *result.Result) float64 { return r.Latency.TPOT.Mean }
func ttft(r *result.Result) float64 { return r.Latency.TTFT.Mean }

func switched(t *testing.T, base string, set, engine []string) *result.Result {
	t.Helper()
	s := read(t, base)
	// The profile is vllm's with known numbers, so that differences are too.
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	s.Deployment.Engine = write("plain.yaml", "name: plain\nbase: vllm\npage_tokens: 256\nmemory_fraction: 0.92\npoll_steps: 1\nfitted: {host_step_us: 400, host_sequence_us: 6, ttft_ms: 22}\n")
	if engine != nil {
		s.Deployment.Engine = write("switched.yaml", fmt.Sprintf("name: switched\nbase: plain.yaml\n%s\n", strings.Join(engine, "\n")))
	}
	for _, assignment := range set {
		path, value, _ := strings.Cut(assignment, "=")
		if err := s.Set(path, value); err != nil {
			t.Fatal(err)
		}
	}
	r, err := sim.Run(t.Context(), s, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
