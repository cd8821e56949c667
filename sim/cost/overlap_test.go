package cost

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// cutStep is a step of 32 ranks of V3 with two-batch overlap, on links so many times
// slower than H800's, after a change of the engine.
func cutStep(t *testing.T, role Role, slower float64, change func(*Engine)) Step {
	t.Helper()
	e := *loadEngine(t, "vllm")
	e.OverlapStreams = 1
	change(&e)
	topology := *loadTopology(t, "hgx-h800:32")
	topology.Tiers = append([]topologies.Tier(nil), topology.Tiers...)
	for i := range topology.Tiers {
		topology.Tiers[i].Bandwidth /= spec.Bandwidth(slower)
	}
	s := newStepper(t, "v3", "", Config{Topology: &topology, Role: role, Engine: &e, Layout: Layout{DP: 32, EP: 32, Overlap: TwoBatch}})
	l := decode(s, 64, 4000)
	if role == Prefill {
		l = prefill(s, 4, 4096, 0)
	}
	return s.Step(everywhere(s, l))
}

func (s Step) communication() des.Time { return s.Causes[CommBandwidth] + s.Causes[CommLatency] }

// Overlap hides the shorter side, never more: where communication is the longer one,
// what is hidden is a fraction of the layers, however much longer communication gets.
func TestOverlapHidesTheShorterSide(t *testing.T) {
	hidden := func(slower, fraction float64) Step {
		return cutStep(t, Prefill, slower, func(e *Engine) { e.Fitted.OverlapFraction, e.CommCoresFraction = fraction, 0 })
	}
	none, all := hidden(1000, 0), hidden(1000, 1)
	if none.Hidden != 0 {
		t.Fatalf("a fraction of 0 hides %v", none.Hidden)
	}
	// Full overlap leaves the longer side whole: the step is communication and what is
	// outside both sides.
	rest := none.Time - none.communication() - all.Hidden
	if rest < 0 || all.Time != none.Time-all.Hidden {
		t.Errorf("the step of %v hides %v; without overlap %v, %v of it communication", all.Time, all.Hidden, none.Time, none.communication())
	}
	for _, slower := range []float64{2000, 8000} {
		near(t, "hidden on slower links", hidden(slower, 1).Hidden.Seconds(), all.Hidden.Seconds(), 1e-9)
	}
	half := hidden(1000, 0.5)
	near(t, "half of it", half.Hidden.Seconds(), all.Hidden.Seconds()/2, 1e-6)
	// On fast links the shorter side is communication.
	fast, apart := hidden(1, 1), hidden(1, 0)
	near(t, "hidden on fast links", fast.Hidden.Seconds(), apart.communication().Seconds(), 1e-6)
	if fast.communication() > 1 {
		t.Errorf("full overlap leaves %v of the shorter side", fast.communication())
	}
}

// Cores that communicate do not compute: arithmetic of the layers takes 1/(1 − f) as
// long beside a prefill's communication, and nothing else does. Decode's kernels hold
// no cores.
func TestCoresThatCommunicate(t *testing.T) {
	at := func(role Role, f float64) Step {
		return cutStep(t, role, 1, func(e *Engine) { e.CommCoresFraction = f })
	}
	none, quarter, half := at(Prefill, 0), at(Prefill, 0.25), at(Prefill, 0.5)
	// C(f) = head + layers/(1 − f): half against a quarter is (2 − 1)/(4/3 − 1).
	ratio := float64(half.Causes[Compute]-none.Causes[Compute]) / float64(quarter.Causes[Compute]-none.Causes[Compute])
	near(t, "tax of half over tax of a quarter", ratio, 3, 1e-6)
	layers := float64(half.Causes[Compute] - none.Causes[Compute])
	if head := float64(none.Causes[Compute]) - layers; head < 0 || head > 0.05*layers {
		t.Errorf("%g ns of %v are taxed", layers, none.Causes[Compute])
	}
	for c := range none.Causes {
		if Cause(c) == Compute {
			continue
		}
		if d := half.Causes[c] - none.Causes[c]; d < -1 || d > 1 {
			t.Errorf("%s moves by %v", cause.Names[c], d)
		}
	}
	if a, b := at(Decode, 0), at(Decode, 0.5); a != b {
		t.Errorf("decode pays: %v, %v", a.Time, b.Time)
	}
}
