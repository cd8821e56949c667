package plan

import (
	"fmt"
	"math"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/topologies"
)

// busiest is the highest share of a server's time that a layout is planned for:
// queues without bound begin at 1.
const busiest = 0.97

// nineOfTen is how many standard deviations above its mean a normal number stays below
// nine times in ten: Φ⁻¹(0.9).
const nineOfTen = 1.28

// Layouts that differ by less are taken as equal, so that the one tried first stays:
// in how far they are beyond the limits, and in rate.
const (
	sameOver = 0.01
	sameRate = 1.005
)

// priced is a pool layout in one role and what one instance of it can do.
type priced struct {
	pool   scenario.Pool // Instances is 0: how many there are is decided later
	role   cost.Role
	chips  int
	layout string
	whyNot string // it cannot run at all
	holds  bool   // the model fits, whatever else may not

	point                // what an instance does at the rate that it sustains
	alone lonely         // what a request has that finds it empty
	below [8]point       // what it does at k eighths of that load, almost empty first; known where E2E is limited
	cause string         // where most of a step goes
	held  *result.KVPool // what the caches of an instance hold
	// transferBytes of a mean prompt's cache, held beside the layout since it
	// depends on the formats.
	transferBytes float64
}

// pricer prices pool layouts for one demand. It may be used by many goroutines.
type pricer struct {
	demand   demand
	slo      slo.Limits
	topology *topologies.Topology
	packs    *packs
	// keepsBudget says that the engine's prompt budget is not the search's to choose: a
	// patch sets it, or prompts are not cut, so that a smaller one takes no less of them.
	keepsBudget bool
	stepper     func(*scenario.Pool, cost.Role) (*cost.Stepper, error)
}

// price finds the highest rate of one instance, over the prompt budgets worth
// trying: the engine's own and, where prompts hold tokens up, smaller ones. A layout
// that is given in full keeps the engine's own: only a search may choose another.
func (p *pricer) price(pool scenario.Pool, role cost.Role) priced {
	best := p.priceBudget(pool, role)
	if best.whyNot != "" || role == cost.Decode || pool.MaxTokens != 0 || p.keepsBudget || fixed(&pool) {
		return best
	}
	full := best.pool.MaxTokens
	for budget := full / 2; budget >= max(512, full/16); budget /= 2 {
		pool.MaxTokens = budget
		c := p.priceBudget(pool, role)
		if c.whyNot == "" && c.better(&best) {
			best = c
		} else if best.alone.over <= 1 && c.rate < worseBudget*best.rate {
			break // smaller ones are worse still
		}
	}
	return best
}

// worseBudget is the share of the best budget's rate at which smaller ones are given up.
const worseBudget = 0.9

// better orders layouts of one role and size: within the limits by rate, beyond
// them by how far a request alone is.
func (c *priced) better(o *priced) bool {
	over, other := c.alone.over, o.alone.over
	if (over <= 1) != (other <= 1) {
		return over <= 1
	}
	if over > 1 && math.Abs(over-other) > sameOver*other {
		return over < other
	}
	return c.rate > sameRate*o.rate
}

func (p *pricer) priceBudget(pool scenario.Pool, role cost.Role) priced {
	out := priced{pool: pool, role: role}
	out.layout = poolText(&pool)
	st, err := p.stepper(&pool, role)
	if err != nil {
		out.whyNot = err.Error()
		return out
	}
	c := st.Config()
	out.pool.MaxTokens = c.MaxTokens
	out.chips = st.Chips()
	b := p.bench(st, role)
	out.held = sim.Holding(st)
	b.instances = p.shared(&pool, role, out.chips)
	out.transferBytes = float64(b.memory.TransferBytes(int64(p.demand.in)))
	// A run refuses a request that some pool cannot hold whole: what a decode rank
	// evicts is prefilled again, answer so far included.
	if tokens := p.demand.longest.in + p.demand.longest.out; !sim.Fits(st, tokens) {
		out.holds = true
		out.whyNot = fmt.Sprintf("the workload's longest request (%d + %d tokens) needs %s of KV cache, a rank has %s, a part of which is kept free",
			p.demand.longest.in, p.demand.longest.out, gib(b.memory.SequenceBytes(tokens)), gib(b.memory.Free))
		return out
	}
	out.alone = b.alone(role)
	switch role {
	case cost.Prefill:
		b.prefill(&out)
	case cost.Decode:
		b.decode(&out)
	default:
		b.mixed(&out)
	}
	// What misses the SLO takes what seldom meets another, if not more; what has next to
	// nothing to spare takes at least what hardly ever does.
	used := hardly
	if out.alone.over > 1 {
		used = seldom
	}
	out.rate = max(out.rate, used/(out.alone.ttft+out.alone.tpot*p.demand.out))
	return out
}

// Shares of the time that an instance is in use, for a request that should find it empty.
const (
	seldom = 0.05
	hardly = 0.001
)

// bench is the pricing of one pool layout: a stepper and room for its loads.
type bench struct {
	*pricer
	st     *cost.Stepper
	config cost.Config
	memory cost.Memory
	loads  []cost.Load
	// mean and heavy are the cost of a prompt token on the mean and on the heaviest rank.
	mean, heavy promptCost
	instances   float64 // that share the load, as far as is known
	// single are the seconds of prompts that are alone, firsts those of their first chunks, by length.
	single, firsts map[int64]float64
	fastest        float64 // prompt tokens a second of a rank of a prefill pool whose steps are full
}

func (p *pricer) bench(st *cost.Stepper, role cost.Role) *bench {
	c := st.Config()
	b := &bench{pricer: p, st: st, config: c, memory: st.Memory(), loads: make([]cost.Load, c.Layout.DP), single: map[int64]float64{}, firsts: map[int64]float64{}, instances: 1}
	if role != cost.Decode {
		cut := p.packs.at(int64(c.MaxTokens))
		b.mean, b.heavy = cut.heaviest(1), cut.heaviest(c.Layout.DP)
	}
	return b
}

// shared is how many instances of a layout the router chooses among: those that are given,
// or as many as there is room for, in half of the system where another pool has the rest.
func (p *pricer) shared(pool *scenario.Pool, role cost.Role, chips int) float64 {
	if pool.Instances > 0 {
		return float64(pool.Instances)
	}
	room := p.topology.Chips / chips
	if role != cost.Mixed {
		room /= 2
	}
	return float64(max(1, room))
}

func (b *bench) accepted() float64 { return max(1, b.config.Accepted) }

// mostSequences is how many sequences a rank may decode in the mean: what the
// engine allows and the cache holds, less the room for fluctuation that keeps
// nine in ten moments below the limit.
func (b *bench) mostSequences() (n float64, limit string) {
	d := &b.demand
	var one [models.MaxBreaks]int64
	for j := range one {
		one[j] = int64(d.context[j] * (1 << cost.ContextShift))
	}
	mean := float64(b.memory.KVBytes(one, 1))
	sd := mean * d.contextSD[0] / max(1, d.context[0])
	free := float64(b.memory.Free)
	// n·mean + nineOfTen·√n·rms = free, rms² = mean² + sd²: a compound Poisson number of caches.
	rms := nineOfTen * math.Sqrt(mean*mean+sd*sd)
	root := (-rms + math.Sqrt(rms*rms+4*mean*free)) / (2 * mean)
	byMemory := root * root
	limit = "KV cache"
	if most := headroom(float64(b.config.MaxSequences)*float64(len(b.loads))) / float64(len(b.loads)); most < byMemory {
		byMemory, limit = most, "max_sequences"
	}
	return max(1, math.Floor(byMemory)), limit
}

// headroom is the mean of a Poisson number that stays at or below most nine
// times in ten.
func headroom(most float64) float64 {
	r := (-nineOfTen + math.Sqrt(nineOfTen*nineOfTen+4*most)) / 2
	return max(1, r*r)
}
