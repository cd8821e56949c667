package plan

import (
	"fmt"
	"math"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
)

// limits is the bottleneck of a scenario with some paths set, and its capacity.
func limits(t *testing.T, text string, sets ...string) (*result.Bottleneck, float64) {
	t.Helper()
	s, err := plant.Read("s.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(sets); i += 2 {
		if err := s.Set(sets[i], sets[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	_, p, err := Complete(t.Context(), s, sim.Options{}, Options{LayoutOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	return p.Options.Bottleneck, p.CapacityRequestsPerS
}

const (
	pools = `{version: 1, model: v3, topology: "hgx-h200:64", workload: {input_tokens: "1000", output_tokens: "500"}, seed: 1, deployment: {mode: disaggregated, engine: sglang, routing: uniform,
  prefill: {instances: %d, tp: 1, dp: 8, ep: 8}, decode: {instances: %d, tp: 1, dp: 16, ep: 16}}}`
	serving = `{version: 1, model: v3, topology: "hgx-h200:32", workload: {input_tokens: "4000", output_tokens: "500"}, seed: 1, slo: {ttft: 20s, tpot: 200ms},
  deployment: {mode: aggregated, engine: sglang, routing: uniform, serve: {instances: 1, tp: 1, dp: 32, ep: 32}}}`
	deciding = `{version: 1, model: llama-3.1-8b, topology: "hgx-h100:2", workload: {input_tokens: "1000", output_tokens: "500"}, seed: 1, slo: {ttft: 5s, tpot: 25ms},
  deployment: {mode: disaggregated, engine: sglang, prefill: {instances: 1, tp: 1}, decode: {instances: 1, tp: 1}}}`
)

// Cases in which the answer is known.
func TestBottleneckIsWhatWasMadeScarce(t *testing.T) {
	for _, c := range []struct {
		name, text     string
		sets           []string
		pool, resource string
	}{
		{"few prefill instances", fmt.Sprintf(pools, 1, 3), nil, "prefill", "compute"},
		{"few decode instances", fmt.Sprintf(pools, 6, 1), nil, "decode", ""},
		{"links of 1 GB/s", serving, []string{"topology.tiers.leaf.bandwidth", "1GB/s"}, "serve", "communication_bandwidth"},
		{"a slow host", serving, []string{"engine.fitted.host_step_us", "100000"}, "serve", "host"},
		{"slow memory", deciding, []string{"chip.memory.bandwidth", "x0.5"}, "decode", "memory_bandwidth"},
		{"few sums", deciding, []string{"chip.peak.bf16", "x0.1", "slo.ttft", "20s"}, "prefill", "compute"},
		{"slow launches", deciding, []string{"engine.decode_launch", "eager", "engine.fitted.eager_kernel_us", "80"}, "decode", "latency"},
		{"a small cache", deciding, []string{"chip.memory.capacity", "x0.32", "slo.tpot", "500ms", "engine.fitted.host_step_us", "8000"}, "decode", result.MemoryCapacity},
	} {
		b, _ := limits(t, c.text, c.sets...)
		if got, _ := b.Most(); b.Pool != c.pool || c.resource != "" && got.Key != c.resource {
			t.Errorf("%s: %s; want %s and %s: %+v", c.name, b.Words(), c.pool, c.resource, b)
		}
	}
}

// Twice the decode instances leave capacity where prefill has it, and it is prefill that
// is named; before, decode was, and a tenth more of what is named gives what is said.
func TestMoreOfThePoolThatDoesNotLimit(t *testing.T) {
	one, before := limits(t, fmt.Sprintf(pools, 2, 1))
	two, after := limits(t, fmt.Sprintf(pools, 2, 2))
	three, last := limits(t, fmt.Sprintf(pools, 1, 2))
	if one.Pool != "decode" || !(after > before) || three.Pool != "prefill" || !(last < after) {
		t.Errorf("%s at %g, %s at %g, %s at %g", one.Words(), before, two.Words(), after, three.Words(), last)
	}
	for name, rate := range one.Capacities {
		want := before
		if name == "prefill" {
			want = two.Capacities["prefill"]
		}
		if math.Abs(rate-want) > 1e-3*want {
			t.Errorf("%s alone sustains %g, want %g", name, rate, want)
		}
	}
}

// What is said of a tenth more is what a plan of the system that has it finds.
func TestGainsAreThoseOfTheFasterSystem(t *testing.T) {
	for _, c := range []struct {
		text, path, resource string
	}{
		{serving, "topology.tiers.*.bandwidth", "communication_bandwidth"},
		{deciding, "chip.memory.bandwidth", "memory_bandwidth"},
	} {
		b, before := limits(t, c.text)
		_, after := limits(t, c.text, c.path, "x1.1")
		if got, want := b.Gains[c.resource], after/before-1; math.Abs(got-want) > 0.2*want+0.01 {
			t.Errorf("%s x1.1 gives %.4f, the bottleneck says %.4f", c.path, want, got)
		}
	}
}
