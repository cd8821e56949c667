package route_test

import (
	"testing"

	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/traces"
)

// talking is a trace in which every request continues one of a few conversations, each
// with its own text behind a common head.
func talking(n int, gap float64, block, conversations int) []traces.Request {
	out := busy(n, gap, block)
	for i := range out {
		r := &out[i]
		r.Session = uint64(1 + i*7%conversations)
		r.Prefix = r.Prefix[:0]
		for k := range int(r.InputTokens) / block {
			id := uint64(k)
			if k >= 2 {
				id += 1000 * r.Session
			}
			r.Prefix = append(r.Prefix, id)
		}
	}
	return out
}

// What every router must leave true of a cluster in which requests wait, give way and come back: none is
// lost, none ends twice, none waits for ever, and each one's parts are its time.
func TestEveryPolicyServesAll(t *testing.T) {
	const n = 400
	for _, mode := range modes {
		for _, p := range policy.All() {
			cfg := tight(t, mode, p.Name, talking(n, 1.5e6, 16, 9))
			cfg.Weight = 3
			done, sum := simulate(t, cfg)
			if sum.Preemptions == 0 || sum.PrefixHits == 0 {
				t.Errorf("%s, %s: %d pre-emptions and %d hits show little", mode, p.Name, sum.Preemptions, sum.PrefixHits)
			}
			seen := map[uint64]bool{}
			for i := range done {
				c := &done[i]
				if seen[c.Number] || c.Number >= n {
					t.Fatalf("%s, %s: request %d ends again", mode, p.Name, c.Number)
				}
				seen[c.Number] = true
				if c.Queue+c.Prefill+c.KVTransfer+c.Decode+c.Preempted != c.Finish-c.Arrival {
					t.Fatalf("%s, %s: %s", mode, p.Name, describe(c))
				}
			}
			if want := (metrics.Counts{Arrived: n, Completed: n}); sum.Requests != want {
				t.Errorf("%s, %s: %+v, want %+v", mode, p.Name, sum.Requests, want)
			}
		}
	}
}

// At a moderate load, routers that go by sessions and by caches find more of a conversation's past than one
// that goes by load, and what is found need not be computed.
func TestAffinityFindsMore(t *testing.T) {
	for _, mode := range modes {
		run := func(name string, weight float64) ([]metrics.Completion, metrics.Summary) {
			cfg := aggregated(t, 3, 4, nil)
			if mode == "disaggregated" {
				cfg = disaggregated(t, 3, 4, 1)
			}
			for i := range cfg.Pools {
				cfg.Pools[i].Spec.BlockTokens, cfg.Pools[i].Spec.BlockBytes = 16, 1
			}
			cfg.Policy, cfg.Weight = router(t, name), weight
			cfg.Source = &fixedSource{requests: talking(2000, 3e6, 16, 401), block: 16}
			return simulate(t, cfg)
		}
		without, base := run("least-loaded", 0)
		for _, x := range []struct {
			name   string
			weight float64
		}{{"session-sticky", 0}, {"prefix-aware", 1}, {"prefix-aware", 8}} {
			done, with := run(x.name, x.weight)
			t.Logf("%s, %s %v: %d of %d blocks hit, %d prompt tokens; least-loaded %d, %d", mode, x.name, x.weight,
				with.PrefixHits, with.PrefixQueries, with.Window.PromptTokens, base.PrefixHits, base.Window.PromptTokens)
			if with.PrefixHits < base.PrefixHits*5/4 || with.PrefixQueries != base.PrefixQueries {
				t.Errorf("%s, %s %v: %d of %d blocks hit, least-loaded %d of %d", mode, x.name, x.weight,
					with.PrefixHits, with.PrefixQueries, base.PrefixHits, base.PrefixQueries)
			}
			cached := func(done []metrics.Completion) (n int64) {
				for i := range done {
					n += done[i].CachedTokens
				}
				return n
			}
			if saved := base.Window.PromptTokens - with.Window.PromptTokens; saved != cached(done)-cached(without) {
				t.Errorf("%s, %s %v: %d prompt tokens fewer, %d more cached", mode, x.name, x.weight, saved, cached(done)-cached(without))
			}
		}
		same, sum := run("prefix-aware", 0)
		equal(t, mode+", weight 0", same, without)
		equal(t, mode+", weight 0", sum, base)
	}
}
