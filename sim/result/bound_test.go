package result

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/slo"
)

func TestBoundOfAPhase(t *testing.T) {
	for _, c := range []struct {
		name   string
		phase  string
		causes map[cause.Cause]float64
		want   Bound
	}{
		{"the group decides, not the single cause", decode,
			map[cause.Cause]float64{cause.Compute: 0.35, cause.HBMWeights: 0.25, cause.HBMKV: 0.2, cause.Host: 0.2},
			Bound{Pool: "decode", Cause: "hbm_weights", Fraction: 0.25, Group: "memory bandwidth", Share: 0.45, Words: "decode: memory bandwidth",
				Sentence: "Decode is bound by memory bandwidth: 45 % of a step (weights 25 %, KV cache 20 %)."}},
		{"idle time is left out", prefill,
			map[cause.Cause]float64{cause.Compute: 0.3, cause.CommBandwidth: 0.1, cause.Idle: 0.6},
			Bound{Pool: "prefill", Cause: "compute", Fraction: 0.3 / 0.4, Group: "compute", Share: 0.3 / 0.4, Words: "prefill: compute",
				Sentence: "Prefill is bound by compute: 75 % of a step (arithmetic 75 %)."}},
		{"launch and α are latency", decode,
			map[cause.Cause]float64{cause.Launch: 0.3, cause.CommLatency: 0.3, cause.Compute: 0.4},
			Bound{Pool: "decode", Cause: "comm_latency", Fraction: 0.3, Group: "latency", Share: 0.6, Words: "decode: latency",
				Sentence: "Decode is bound by latency: 60 % of a step (communication 30 %, kernel launches and floors 30 %)."}},
		{"nothing ran", decode, map[cause.Cause]float64{cause.Idle: 1},
			Bound{Pool: "decode", Sentence: "Decode did not run."}},
	} {
		var causes Shares
		for at, f := range c.causes {
			causes[at] = f
		}
		got := boundOf(c.phase, &causes)
		if got.Sentence != c.want.Sentence || got.Pool != c.want.Pool || got.Words != c.want.Words || got.Cause != c.want.Cause || got.Group != c.want.Group ||
			abs(got.Fraction-c.want.Fraction) > 1e-12 || abs(got.Share-c.want.Share) > 1e-12 {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func abs(f float64) float64 { return max(f, -f) }

func TestBoundPicksThePhaseThatIsShort(t *testing.T) {
	busy := Shares{cause.HBMKV: 0.9, cause.Idle: 0.1}
	slack := Shares{cause.Compute: 0.7, cause.Idle: 0.3}
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
			Goodput: Goodput{SLO: SLO{slo.Default()}}, Latency: Latency{TTFT: Distribution{P90: 1800}, TPOT: Distribution{P90: 40}}}, "prefill"},
		{"as busy, TPOT nearer its bound", Result{Deployment: separate, Causes: Causes{Prefill: busy, Decode: busy},
			Goodput: Goodput{SLO: SLO{slo.Default()}}, Latency: Latency{TTFT: Distribution{P90: 1500}, TPOT: Distribution{P90: 40}}}, "decode"},
		{"shared, more time in prefill", Result{Deployment: shared, Causes: Causes{Prefill: slack, Decode: busy,
			NS: CausesNS{Prefill: PhaseNS{Causes: [cause.Count]int64{cause.Compute: 9}}, Decode: PhaseNS{Causes: [cause.Count]int64{cause.HBMKV: 5, cause.Idle: 100}}}}}, "prefill"},
		{"shared, more time in decode", Result{Deployment: shared, Causes: Causes{Prefill: slack, Decode: busy,
			NS: CausesNS{Prefill: PhaseNS{Causes: [cause.Count]int64{cause.Compute: 4}}, Decode: PhaseNS{Causes: [cause.Count]int64{cause.HBMKV: 5}}}}}, "decode"},
		{"only prefill ran", Result{Deployment: shared, Causes: Causes{Prefill: slack}}, "prefill"},
	} {
		if got := c.r.Bound(); got.Pool != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	idle := Result{Deployment: shared, Causes: Causes{Decode: Shares{cause.Host: 0.2, cause.Idle: 0.8}}}
	if got, want := idle.Bound().Sentence,
		"Instances are idle 80 % of the time; when they work, decode is bound by the host: 100 % of a step (scheduling and sampling 100 %)."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&Result{}).Bound().Sentence; got != "Nothing ran." {
		t.Errorf("got %q", got)
	}
}
