package route_test

import (
	"slices"
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/traces"
)

// busy is a trace of conversations that keeps a small deployment of a rig full.
func busy(n int, gap float64, block int) []traces.Request {
	out := poisson(n, gap, 0, 0)
	for i := range out {
		out[i].InputTokens, out[i].OutputTokens = int32(20+(i*37)%180), int32(1+(i*53)%90)
		for k := range int(out[i].InputTokens) / block {
			out[i].Prefix = append(out[i].Prefix, uint64(1000*(i%7)+k))
		}
	}
	return out
}

// tight is a deployment of both modes in which requests wait, give way and share.
func tight(t *testing.T, mode, name string, requests []traces.Request) route.Config {
	var cfg route.Config
	if mode == "aggregated" {
		cfg = aggregated(t, 3, 2, nil)
	} else {
		cfg = disaggregated(t, 3, 2, 1)
	}
	for i := range cfg.Pools {
		s := serve.NewSpec(i, cfg.Pools[i].Spec.Stepper, 16)
		s.Memory.Free = 2 * s.Memory.SequenceBytes(300)
		s.Watermark, s.MaxTokens = s.Memory.Free/50, 64
		cfg.Pools[i].Spec = s
	}
	cfg.Policy, cfg.Source = router(t, name), &fixedSource{requests: requests, block: 16}
	return cfg
}

var modes = []string{"aggregated", "disaggregated"}

func TestLaterTraceIsTheSameLater(t *testing.T) {
	const shift = 86_400_000_000_007
	requests := busy(300, 1.5e6, 16)
	later := slices.Clone(requests)
	for i := range later {
		later[i].Arrival += shift
	}
	hits := int64(0)
	for _, mode := range modes {
		for _, p := range policy.All() {
			now, before := simulate(t, tight(t, mode, p.Name, requests))
			then, after := simulate(t, tight(t, mode, p.Name, later))
			hits += before.PrefixHits
			if before.Preemptions == 0 {
				t.Fatalf("%s, %s: no pre-emptions show little", mode, p.Name)
			}
			for i := range now {
				c := now[i]
				c.Arrival, c.FirstToken, c.Finish = c.Arrival+shift, c.FirstToken+shift, c.Finish+shift
				if then[i] != c {
					t.Fatalf("%s, %s:\nshifted %s\nlater   %s", mode, p.Name, describe(&c), describe(&then[i]))
				}
			}
			for i := range before.Window.Ledgers { // idle before the first arrival
				phase := metrics.Decode
				if i == 0 && mode == "disaggregated" {
					phase = metrics.Prefill
				}
				pools := tight(t, mode, p.Name, nil).Pools
				after.Window.Ledgers[i].Causes[phase][cause.Idle] -= shift * int64(pools[i].Instances)
			}
			after.Window.End -= shift
			equal(t, mode+", "+p.Name, before, after)
		}
	}
	if hits == 0 {
		t.Error("no prefix hits show little")
	}
}

func TestNamesOfBlocksDoNotMatter(t *testing.T) {
	requests := busy(300, 1.5e6, 16)
	renamed := slices.Clone(requests)
	for i := range renamed {
		renamed[i].Session = uint64(i) * 77
		renamed[i].Prefix = slices.Clone(renamed[i].Prefix)
		for k, id := range renamed[i].Prefix {
			renamed[i].Prefix[k] = id*0x9e3779b97f4a7c15 + 12345 // odd factor: one to one
		}
	}
	for _, mode := range modes {
		before, sum := simulate(t, tight(t, mode, "", requests))
		after, other := simulate(t, tight(t, mode, "", renamed))
		if !slices.Equal(before, after) || sum.PrefixHits == 0 {
			t.Errorf("%s: other block ids, other results (%d hits)", mode, sum.PrefixHits)
		}
		equal(t, mode, sum, other)
	}
}

func TestAnotherReplicaIsNeverWorse(t *testing.T) {
	requests := busy(1500, 2.5e5, 16)
	for _, x := range []struct {
		mode string
		pool int // that grows; the other has enough
	}{{"aggregated", 0}, {"disaggregated", 0}, {"disaggregated", 1}} {
		last := des.Time(1 << 62)
		for instances := 1; instances <= 4; instances++ {
			cfg := aggregated(t, 0, instances, nil)
			if x.mode == "disaggregated" {
				cfg = disaggregated(t, 0, 4, 4)
				cfg.Pools[x.pool].Instances = instances
			}
			for i := range cfg.Pools {
				cfg.Pools[i].Spec.MaxTokens, cfg.Pools[i].Spec.MaxSequences = 128, 32
			}
			cfg.Policy, cfg.Source = router(t, "round-robin"), &fixedSource{requests: requests}
			got, _ := simulate(t, cfg)
			mean := des.Time(0)
			for i := range got {
				mean += (got[i].Finish - got[i].Arrival) / des.Time(len(got))
			}
			if mean > last {
				t.Errorf("%s, pool %d: mean latency %d ns with %d instances, %d with one fewer", x.mode, x.pool, mean, instances, last)
			}
			last = mean
		}
	}
}

func TestSameSeedSameRun(t *testing.T) {
	requests := busy(200, 1.5e6, 16)
	for _, mode := range modes {
		for _, p := range policy.All() {
			run := func(seed uint64) []metrics.Completion {
				cfg := tight(t, mode, p.Name, requests)
				cfg.Seed = seed
				got, _ := simulate(t, cfg)
				return got
			}
			if !slices.Equal(run(1), run(1)) {
				t.Errorf("%s, %s: two runs with one seed differ", mode, p.Name)
			}
			if differ := !slices.Equal(run(1), run(2)); differ != (p.Name == "power-of-two") && slices.Contains(twinPolicies, p.Name) {
				t.Errorf("%s, %s: runs with two seeds differ: %v", mode, p.Name, differ)
			}
		}
	}
}
