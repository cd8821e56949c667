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

func (s Step) communication() des.Time {
	return s.Causes[cause.CommBandwidth] + s.Causes[cause.CommLatency]
}

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
	ratio := float64(half.Causes[cause.Compute]-none.Causes[cause.Compute]) / float64(quarter.Causes[cause.Compute]-none.Causes[cause.Compute])
	near(t, "tax of half over tax of a quarter", ratio, 3, 1e-6)
	layers := float64(half.Causes[cause.Compute] - none.Causes[cause.Compute])
	if head := float64(none.Causes[cause.Compute]) - layers; head < 0 || head > 0.05*layers {
		t.Errorf("%g ns of %v are taxed", layers, none.Causes[cause.Compute])
	}
	for c := range none.Causes {
		if cause.Cause(c) == cause.Compute {
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

// Dispatch, experts and combine as one kernel: what is hidden is just what the step
// is shorter by, the fabric's delays stay.
func TestWaveHidesWhatItSaves(t *testing.T) {
	at := func(o Overlap) Step {
		s := newStepper(t, "v4", "supernode8912", Config{Role: Decode, Engine: loadEngine(t, "ideal"), Layout: Layout{DP: 16, EP: 16, Overlap: o}, MaxSequences: 1024})
		return s.Step(everywhere(s, decode(s, 512, 8192)))
	}
	apart, wave := at(NoOverlap), at(Wave)
	saved := (apart.Time - apart.Causes[cause.Imbalance]) - (wave.Time - wave.Causes[cause.Imbalance])
	if wave.Hidden <= 0 || wave.Tau <= 0 {
		t.Fatalf("hides %v, delays %v", wave.Hidden, wave.Tau)
	}
	near(t, "hidden", wave.Hidden.Seconds(), saved.Seconds(), 1e-6)
	near(t, "delays of the fabric", wave.Tau.Seconds(), apart.Tau.Seconds(), 1e-4)
}

// Without a dispatch there is nothing to hide and no core that communicates: two-batch
// overlap changes nothing.
func TestTwoBatchWithoutDispatch(t *testing.T) {
	for _, model := range []string{"v3", "llama-3.1-70b"} {
		at := func(o Overlap) Step {
			e := *loadEngine(t, "vllm")
			e.CommCoresFraction = 0.5
			s := newStepper(t, model, "hgx-h200:8", Config{Role: Prefill, Engine: &e, Layout: Layout{TP: 8, Overlap: o}})
			return s.Step([]Load{prefill(s, 4, 1000, 0)})
		}
		if a, b := at(NoOverlap), at(TwoBatch); a != b {
			t.Errorf("%s: %v without overlap, %v with", model, a.Time, b.Time)
		}
	}
}

// An engine's factor on a prompt's layers is one on what they wait for too.
func TestPrefillFactorOnImbalance(t *testing.T) {
	at := func(factor float64) Step {
		e := *loadEngine(t, "ideal")
		e.Fitted.PrefillFactor = factor
		s := newStepper(t, "v3", "hgx-h200:32", Config{Role: Prefill, Engine: &e, Layout: Layout{DP: 32, EP: 32, Overlap: NoOverlap, Routing: Routing{Kind: PowerLaw, Alpha: 1.01}}})
		return s.Step(everywhere(s, prefill(s, 4, 2048, 0)))
	}
	one, half := at(1), at(1.5)
	for _, c := range []cause.Cause{cause.Imbalance, cause.HBMKV} { // neither is in the head
		near(t, c.String(), half.Causes[c].Seconds(), 1.5*one.Causes[c].Seconds(), 1e-5)
	}
	if half.communication() != one.communication() {
		t.Errorf("communication %v, %v", one.communication(), half.communication())
	}
}
