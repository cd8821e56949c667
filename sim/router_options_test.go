package sim_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/route/policy"
)

// A run with another router than the scenario's says so: its echo reads back and gives
// the same figures, the policy's own weight included.
func TestRouterOfOptionsIsEchoed(t *testing.T) {
	const text = `{version: 1, model: llama-3.1-8b, topology: "hgx-h100:8", workload: {profile: agent, rate: 20, requests: 200}, router: {policy: ROUTER},
  deployment: {mode: aggregated, serve: {instances: 8, tp: 1}}, seed: 1}`
	for own, instead := range map[string]string{"least-loaded": "prefix-aware", "prefix-aware": "least-loaded"} {
		p, err := policy.Find(instead)
		if err != nil {
			t.Fatal(err)
		}
		s := read(t, strings.Replace(text, "ROUTER", own, 1))
		_, with := run(t, s, sim.Options{Router: p})
		echo, err := with.Scenario.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		_, again := run(t, read(t, string(echo)), sim.Options{})
		if again.Latency != with.Latency || !reflect.DeepEqual(again.KV, with.KV) {
			t.Errorf("%s instead of %s: hits %g, and %g by its echo", instead, own, with.KV.PrefixHitRate, again.KV.PrefixHitRate)
		}
		if _, plain := run(t, s, sim.Options{}); plain.KV.PrefixHitRate == with.KV.PrefixHitRate {
			t.Errorf("%s hits as often as %s: %g", instead, own, plain.KV.PrefixHitRate)
		}
	}
}
