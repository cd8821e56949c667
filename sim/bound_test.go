package sim

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/metrics"
)

func TestStepBound(t *testing.T) {
	for _, c := range []struct {
		name   string
		phase  metrics.Phase
		causes map[cost.Cause]float64
		want   Bound
	}{
		{"the group decides, not the single cause", metrics.Decode,
			map[cost.Cause]float64{cost.Compute: 0.35, cost.HBMWeights: 0.25, cost.HBMKV: 0.2, cost.Host: 0.2},
			Bound{"decode", "hbm_weights", 0.25, "memory bandwidth", 0.45,
				"Decode is bound by memory bandwidth: 45 % of a step (weights 25 %, KV cache 20 %)."}},
		{"idle time is left out", metrics.Prefill,
			map[cost.Cause]float64{cost.Compute: 0.3, cost.CommBandwidth: 0.1, cost.Idle: 0.6},
			Bound{"prefill", "compute", 0.3 / 0.4, "compute", 0.3 / 0.4,
				"Prefill is bound by compute: 75 % of a step (arithmetic 75 %)."}},
		{"launch and α are latency", metrics.Decode,
			map[cost.Cause]float64{cost.Launch: 0.3, cost.CommLatency: 0.3, cost.Compute: 0.4},
			Bound{"decode", "comm_latency", 0.3, "latency", 0.6,
				"Decode is bound by latency: 60 % of a step (communication 30 %, kernel launches and floors 30 %)."}},
		{"nothing ran", metrics.Decode, map[cost.Cause]float64{cost.Idle: 1},
			Bound{Phase: "decode", Sentence: "Decode did not run."}},
	} {
		var causes [cost.NumCauses]float64
		for cause, f := range c.causes {
			causes[cause] = f
		}
		got := StepBound(c.phase, causes)
		if got.Sentence != c.want.Sentence || got.Cause != c.want.Cause || got.Group != c.want.Group ||
			abs(got.Fraction-c.want.Fraction) > 1e-12 || abs(got.Share-c.want.Share) > 1e-12 {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func abs(f float64) float64 { return max(f, -f) }

func TestBoundPicksThePhaseThatIsShort(t *testing.T) {
	busy := Shares{HBMKV: 0.9, Idle: 0.1}
	slack := Shares{Compute: 0.7, Idle: 0.3}
	separate := DeploymentInfo{Prefill: &PoolInfo{}, Decode: &PoolInfo{}}
	shared := DeploymentInfo{Serve: &PoolInfo{}}
	for _, c := range []struct {
		name string
		r    Result
		want string
	}{
		{"decode idles less", Result{Deployment: separate, Causes: Causes{Prefill: slack, Decode: busy}}, "decode"},
		{"prefill idles less", Result{Deployment: separate, Causes: Causes{Prefill: busy, Decode: slack}}, "prefill"},
		{"as busy, TTFT nearer its bound", Result{Deployment: separate, Causes: Causes{Prefill: busy, Decode: busy},
			Goodput: Goodput{SLO: SLO{TTFT: 2e9, TPOT: 5e7}}, Latency: Latency{TTFT: Distribution{P90: 1800}, TPOT: Distribution{P90: 40}}}, "prefill"},
		{"as busy, TPOT nearer its bound", Result{Deployment: separate, Causes: Causes{Prefill: busy, Decode: busy},
			Goodput: Goodput{SLO: SLO{TTFT: 2e9, TPOT: 5e7}}, Latency: Latency{TTFT: Distribution{P90: 1500}, TPOT: Distribution{P90: 40}}}, "decode"},
		{"shared, more time in prefill", Result{Deployment: shared, Causes: Causes{Prefill: slack, Decode: busy,
			NS: CausesNS{Prefill: PhaseNS{Compute: 9}, Decode: PhaseNS{HBMKV: 5, Idle: 100}}}}, "prefill"},
		{"shared, more time in decode", Result{Deployment: shared, Causes: Causes{Prefill: slack, Decode: busy,
			NS: CausesNS{Prefill: PhaseNS{Compute: 4}, Decode: PhaseNS{HBMKV: 5}}}}, "decode"},
		{"only prefill ran", Result{Deployment: shared, Causes: Causes{Prefill: slack}}, "prefill"},
	} {
		if got := c.r.Bound(); got.Phase != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	idle := Result{Deployment: shared, Causes: Causes{Decode: Shares{Host: 0.2, Idle: 0.8}}}
	if got, want := idle.Bound().Sentence,
		"Instances are idle 80 % of the time; when they work, decode is bound by the host: 100 % of a step (scheduling and sampling 100 %)."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&Result{}).Bound().Sentence; got != "Nothing ran." {
		t.Errorf("got %q", got)
	}
}
