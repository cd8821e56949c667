package route_test

import (
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
)

// twinPolicies are those that the twin knows. A new one is held to by the conformance tests alone until
// the twin learns it.
var twinPolicies = []string{"least-loaded", "power-of-two", "round-robin", "round-robin-instances", "prefix-aware", "session-sticky"}

// visit is where a session has been.
type visit struct {
	session        uint64
	instance, rank int
}

// pick is the policies' documentation, word by word.
func (t *twin) pick(p int, s *twinSeq, turn uint64) (instance, rank int) {
	pool := t.cfg.Pools[p]
	instances := uint64(pool.Instances)
	switch t.cfg.Policy.Name {
	case "round-robin":
		return int(turn % instances), int(turn / instances % uint64(pool.Spec.Ranks))
	case "round-robin-instances":
		i := int(turn % instances)
		return i, t.leastRank(p, i)
	case "power-of-two":
		i := t.lesserOfTwo(p, s.number)
		return i, t.leastRank(p, i)
	case "prefix-aware":
		return t.cheapest(p, s)
	case "session-sticky":
		return t.again(p, s)
	case "least-loaded":
		return t.least(p)
	}
	panic("twin: no policy is called " + t.cfg.Policy.Name)
}

// roomFor is the rank of the pool's next turn, if it has room.
func (t *twin) roomFor(p int, s *twinSeq) (instance, rank int, ok bool) {
	instance, rank = t.pick(p, s, t.turns[p])
	t.turns[p]++
	return instance, rank, t.admits(p, instance, rank, t.bytes(p, s.target))
}

// key is the least load of an instance's ranks and the mean of all of them, times ranks.
func (t *twin) key(p, i int) int64 { return t.rankKey(p, i, t.leastRank(p, i)) }

func (t *twin) rankKey(p, i, r int) int64 {
	total := int64(0)
	for k := range t.cfg.Pools[p].Spec.Ranks {
		total += t.rankLoad(p, i, k)
	}
	return t.rankLoad(p, i, r)*int64(t.cfg.Pools[p].Spec.Ranks) + total
}

func (t *twin) leastRank(p, i int) (best int) {
	for r := range t.cfg.Pools[p].Spec.Ranks {
		if t.rankLoad(p, i, r) < t.rankLoad(p, i, best) {
			best = r
		}
	}
	return best
}

func (t *twin) least(p int) (instance, rank int) {
	for i := range t.cfg.Pools[p].Instances {
		if t.key(p, i) < t.key(p, instance) {
			instance = i
		}
	}
	return instance, t.leastRank(p, instance)
}

func (t *twin) lesserOfTwo(p int, number uint64) int {
	pool := t.cfg.Pools[p]
	draw := des.NewKey(t.cfg.Seed, "router "+pool.Name)
	a := int(draw.Uniform(number, 0) * float64(pool.Instances))
	var others []int
	for i := range pool.Instances {
		if i != a {
			others = append(others, i)
		}
	}
	if len(others) > 0 {
		if b := others[int(draw.Uniform(number, 1)*float64(len(others)))]; t.key(p, b) < t.key(p, a) {
			a = b
		}
	}
	return a
}

// cheapest has the least load with the request on it, a cached token less for each weight.
func (t *twin) cheapest(p int, s *twinSeq) (instance, rank int) {
	pool := t.cfg.Pools[p]
	price := func(i, r int) float64 {
		if pool.Spec.Role == cost.Decode || pool.Spec.BlockTokens == 0 {
			return float64(t.rankKey(p, i, r))
		}
		units := 1.0
		if pool.Spec.Role == cost.Prefill {
			units = float64(s.target)
		}
		cache := t.inst[p][i].caches[r]
		saved := cache.saved(cache.leading(s.prefix), s.target)
		less := t.cfg.Weight * units * float64(pool.Spec.Ranks+1) / float64(s.target) * float64(saved)
		return float64(t.rankKey(p, i, r)) - float64(less)
	}
	least, leastRank := t.least(p)
	instance, rank = least, leastRank
	cached := false
	for i := range pool.Instances {
		for r := range pool.Spec.Ranks {
			cached = cached || price(i, r) < float64(t.rankKey(p, i, r))
			if price(i, r) < price(instance, rank) {
				instance, rank = i, r
			}
		}
	}
	switch {
	case instance != least || rank != leastRank:
		t.seen[affinity]++
	case cached && price(least, leastRank) == float64(t.rankKey(p, least, leastRank)):
		t.seen[uncached]++
	}
	return instance, rank
}

// again is where the session was last.
func (t *twin) again(p int, s *twinSeq) (instance, rank int) {
	instance, rank = t.least(p)
	if t.cfg.Pools[p].Spec.Role == cost.Decode || s.session == 0 {
		return instance, rank
	}
	for _, v := range t.visits {
		if v.session == s.session {
			if v.instance != instance || v.rank != rank {
				t.seen[returning]++
			}
			instance, rank = v.instance, v.rank
			break
		}
	}
	t.visits = append([]visit{{s.session, instance, rank}}, t.visits...)
	return instance, rank
}
