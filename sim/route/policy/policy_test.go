package policy_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/clustersim/clustersim/sim/route/policy"
)

func find(t *testing.T, name string) *policy.Policy {
	t.Helper()
	p, err := policy.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Least-loaded picks the least of all, power-of-two the lesser of the two it drew,
// whatever the loads.
func TestPoliciesPickTheLeast(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, size := range sizes {
		instances, ranks := size[0], size[1]
		least := newBed(find(t, "least-loaded"), instances, ranks, setup(3), false)
		two := find(t, "power-of-two").New(setup(3))
		slow, lower := least.naive, 0
		for n := range 4000 {
			i, r := random.IntN(instances), random.IntN(ranks)
			least.add(i, r, random.Int64N(1000)-slow[i][r])
			request := &policy.Request{Number: uint64(n), Prompt: 1, Load: 1}
			if i, r := least.pick(&least.view, request); i != slow.Least() || r != slow.LeastRank(i) {
				t.Fatalf("%v: least-loaded picks %d, %d, the least is %d, %d", size, i, r, slow.Least(), slow.LeastRank(slow.Least()))
			}
			i, r = two(&least.view, request)
			if r != slow.LeastRank(i) {
				t.Fatalf("%v: power-of-two picks rank %d, the least of instance %d is %d", size, r, i, slow.LeastRank(i))
			}
			for k := range slow {
				if slow.Key(k) < slow.Key(i) {
					lower++
				}
			}
		}
		// The lesser of two drawn of m has (m−2)/3 below it in the mean.
		if mean, want := float64(lower)/4000, max(0, float64(instances-2)/3); mean < 0.85*want || mean > 1.15*want {
			t.Errorf("%v: %.2f instances below power-of-two's pick, want %.2f", size, mean, want)
		}
	}
}

// Round-robin goes by turns that have been taken: as many requests as there are ranks reach
// each once, instances first, and one that is asked again has the same turn.
func TestRoundRobinGoesByTurns(t *testing.T) {
	b := newBed(find(t, "round-robin"), 3, 2, setup(1), false)
	for n, want := range [][2]int{{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {2, 1}, {0, 0}} {
		for range n % 3 { // refused so many times
			b.pick(&b.view, prompt(uint64(n), 1))
		}
		if i, r := b.take(prompt(uint64(n), 1)); [2]int{i, r} != want {
			t.Errorf("turn %d goes to %d, %d, want %v", n, i, r, want)
		}
	}
}

// Without a weight, and where nothing is cached, prefix-aware is least-loaded.
func TestPrefixAwareWithoutWeightIsLeastLoaded(t *testing.T) {
	for _, size := range sizes {
		s := setup(1)
		s.Weight = 0
		weightless := newBed(find(t, "prefix-aware"), size[0], size[1], s, false)
		cold := newBed(find(t, "prefix-aware"), size[0], size[1], setup(1), false)
		least := newBed(find(t, "least-loaded"), size[0], size[1], setup(1), false)
		for n := range uint64(2000) {
			r := prompt(n, n%5)
			r.Load = 1 + int64(n*7%11)
			i, k := least.take(r)
			if j, s := weightless.take(r); i != j || k != s {
				t.Fatalf("%v: request %d goes to %d, %d, least-loaded to %d, %d", size, n, j, s, i, k)
			}
			clear(cold.cache)
			if j, s := cold.take(r); i != j || k != s {
				t.Fatalf("%v: with cold caches request %d goes to %d, %d, least-loaded to %d, %d", size, n, j, s, i, k)
			}
		}
	}
}

// A prompt of n tokens, c of them cached on one rank of m, goes there as long as that rank's queue is
// shorter by its weight than the other ranks' with it: on an instance with one rank the key is twice
// the load, so up to weight·c tokens more than the least.
func TestPrefixAwareWeighsTokens(t *testing.T) {
	const n, c = 60, 40
	for _, weight := range []float64{0.5, 1, 3} {
		for more := range int64(200) {
			s := setup(1)
			s.Weight = weight
			b := newBed(find(t, "prefix-aware"), 4, 1, s, false)
			r := prompt(1, 7)
			r.Load = n // a prefill pool
			b.cache[[2]int{2, 0}] = prompt(2, 7).Prefix
			for i := range 4 {
				b.add(i, 0, 500)
			}
			b.add(2, 0, more)
			i, _ := b.pick(&b.view, r)
			if there, want := i == 2, float64(more) < weight*c; there != want {
				t.Fatalf("weight %v, %d tokens more where %d are cached: goes to %d", weight, more, c, i)
			}
		}
	}
}

// Of two ranks that have some of a prompt, the one that has more wins at equal load, and no weight
// makes a rank without any of it win over an equal one with some.
func TestPrefixAwareGoesWhereMoreIsCached(t *testing.T) {
	for _, weight := range []float64{1e-6, 1, policy.MaxWeight} {
		s := setup(1)
		s.Weight = weight
		b := newBed(find(t, "prefix-aware"), 3, 3, s, false)
		r := prompt(1, 7)
		b.cache[[2]int{2, 1}] = r.Prefix[:2]
		if i, k := b.pick(&b.view, r); i != 2 || k != 1 {
			t.Errorf("weight %v: goes to %d, %d, two blocks are on 2, 1", weight, i, k)
		}
		b.cache[[2]int{2, 2}] = r.Prefix[:3]
		if i, k := b.pick(&b.view, r); i != 2 || k != 2 {
			t.Errorf("weight %v: goes to %d, %d, three blocks are on 2, 2", weight, i, k)
		}
	}
}

// A session stays where its first request went, whatever the loads are by then; requests without
// one go where load is least; a rank that is gone is no place to go back to.
func TestSessionsStick(t *testing.T) {
	b := newBed(find(t, "session-sticky"), 4, 2, setup(1), false)
	var first [6][2]int
	for n := range uint64(600) {
		session := n % 6
		r := &policy.Request{Number: n, Session: session, Prompt: 10, Load: 1 + int64(n*13%17)}
		least, rank := b.naive.Least(), b.naive.LeastRank(b.naive.Least())
		i, k := b.take(r)
		switch at := [2]int{i, k}; {
		case session == 0 || n < 6:
			if at != [2]int{least, rank} {
				t.Fatalf("request %d of session %d goes to %v, the least is %d, %d", n, session, at, least, rank)
			}
			first[session] = at
		case at != first[session]:
			t.Fatalf("request %d of session %d goes to %v, the first went to %v", n, session, at, first[session])
		}
	}
	b.view.Instances = 1
	for session := range uint64(6) {
		b.view.Loads = b.naive[:1]
		if i, _ := b.take(&policy.Request{Session: session, Prompt: 1, Load: 1}); i != 0 {
			t.Errorf("session %d goes to instance %d of one", session, i)
		}
	}
}

func TestWeightIsFinite(t *testing.T) {
	p := find(t, "prefix-aware")
	for _, w := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if p.CheckWeight(w) == nil {
			t.Errorf("a weight of %v is taken", w)
		}
	}
}
