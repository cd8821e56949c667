package result

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/slo"
)

// Of separate pools the one that idles less is short, unless they idle about as much:
// within 5 % of the time it is the one whose latency is nearer its promise. The promise
// says prefill here, idle time decode.
func TestWhenPoolsAreEquallyBusy(t *testing.T) {
	at := func(prefillIdle, decodeIdle float64, limits slo.Limits) string {
		r := Result{
			Deployment: DeploymentInfo{Prefill: &PoolInfo{}, Decode: &PoolInfo{}},
			Causes:     Causes{Prefill: Shares{cause.Compute: 1 - prefillIdle, cause.Idle: prefillIdle}, Decode: Shares{cause.HBMKV: 1 - decodeIdle, cause.Idle: decodeIdle}},
			Goodput:    Goodput{SLO: SLO{limits}},
			Latency:    Latency{TTFT: Distribution{P90: 1900}, TPOT: Distribution{P90: 10}},
		}
		return r.Bound().Pool
	}
	promised := slo.Default()
	for _, x := range []struct {
		prefill, decode float64
		limits          slo.Limits
		want            string
	}{
		{0.20, 0.20, promised, "prefill"},
		{0.24, 0.20, promised, "prefill"}, // 4 % apart
		{0.26, 0.20, promised, "decode"},  // 6 %
		{0.30, 0.20, promised, "decode"},
		{0.60, 0.20, promised, "decode"},
		{0.20, 0.60, promised, "prefill"},
		{0.21, 0.20, slo.Limits{}, "decode"}, // nothing promised: idle time alone
		{0.20, 0.21, slo.Limits{}, "prefill"},
		{0.21, 0.20, slo.Limits{TTFT: slo.TTFT{Limit: 2e9}}, "decode"},
	} {
		if got := at(x.prefill, x.decode, x.limits); got != x.want {
			t.Errorf("idle %g and %g, promised %+v: %s is short, want %s", x.prefill, x.decode, x.limits, got, x.want)
		}
	}
	// Half the time to the promise is nearer than a fifth.
	r := Result{
		Deployment: DeploymentInfo{Prefill: &PoolInfo{}, Decode: &PoolInfo{}},
		Causes:     Causes{Prefill: Shares{cause.Compute: 1}, Decode: Shares{cause.HBMKV: 1}},
		Goodput:    Goodput{SLO: SLO{promised}},
		Latency:    Latency{TTFT: Distribution{P90: 400}, TPOT: Distribution{P90: 25}},
	}
	if got := r.Bound().Pool; got != "decode" {
		t.Errorf("TPOT at half its promise, TTFT at a fifth: %s is short", got)
	}
}
