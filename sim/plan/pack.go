package plan

import (
	"slices"
	"sync"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
)

// packs cuts a queue of prompts into the steps of a rank, by budget, and keeps what
// it has cut: many layouts share a budget. It may be used by many goroutines.
type packs struct {
	sample []lengths
	breaks []int64
	lock   sync.Mutex
	cut    map[int64]*pack
}

// pack is what full steps of a rank have, each sorted: attention pairs by break, and
// tokens before their chunks.
type pack struct {
	budget int64
	steps  [models.MaxBreaks][]float64
	prefix []float64
}

// promptCost is what attention pays for a prompt token: pairs by break, and tokens
// before its chunk that an MHA-form prefill projects again.
type promptCost struct {
	pairs  [models.MaxBreaks]float64
	prefix float64
}

func newPacks(sample []lengths, breaks []int64) *packs {
	return &packs{sample: sample, breaks: breaks, cut: map[int64]*pack{}}
}

func (p *packs) at(budget int64) *pack {
	p.lock.Lock()
	defer p.lock.Unlock()
	c, ok := p.cut[budget]
	if !ok {
		c = cutQueue(p.sample, p.breaks, budget)
		p.cut[budget] = c
	}
	return c
}

// mostSteps is how many full steps a queue is cut into at most: enough for the
// heaviest of any instance's ranks, and a moment's work when prompts are a thousand
// budgets long.
const mostSteps = 1 << 18

func cutQueue(sample []lengths, breaks []int64, budget int64) *pack {
	c := &pack{budget: budget}
	var sums [models.MaxBreaks]int64
	prefix, room := int64(0), budget
	for _, r := range sample {
		for done := int64(0); done < r.in && len(c.steps[0]) < mostSteps; {
			n := min(room, r.in-done)
			for j, b := range breaks {
				sums[j] += cost.PairSum(done, n, b)
			}
			prefix += done
			done += n
			if room -= n; room > 0 {
				continue
			}
			c.prefix = append(c.prefix, float64(prefix))
			for j := range breaks {
				c.steps[j] = append(c.steps[j], float64(sums[j]))
			}
			sums, prefix, room = [models.MaxBreaks]int64{}, 0, budget
		}
	}
	for j := range breaks {
		slices.Sort(c.steps[j])
	}
	slices.Sort(c.prefix)
	return c
}

// heaviest is what a prompt token costs on the rank whose chunk costs most among
// ranks that run a step together: the expected maximum of as many draws. Few long
// prompts hold most of the pairs, so the maximum is far above the mean, which is the
// heaviest of one.
func (c *pack) heaviest(ranks int) (p promptCost) {
	for j, steps := range c.steps {
		p.pairs[j] = expectedMaxOf(steps, ranks) / float64(c.budget)
	}
	p.prefix = expectedMaxOf(c.prefix, ranks) / float64(c.budget)
	return p
}

// expectedMaxOf is the mean of the largest of k draws from a sorted sample, with
// replacement: Σ x₍ᵢ₎·((i/n)ᵏ − ((i−1)/n)ᵏ), from the top down until what is left
// has no weight.
func expectedMaxOf(sorted []float64, k int) float64 {
	n := float64(len(sorted))
	sum, upper := 0.0, 1.0
	for i := len(sorted) - 1; i >= 0 && upper > 1e-6; i-- {
		lower := power(float64(i)/n, k)
		sum += sorted[i] * (upper - lower)
		upper = lower
	}
	return sum
}

// power is x^k by squaring, several times as fast as math.Pow for whole k.
func power(x float64, k int) float64 {
	y := 1.0
	for ; k > 0; k >>= 1 {
		if k&1 == 1 {
			y *= x
		}
		x *= x
	}
	return y
}
