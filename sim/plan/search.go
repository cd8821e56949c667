package plan

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

// deployed is a whole deployment: instances of one layout, or of two.
type deployed struct {
	mode            string
	first, second   *priced // prefill and decode, or serve and nil
	n1, n2          int
	capacity        float64 // requests a second
	ttft, tpot      float64 // s, at capacity, KV transfer included
	alone           lonely  // a request that finds the deployment empty
	over            float64
	limit           string
	chips           int
	prefillInExcess float64 // prefill capacity over decode capacity
	besides
	bottleneck *result.Bottleneck // nil where it was not looked for

	// Where runs have been made of it, probed: rates in requests a second, the highest
	// that they sustained (0 for none) and the lowest that they did not.
	probed    bool
	good, bad float64
}

// sustained is the capacity that is shown: of probes, or else the estimate.
func (d *deployed) sustained() float64 {
	if d.probed {
		return significant(d.good)
	}
	return d.capacity
}

// distinct leaves out deployments that differ from one before them in a pool alone that
// does not limit them.
func distinct(all []deployed) []deployed {
	type limiting struct {
		pool      *priced
		instances int
		met       bool
	}
	seen := map[limiting]bool{}
	var out []deployed
	for _, d := range all {
		l := limiting{d.first, d.n1, d.over <= 1}
		if d.second != nil && d.prefillInExcess >= 1 {
			l = limiting{d.second, d.n2, d.over <= 1}
		}
		if d.second != nil && seen[l] {
			continue
		}
		seen[l] = true
		out = append(out, d)
	}
	return out
}

// job is one layout to price in one role.
type job struct {
	pool scenario.Pool
	role cost.Role
}

// priceAll prices jobs on workers goroutines; the order of results is that of jobs. A
// broken invariant ends the search: the best of the other layouts is no answer.
func (p *pricer) priceAll(ctx context.Context, jobs []job, workers int) ([]priced, error) {
	out := make([]priced, len(jobs))
	faults := work.Each(ctx, len(jobs), max(1, workers), func(i int) error {
		out[i] = p.price(jobs[i].pool, jobs[i].role)
		return nil
	}, nil)
	for i, err := range faults {
		if l := jobs[i].pool; err != nil {
			return nil, fmt.Errorf("layout TP%d DP%d EP%d PP%d: %w", l.TP, l.DP, l.EP, l.PP, err)
		}
	}
	return out, ctx.Err()
}

// splitter puts instances of priced layouts on the topology.
type splitter struct {
	place  place
	demand *demand
	slo    float64 // TTFT, s
	e2e    float64 // s
	// transfer is the seconds that the mean prompt's cache takes between pools that end
	// before a chip.
	transfer func(p, d *priced, end int) float64
	fixed1   int // instances that the user fixed, 0 when not
	fixed2   int
}

// aggregated fills the topology with instances of one layout.
func (s *splitter) aggregated(p *priced) (deployed, bool) {
	n := s.place.fit(0, p.chips)
	if s.fixed1 > 0 {
		if n < s.fixed1 {
			return deployed{}, false
		}
		n = s.fixed1
	}
	if n == 0 {
		return deployed{}, false
	}
	d := deployed{mode: "aggregated", first: p, n1: n, capacity: float64(n) * p.rate, ttft: p.ttft, tpot: p.tpot, over: p.alone.over, limit: p.limit, alone: p.alone}
	return s.finish(d), true
}

// disaggregated finds the split of the topology with the highest capacity: prefill
// on the first chips, decode behind. Capacity is that of the poorer pool, so it
// rises and then falls with the number of prefill instances.
func (s *splitter) disaggregated(p, d *priced) (deployed, bool) {
	p, d = s.together(p, d)
	at := func(n int) (n2 int, capacity float64) {
		next, ok := s.place.end(0, p.chips, n)
		if !ok {
			return 0, 0
		}
		n2 = s.place.fit(next, d.chips)
		if s.fixed2 > 0 {
			if n2 < s.fixed2 {
				return 0, 0
			}
			n2 = s.fixed2
		}
		return n2, min(float64(n)*p.rate, float64(n2)*d.rate)
	}
	most := s.place.fit(0, p.chips)
	best := deployed{mode: "disaggregated", first: p, second: d}
	lo, hi := 1, most
	if s.fixed1 > 0 {
		lo, hi = s.fixed1, min(most, s.fixed1)
	}
	// The crossing of the two capacities, then its neighbourhood: packing makes
	// decode's side a staircase.
	cross := lo + sort.Search(max(0, hi-lo+1), func(i int) bool {
		n2, _ := at(lo + i)
		return float64(lo+i)*p.rate >= float64(n2)*d.rate
	})
	for n := max(lo, cross-neighbours); n <= min(hi, cross+neighbours); n++ {
		if n2, c := at(n); n2 > 0 && c > best.capacity {
			best.n1, best.n2, best.capacity = n, n2, c
		}
	}
	if best.n1 == 0 {
		return best, false
	}
	// The first token leaves when the cache has arrived.
	next, _ := s.place.end(0, p.chips, best.n1)
	end, _ := s.place.end(next, d.chips, best.n2)
	moved := s.transfer(p, d, end)
	best.ttft = p.ttft + moved
	best.tpot = d.tpot
	best.alone = lonely{ttft: p.alone.ttft + moved, tpot: d.alone.tpot, over: max(p.alone.over+moved/s.slo, d.alone.over), limit: d.alone.limit}
	if p.alone.over+moved/s.slo > d.alone.over {
		best.alone.limit = p.alone.limit
	}
	if e2e := (p.alone.e2e + moved + d.alone.e2e) / s.e2e; e2e > best.alone.over {
		best.alone.over, best.alone.limit = e2e, "E2E"
	}
	best.over = best.alone.over
	best.limit = d.limit
	best.prefillInExcess = float64(best.n1) * p.rate / (float64(best.n2) * d.rate)
	if best.prefillInExcess < 1 {
		best.limit = p.limit
	}
	return s.finish(best), true
}

const neighbours = 64

// together loads two pools no more than a request's time in both may be long: each has
// been priced as if it were alone. Both are loaded to the same share of what they could
// take alone; between the shares that have been priced everything is linear.
func (s *splitter) together(p, d *priced) (prefill, decode *priced) {
	moved := s.transfer(p, d, s.place.topology.Chips)
	if p.e2e+moved+d.e2e <= s.e2e {
		return p, d
	}
	low, high, part, over := 0, 0, 0.0, (p.below[0].e2e+moved+d.below[0].e2e)/s.e2e
	if over < 1 {
		over = 0
		for high = 1; high < len(p.below) && p.below[high].e2e+moved+d.below[high].e2e <= s.e2e; high++ {
		}
		low = high - 1
		least, most := p.at(low).e2e+moved+d.at(low).e2e, p.at(high).e2e+moved+d.at(high).e2e
		part = (s.e2e - least) / (most - least)
	}
	lowered := func(c *priced) *priced {
		out := *c
		out.point = c.at(low).towards(c.at(high), part)
		out.over, out.limit = max(over, out.over), "E2E"
		return &out
	}
	return lowered(p), lowered(d)
}

// at is what a pool does at k parts of its highest load.
func (c *priced) at(k int) *point {
	if k < len(c.below) {
		return &c.below[k]
	}
	return &c.point
}

// towards is a point on the straight line to another.
func (p *point) towards(q *point, part float64) point {
	on := func(p, q float64) float64 { return p + part*(q-p) }
	return point{rate: on(p.rate, q.rate), ttft: on(p.ttft, q.ttft), tpot: on(p.tpot, q.tpot), e2e: on(p.e2e, q.e2e), over: on(p.over, q.over)}
}

func (s *splitter) finish(d deployed) deployed {
	d.chips = d.n1 * d.first.chips
	if d.second != nil {
		d.chips += d.n2 * d.second.chips
	}
	return d
}

// sameCapacity is how close two capacities are called equal; the deployment on
// fewer chips, then of smaller instances, is then preferred.
const sameCapacity = 0.002

// rank orders deployments best first: within the SLO by capacity, beyond it by how
// far, then by capacity.
func rank(all []deployed) {
	slices.SortStableFunc(all, func(a, b deployed) int {
		return cmp.Or(
			cmp.Compare(a.beyond(), b.beyond()),
			-cmp.Compare(grade(a.capacity, sameCapacity), grade(b.capacity, sameCapacity)),
			cmp.Compare(a.chips, b.chips),
			cmp.Compare(a.first.chips, b.first.chips))
	})
}

// violationStep is how close two violations of the SLO are called equal.
const violationStep = 0.05

// beyond is 0 within the SLO, and counts steps of violationStep beyond it.
func (d *deployed) beyond() float64 {
	if d.over <= 1 {
		return 0
	}
	return 1 + grade(d.over, violationStep)
}

// grade makes figures equal that differ little, in a way that is an order.
func grade(v, step float64) float64 { return math.Floor(math.Log(v) / step) }
