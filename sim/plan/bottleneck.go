package plan

import (
	"math"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

// more is how much more of a resource a bottleneck is looked for with.
const more = 1.1

// alike is how far apart two capacities may be estimated and still count as the same.
const alike = 0.02

// bottleneck is the pool that limits capacity, and what a tenth more of each resource is
// worth to it: it is priced again with steps so much shorter, or so much more room for
// its cache, within the same limits. Of two pools that sustain the same it is the one in
// which a resource is worth most to the whole, each pool counting with its chips.
func (p *pricer) bottleneck(d *deployed) *result.Bottleneck {
	names, pools, n := []string{"serve"}, []*priced{d.first}, []int{d.n1}
	if d.second != nil {
		names, pools, n = []string{"prefill", "decode"}, []*priced{d.first, d.second}, []int{d.n1, d.n2}
	}
	rates, lowest := map[string]float64{}, math.Inf(1)
	for i := range pools {
		rate := float64(n[i]) * pools[i].rate
		rates[names[i]], lowest = significant(rate), min(lowest, rate)
	}
	var best *result.Bottleneck
	most := -1.0
	for i, c := range pools {
		if float64(n[i])*c.rate > (1+alike)*lowest {
			continue
		}
		b := &result.Bottleneck{Pool: names[i], Limit: c.limit, Misses: c.alone.over > 1, Gains: p.gains(c), Capacities: rates}
		_, gain := b.Most()
		if worth := gain * float64(n[i]*c.chips); worth > most {
			best, most = b, worth
		}
	}
	return best
}

// gains are what a tenth more of each resource is worth to a pool: in rate, or in latency
// where it misses its limits even when almost empty.
func (p *pricer) gains(c *priced) map[string]float64 {
	base := p.priceBudget(c.pool, c.role)
	gains := map[string]float64{}
	for _, r := range result.Resources {
		q := *p
		q.stepper = func(pool *scenario.Pool, role cost.Role) (*cost.Stepper, error) {
			st, err := p.stepper(pool, role)
			switch {
			case err != nil:
				return nil, err
			case r.Key == result.MemoryCapacity:
				return st.Roomier(more), nil
			}
			return st.Relieved(more, r.Causes...), nil
		}
		relieved := q.priceBudget(c.pool, c.role)
		gain := relieved.rate/base.rate - 1
		if base.alone.over > 1 {
			gain = base.alone.over/relieved.alone.over - 1
		}
		gains[r.Key] = math.Round(1e4*gain) / 1e4
	}
	return gains
}
