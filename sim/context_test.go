package sim_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/result"
)

// shares is one client's long prompts on 16 ranks that prefill, cp of which share each.
const shares = `
version: 1
model: v4-flash
topology: supernode8912
workload: {concurrency: 1, requests: 3, input_tokens: %q, output_tokens: "20"}
deployment:
  mode: disaggregated
  prefill: {instances: 1, tp: %d, dp: %d, cp: %d, ep: 16, max_tokens: 65536}
  decode: {instances: 1, tp: 8, ep: 8}
`

// A long prompt's first token comes the sooner the more ranks share it: every doubling
// saves half of what the one before did, as of a time A/CP + B (B has the experts, which lie
// on all ranks either way). Each rank sends its share of the cache, as the ranks of a tensor-parallel group
// do, so that the hand-over takes what it takes from that many.
func TestContextParallelRun(t *testing.T) {
	var handedOver des.Time
	at := func(tp, cp int) *result.Result {
		r, err := sim.Run(t.Context(), read(t, fmt.Sprintf(shares, "500000", tp, 16/tp/cp, cp)), sim.Options{
			OnRequest: func(c *metrics.Completion) { handedOver = c.KVTransfer },
		})
		if err != nil {
			t.Fatal(err)
		}
		if q := r.Requests; q.Completed < 3 || q.Completed+q.InFlight != q.Arrived {
			t.Fatalf("CP %d: %+v", cp, r.Requests)
		}
		if l := r.Deployment.Prefill.Layout; l.CP != cp || r.Deployment.Prefill.ChipsPerInstance != 16 {
			t.Fatalf("CP %d: %+v", cp, r.Deployment.Prefill)
		}
		return r
	}
	one := at(1, 1)
	before, gained := one, 0.0
	for _, cp := range []int{2, 4, 8, 16} {
		r := at(1, cp)
		gain := before.Latency.TTFT.Mean - r.Latency.TTFT.Mean
		if gain < 0.1*r.Latency.TTFT.Mean || gained > 0 && math.Abs(gain/gained-0.5) > 0.01 {
			t.Errorf("CP %d: TTFT %.1f ms falls by %.1f, and by %.1f with half as many", cp, r.Latency.TTFT.Mean, gain, gained)
		}
		if r.KV.PeakBytes != one.KV.PeakBytes {
			t.Errorf("CP %d: sequences hold %d bytes, without %d", cp, r.KV.PeakBytes, one.KV.PeakBytes)
		}
		before, gained = r, gain
	}
	at(8, 1)
	byHeads := handedOver
	if at(1, 8); handedOver != byHeads {
		t.Errorf("eight ranks that share a prompt hand over in %v, eight that cut its heads in %v", handedOver, byHeads)
	}
	if at(1, 1); handedOver < 4*byHeads {
		t.Errorf("one rank hands over in %v, eight in %v", handedOver, byHeads)
	}
}

// What no engine does is refused with the pool and the reason.
func TestContextParallelPools(t *testing.T) {
	for text, says := range map[string]string{
		`{mode: aggregated, serve: {instances: 1, cp: 8}}`:                                                   "of a mixed instance, and only instances that prefill alone are modelled so",
		`{mode: disaggregated, prefill: {instances: 1, cp: 8}, decode: {instances: 1, dp: 8, ep: 8, cp: 2}}`: "share each prompt of a decode instance",
	} {
		s := read(t, "version: 1\nmodel: v4-flash\ntopology: supernode8912\nworkload: {rate: 1, requests: 10, input_tokens: \"1000\", output_tokens: \"10\"}\ndeployment: "+text)
		if _, err := sim.Run(t.Context(), s, sim.Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// What has been published of prompts that ranks share, none of it fitted: CANN's guide has
// DeepSeek-V3.2 in BF16 with balanced experts on 64 Ascend 910C, whose 128 dies share 128K
// tokens, below 2 s (hicann/cann-recipes-infer, docs/models/deepseek-v3.2-exp). Two groups
// of four that cut heads, sharing prompts, against eight that cut heads: vllm-project/vllm#43809
// with V4 (its chips are not named), ROCm/ATOM#1220 on MI355X with eight clients.
func TestContextParallelPublished(t *testing.T) {
	ttft := func(text string) float64 {
		_, r := run(t, read(t, "version: 1\n"+text), sim.Options{})
		return r.Latency.TTFT.Mean
	}
	cann := ttft(`
model: v3.2
topology: cloudmatrix384
deployment:
  mode: disaggregated
  routing: uniform
  overlap: none
  precision: {weights: bf16, experts: bf16, kv: bf16}
  prefill: {instances: 1, cp: 128, ep: 128, max_tokens: 131072}
  decode: {instances: 1, dp: 128, ep: 128}
workload: {input_tokens: "131072", output_tokens: "10", concurrency: 1, requests: 2}
`)
	if cann < 1000 || cann > 2000 {
		t.Errorf("128 dies have the first token of 128K tokens in %.0f ms, CANN's below 2 s", cann)
	}
	for _, x := range []struct {
		topology, engine, prompt string
		saved                    float64 // published
	}{
		{"hgx-b200:16", "vllm", "131072", 1 - 8.73/11.17}, {"hgx-b200:16", "vllm", "524288", 1 - 41.01/49.19}, {"hgx-b200:16", "vllm", "1000000", 1 - 95.59/126.68},
		{"hgx-mi355x:16", "sglang", "16384", 1 - 4920.0/8012}, {"hgx-mi355x:16", "sglang", "65536", 1 - 18667.0/32727},
	} {
		at := func(layout string) float64 {
			return ttft(fmt.Sprintf(`
model: v4
topology: %s
deployment:
  mode: disaggregated
  engine: %s
  prefill: {instances: 1, ep: 8, %s}
  decode: {instances: 1, tp: 8, ep: 8}
workload: {input_tokens: %q, output_tokens: "10", concurrency: 1, requests: 2}
`, x.topology, x.engine, layout, x.prompt))
		}
		heads, shared := at("tp: 8"), at("tp: 4, cp: 2")
		t.Logf("%s on %s: %.0f → %.0f ms, %.0f %% less; published %.0f %%", x.prompt, x.topology, heads, shared, 100*(1-shared/heads), 100*x.saved)
		if math.Abs(1-shared/heads-x.saved) > 0.2 {
			t.Errorf("%s tokens on %s: sharing saves %.0f %%, published %.0f %%", x.prompt, x.topology, 100*(1-shared/heads), 100*x.saved)
		}
	}
}
