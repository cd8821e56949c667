package result

import (
	"slices"
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
)

// The sentence names the pool that sustains least and what more of a resource gives
// there, whatever the other pool's time goes to; where another resource takes more of a
// step, it says so.
func TestBottleneckSentence(t *testing.T) {
	run := Result{Causes: Causes{
		Prefill: Shares{cause.Compute: 0.5, cause.HBMAct: 0.1, cause.CommBandwidth: 0.2, cause.Idle: 0.2},
		Decode:  Shares{cause.Launch: 0.7, cause.HBMKV: 0.3},
		NS: CausesNS{
			Prefill: PhaseNS{Causes: [cause.Count]int64{cause.Compute: 50, cause.Idle: 10}},
			Decode:  PhaseNS{Causes: [cause.Count]int64{cause.HBMKV: 30, cause.HBMWeights: 10}},
		},
	}}
	rates := map[string]float64{"prefill": 6446, "decode": 6846}
	for _, c := range []struct {
		b               Bottleneck
		words, sentence string
	}{
		{Bottleneck{Pool: "prefill", Limit: "TTFT", Capacities: rates, Gains: map[string]float64{"compute": 0.11, "communication_bandwidth": 0.02}},
			"prefill: TTFT; compute",
			"Prefill limits capacity, by its TTFT, at an estimated 6446 requests/s (decode 6846). It is bound by compute, 62 % of a step (arithmetic 62 %): 10 % more of it gives 11.0 % more requests/s."},
		{Bottleneck{Pool: "prefill", Limit: "TTFT", Capacities: rates, Gains: map[string]float64{"compute": 0.01, "communication_bandwidth": 0.08}},
			"prefill: TTFT; communication bandwidth",
			"Prefill limits capacity, by its TTFT, at an estimated 6446 requests/s (decode 6846). It is bound by communication bandwidth, 25 % of a step (bytes on links 25 %): 10 % more of it gives 8.0 % more requests/s." +
				" Compute takes more of a step, 62 %, and 10 % more of it gives 1.0 %."},
		{Bottleneck{Pool: "serve", Limit: "KV cache", Capacities: map[string]float64{"serve": 33.09}, Gains: map[string]float64{MemoryCapacity: 0.07, "memory_bandwidth": 0.05}},
			"KV cache; memory capacity",
			"Capacity is limited by KV cache, at an estimated 33.09 requests/s. It is bound by memory capacity: 10 % more of it gives 7.0 % more requests/s."},
		{Bottleneck{Pool: "decode", Limit: "max_sequences", Capacities: rates, Gains: map[string]float64{"compute": 0.004}},
			"decode: max_sequences",
			"Decode limits capacity, by its max_sequences, at an estimated 6846 requests/s (prefill 6446); a tenth more of no resource alone would change that."},
		{Bottleneck{Pool: "decode", Limit: "TPOT", Misses: true, Capacities: rates, Gains: map[string]float64{"latency": 0.06}},
			"decode: TPOT; latency",
			"Decode misses the SLO by its TPOT even when almost empty. It is bound by latency, 70 % of a step (kernel launches and floors 70 %): 10 % more of it would bring it 6.0 % nearer."},
	} {
		r := run
		r.Bottleneck = c.b.Of(&r)
		if got := r.Bound(); got.Words != c.words || got.Sentence != c.sentence || r.Bottleneck.Sentence != c.sentence {
			t.Errorf("%q, %q\nwant %q, %q", got.Words, got.Sentence, c.words, c.sentence)
		}
	}
	if none := (*Bottleneck)(nil).Of(&run); none != nil {
		t.Errorf("%+v of nothing", none)
	}
}

// The resources are the groups of causes, all of them but idle time, and one that stands
// for no time.
func TestResourcesAreTheGroups(t *testing.T) {
	seen := map[cause.Cause]string{}
	for _, r := range Resources {
		for _, c := range r.Causes {
			seen[c] = r.Name
		}
		if len(r.Causes) == 0 && r.Key != MemoryCapacity {
			t.Errorf("%s stands for nothing", r.Name)
		}
	}
	for c := range cause.Count {
		if want := causeGroups[c].group; seen[c] != want {
			t.Errorf("%s is of %q, the groups say %q", cause.Names[c], seen[c], want)
		}
	}
	if !slices.ContainsFunc(Resources, func(r Resource) bool { return r.Key == MemoryCapacity }) {
		t.Error("memory's capacity is no resource")
	}
}
