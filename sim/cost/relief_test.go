package cost

import (
	"maps"
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// faster is a topology whose links, or its chip whose memory or sums, are so many times as
// fast.
func faster(t *topologies.Topology, links, memory, sums float64) *topologies.Topology {
	out, chip := *t, *t.Chip
	chip.Memory.Bandwidth *= spec.Bandwidth(memory)
	chip.Peak = maps.Clone(chip.Peak)
	for p := range chip.Peak {
		chip.Peak[p] *= spec.Compute(sums)
	}
	out.Chip = &chip
	out.Tiers = append([]topologies.Tier(nil), t.Tiers...)
	for i := range out.Tiers {
		out.Tiers[i].Bandwidth *= spec.Bandwidth(links)
	}
	return &out
}

// Where nothing overlaps and no rank waits, a cause that is relieved gives up its share,
// and the others keep theirs.
func TestReliefIsTheShare(t *testing.T) {
	s := newStepper(t, "llama-3.1-8b", "hgx-h100:8", Config{Role: Mixed, Engine: loadEngine(t, "sglang")})
	loads := everywhere(s, both(decode(s, 40, 3000), prefill(s, 1, 700, 0)))
	plain := s.Step(loads)
	for c := range cause.Idle {
		step := s.Relieved(1.1, c).Step(loads)
		sound(t, step)
		for d := range cause.Idle {
			want := plain.Causes[d].Seconds()
			if d == c {
				want /= 1.1
			}
			if got := step.Causes[d].Seconds(); got < want-2e-9 || got > want+2e-9 {
				t.Errorf("%s relieved: %s takes %g s, want %g", cause.Names[c], cause.Names[d], got, want)
			}
		}
	}
	if again := s.Step(loads); again != plain {
		t.Errorf("the stepper that was relieved prices %+v, not %+v", again, plain)
	}
}

// Relief is what more of the resource gives: links or memory a tenth faster make a step
// as much shorter, overlap in two batches and waiting ranks included.
func TestReliefIsMoreOfTheResource(t *testing.T) {
	const by = 1.1
	for _, x := range []struct {
		name        string
		links       float64 // of what the system has
		role        Role
		causes      []cause.Cause
		links2, hbm float64
		sums        float64
		within      float64 // of the gain
	}{
		{"links, hidden", 1, Prefill, []cause.Cause{cause.CommBandwidth}, by, 1, 1, 0.1},
		{"links, the longer side", 0.02, Prefill, []cause.Cause{cause.CommBandwidth}, by, 1, 1, 0.05},
		{"links in decode", 0.05, Decode, []cause.Cause{cause.CommBandwidth}, by, 1, 1, 0.1},
		{"memory in decode", 1, Decode, []cause.Cause{cause.HBMWeights, cause.HBMKV, cause.HBMAct}, 1, by, 1, 0.15},
		{"sums, with ranks that wait", 1, Prefill, []cause.Cause{cause.Compute}, 1, 1, by, 0.1},
	} {
		t.Run(x.name, func(t *testing.T) {
			base := faster(loadTopology(t, "hgx-h800:32"), x.links, 1, 1)
			at := func(topology *topologies.Topology) (*Stepper, []Load) {
				s := newStepper(t, "v3", "", Config{Topology: topology, Role: x.role, Layout: Layout{DP: 32, EP: 32, Overlap: TwoBatch, Routing: Routing{Kind: PowerLaw, Alpha: 1.01}}})
				l := decode(s, 64, 4000)
				if x.role == Prefill {
					l = prefill(s, 4, 4096, 0)
				}
				return s, everywhere(s, l)
			}
			s, loads := at(base)
			more, _ := at(faster(base, x.links2, x.hbm, x.sums))
			plain := s.Step(loads).Time.Seconds()
			want := plain - more.Step(loads).Time.Seconds()
			got := plain - s.Relieved(by, x.causes...).Step(loads).Time.Seconds()
			if diff := got - want; diff > x.within*want+1e-6*plain || -diff > x.within*want+1e-6*plain {
				t.Errorf("relieved, the step of %g s gains %g s; %g on the faster system", plain, got, want)
			}
		})
	}
}

// Where communication is the longer of two sides that overlap, faster arithmetic only
// uncovers it: the cause with the larger share is not the one that gains.
func TestSharesAndReliefMayDisagree(t *testing.T) {
	topology := faster(loadTopology(t, "hgx-h800:32"), 0.6, 1, 1)
	e := *loadEngine(t, "vllm")
	e.OverlapStreams, e.Fitted.OverlapFraction, e.CommCoresFraction = 1, 1, 0
	s := newStepper(t, "v3", "", Config{Topology: topology, Role: Prefill, Engine: &e, Layout: Layout{DP: 32, EP: 32, Overlap: TwoBatch}})
	loads := everywhere(s, prefill(s, 4, 4096, 0))
	plain := s.Step(loads)
	gain := func(c cause.Cause) float64 {
		return 1 - s.Relieved(1.1, c).Step(loads).Time.Seconds()/plain.Time.Seconds()
	}
	if plain.Causes[cause.Compute] < plain.Causes[cause.CommBandwidth] || gain(cause.Compute) > gain(cause.CommBandwidth) {
		t.Errorf("compute %v gains %g, links %v gain %g", plain.Causes[cause.Compute], gain(cause.Compute), plain.Causes[cause.CommBandwidth], gain(cause.CommBandwidth))
	}
}
