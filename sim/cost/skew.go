package cost

import (
	"math"
	"sort"
	"sync"

	"github.com/clustersim/clustersim/sim/des"
)

// skewDraws is how many layers' worth of power-law loads are drawn and averaged.
const skewDraws = 32

// skew is how unevenly pairs fall on the ranks of an expert-parallel group: the
// heaviest rank's share over the mean that routing itself causes, and how many
// ranks are near that share, so that chance can make any of them the heaviest.
type skew struct {
	ranks    float64
	heaviest float64 // ≥ 1, of the static load
	near     float64
	domain   float64 // ≥ 1, as heaviest, of the ranks of an innermost domain together
}

// newSkew places experts and their redundant copies on ranks. Uniform routing has
// no static skew. For the others each layer's loads are drawn (power law) or given
// (histogram); redundant copies go one by one to the expert with the heaviest load
// a copy, and slots to the lightest rank with room, heaviest first, which is what
// EPLB does. Without redundant copies experts stay in order, as engines place them.
func newSkew(r Routing, experts, redundant, ranks, domain int) skew {
	s := skew{ranks: float64(ranks), heaviest: 1, near: float64(ranks), domain: 1}
	if ranks <= 1 || r.Kind == Uniform || r.Kind == "" {
		return s
	}
	key := placed{r.Alpha, experts, redundant, ranks, domain}
	if known, ok := placements.Load(key); ok && r.Kind == PowerLaw {
		return known.(skew)
	}
	s.drawn(r, experts, redundant, ranks, domain)
	if r.Kind == PowerLaw {
		placements.Store(key, s)
	}
	return s
}

// placements keeps the skew of power laws by what it depends on: a search asks for the
// same few again and again.
var placements sync.Map

// placed is what the skew of a power law depends on.
type placed struct {
	alpha                             float64
	experts, redundant, ranks, domain int
}

// drawn fills in what layers that are drawn show in the mean.
func (s *skew) drawn(r Routing, experts, redundant, ranks, domain int) {
	draws := skewDraws
	if r.Kind == Histogram {
		draws = 1
	}
	var heaviest, near, together float64
	loads := make([]float64, experts)
	for d := range draws {
		r.loads(d, loads)
		sums := place(loads, redundant, ranks)
		h, n := top(sums)
		g, _ := top(grouped(sums, domain))
		heaviest, near, together = heaviest+h, near+n, together+g
	}
	n := float64(draws)
	s.heaviest, s.near, s.domain = heaviest/n, near/n, together/n
}

// loads fills one layer's expert loads. The power law is p(x) ∝ x^-α on [0.1, 1]
// by inverse transform, the rule of the kernel tables (laws-operators §1).
func (r Routing) loads(draw int, loads []float64) {
	if r.Kind == Histogram {
		copy(loads, r.Histogram)
		return
	}
	key := des.NewKey(0, "cost/power-law")
	for i := range loads {
		loads[i] = r.quantile(key.Uniform(uint64(draw), uint64(i)))
	}
}

// quantile is the power law's load that a share u of experts stay below.
func (r Routing) quantile(u float64) float64 {
	if math.Abs(r.Alpha-1) < 1e-9 {
		return math.Pow(10, u-1)
	}
	lo, hi := math.Pow(0.1, 1-r.Alpha), 1.0
	return math.Pow(lo+(hi-lo)*u, 1/(1-r.Alpha))
}

// odds is how likely a token is to ask for each slot, when experts are not equally
// likely: k times the slot's share of the load, at most 1. Uniform routing has none.
func (r Routing) odds(experts, redundant, k int) []float64 {
	if r.Kind == Uniform || r.Kind == "" {
		return nil
	}
	loads := make([]float64, experts)
	for i := range loads {
		loads[i] = r.quantile((float64(i) + 0.5) / float64(experts))
	}
	if r.Kind == Histogram {
		copy(loads, r.Histogram)
	}
	odds, sum := replicate(loads, redundant), 0.0
	for _, w := range odds {
		sum += w
	}
	for i := range odds {
		odds[i] = min(1-1e-12, float64(k)*odds[i]/sum)
	}
	return odds
}

// place returns the load of every rank.
func place(loads []float64, redundant, ranks int) []float64 {
	sums := make([]float64, ranks)
	if redundant > 0 {
		slots := replicate(loads, redundant)
		pack(slots, sums, len(slots)/ranks)
		return sums
	}
	room := len(loads) / ranks
	for i, w := range loads {
		sums[min(i/max(1, room), ranks-1)] += w
	}
	return sums
}

// grouped adds up runs of size ranks.
func grouped(sums []float64, size int) []float64 {
	out := make([]float64, (len(sums)+size-1)/size)
	for i, w := range sums {
		out[i/size] += w
	}
	return out
}

// top is the heaviest load over the mean, and how many are within a tenth of it.
func top(sums []float64) (heaviest, near float64) {
	total, most := 0.0, 0.0
	for _, w := range sums {
		total += w
		most = max(most, w)
	}
	if total == 0 {
		return 1, float64(len(sums))
	}
	for _, w := range sums {
		if w >= 0.9*most {
			near++
		}
	}
	return most * float64(len(sums)) / total, near
}

// replicate gives each redundant slot to the expert with the heaviest load a copy
// and returns the loads of all slots.
func replicate(loads []float64, redundant int) []float64 {
	copies := make([]int, len(loads))
	for i := range copies {
		copies[i] = 1
	}
	for range redundant {
		best := 0
		for i, w := range loads {
			if w/float64(copies[i]) > loads[best]/float64(copies[best]) {
				best = i
			}
		}
		copies[best]++
	}
	slots := make([]float64, 0, len(loads)+redundant)
	for i, w := range loads {
		for range copies[i] {
			slots = append(slots, w/float64(copies[i]))
		}
	}
	return slots
}

// pack puts slots, heaviest first, on the lightest rank that has room.
func pack(slots, sums []float64, room int) {
	sort.SliceStable(slots, func(i, j int) bool { return slots[i] > slots[j] })
	used := make([]int, len(sums))
	for _, w := range slots {
		best := -1
		for r := range sums {
			if used[r] < room && (best < 0 || sums[r] < sums[best]) {
				best = r
			}
		}
		sums[best] += w
		used[best]++
	}
}

// factor is the expected heaviest rank's pairs over the mean's: the static skew
// plus the extreme of near-equal ranks' chance fluctuations, in the Gaussian form
// √(2 ln R / pairs) (simulated at R = 320, top-8: 4 tokens a rank 1.60, 32 1.19,
// 128 1.09; the form is within 6 % of these).
func (s skew) factor(pairs float64) float64 {
	if s.ranks <= 1 || pairs <= 0 {
		return 1
	}
	near := max(1, s.near)
	return s.heaviest + math.Sqrt(2*math.Log(near)*s.heaviest*(1-1/s.ranks)/pairs)
}

// most is the expected largest number of experts that any rank is asked for,
// from the mean of a binomial over the rank's slots.
func (s skew) most(mean, slots float64) float64 {
	if s.ranks <= 1 || slots <= 0 {
		return mean
	}
	spread := mean * (1 - mean/slots)
	return min(slots, mean+math.Sqrt(2*math.Log(s.ranks)*max(0, spread)))
}
