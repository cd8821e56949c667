package plan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
)

// Asked says which step Typical is to find; zero fields are left to the estimate.
type Asked struct {
	Pool  string         // prefill, decode or serve; empty is the one that limits capacity
	Phase cost.Role      // Prefill or Decode; empty is the pool's own, or the one that takes more of its time
	Alone *scenario.Pool // the layout of an instance that is priced by itself, in place of the deployment's pools
	// Sequences that a rank decodes (or prompts that it takes), tokens of each, and
	// prompt tokens of each in the step. Where one of them is given, every rank has
	// the same work.
	Sequences, Context, Chunk int64
}

// Step is one step of an instance, and what the estimate says of it.
type Step struct {
	Scenario *scenario.Scenario // with the layout that was found
	Pool     string
	Phase    cost.Role
	Stepper  *cost.Stepper
	Loads    []cost.Load
	// Sequences, Context and ChunkTokens are a mean rank's: sequences that decode,
	// tokens of each, prompt tokens in the step.
	Sequences, Context, ChunkTokens int64
	Rate                            float64  // requests a second of the instance; 0 where nothing was estimated
	Notes                           []string // substituted formats, an SLO that no layout meets
}

// Typical is the step that a pool's instances run in steady state: the layout is the
// scenario's, or the one that Complete would choose; the batch is that for which, by
// the estimate that the search rests on, as many requests leave as arrive. They
// arrive at the scenario's rate; where that is open, at 80 % of the estimated
// capacity. No requests are simulated.
func Typical(ctx context.Context, s *scenario.Scenario, opt sim.Options, want Asked) (*Step, error) {
	p, out, in, err := begin(s, opt)
	if err != nil {
		return nil, err
	}
	t := &typical{asked: want, plan: p, scenario: out, inputs: in}
	if want.Alone != nil {
		return t.alone()
	}
	if err := p.deploy(ctx, out, in, &s.Deployment, &Options{LayoutOnly: true}); err != nil {
		return nil, err
	}
	return t.deployed()
}

// typical is one question on its way to a step.
type typical struct {
	asked    Asked
	plan     *Plan
	scenario *scenario.Scenario
	inputs   *plant.Inputs
}

// alone prices a layout without a deployment around it, at 80 % of what it sustains. It
// does what the pool that was asked for does; without one, it serves where the scenario
// is aggregated or a decode step takes a prompt's chunk, and else does the phase alone.
func (t *typical) alone() (*Step, error) {
	name := t.asked.Pool
	if name == "" {
		name = string(cmp.Or(t.asked.Phase, cost.Decode))
		if name == string(cost.Decode) && t.asked.Chunk > 0 || t.scenario.Deployment.Mode == "aggregated" {
			name = "serve"
		}
	}
	role, ok := poolRoles[name]
	if !ok {
		return nil, spec.UnknownName("pool", name, slices.Sorted(maps.Keys(poolRoles)))
	}
	if err := t.phaseOf(name, role); err != nil {
		return nil, err
	}
	b, err := t.bench(t.asked.Alone, role)
	if err != nil {
		return nil, err
	}
	if t.given() {
		return t.step(b, name, role, 0)
	}
	best := t.plan.pricer(t.scenario, t.inputs).price(*t.asked.Alone, role)
	if best.whyNot != "" {
		return nil, fmt.Errorf("%s", best.whyNot)
	}
	return t.step(b, name, role, offered*best.rate)
}

// deployed picks the pool that was asked for.
func (t *typical) deployed() (*Step, error) {
	d := &t.scenario.Deployment
	pools := []struct {
		name string
		pool *scenario.Pool
		role cost.Role
	}{{"prefill", d.Prefill, cost.Prefill}, {"decode", d.Decode, cost.Decode}, {"serve", d.Serve, cost.Mixed}}
	name := cmp.Or(t.asked.Pool, t.limiting())
	var there []string
	for _, p := range pools {
		if p.pool == nil {
			continue
		}
		if there = append(there, p.name); p.name != name {
			continue
		}
		if err := t.phaseOf(name, p.role); err != nil {
			return nil, err
		}
		b, err := t.bench(p.pool, p.role)
		if err != nil {
			return nil, fmt.Errorf("deployment.%s: %w", name, err)
		}
		return t.step(b, name, p.role, t.rate()/float64(p.pool.Instances))
	}
	return nil, spec.UnknownName("pool", name, there)
}

// poolRoles are what pools do, by their names.
var poolRoles = map[string]cost.Role{"prefill": cost.Prefill, "decode": cost.Decode, "serve": cost.Mixed}

// phaseOf refuses a phase that a pool does not do.
func (t *typical) phaseOf(name string, role cost.Role) error {
	if t.asked.Phase != "" && role != cost.Mixed && role != t.asked.Phase {
		return fmt.Errorf("pool %s does %s, not %s", name, role, t.asked.Phase)
	}
	return nil
}

// limiting is the pool that has less capacity than the other, or the one that does
// the phase that was asked for.
func (t *typical) limiting() string {
	switch c := &t.plan.chosen; {
	case c.second == nil:
		return "serve"
	case t.asked.Phase != "":
		return string(t.asked.Phase)
	case c.prefillInExcess < 1:
		return "prefill"
	}
	return "decode"
}

// rate is what arrives at the deployment, in requests a second. A closed loop's is
// that at which its clients are under way by Little's law.
func (t *typical) rate() float64 {
	if t.scenario.Trace != nil {
		return t.plan.demand.rate
	}
	w := t.scenario.Workload
	if w.Concurrency == 0 {
		return cmp.Or(w.Rate, offered*t.plan.CapacityRequestsPerS)
	}
	return t.closed(float64(w.Concurrency), float64(w.ThinkTime)/1e9)
}

// closed is the rate at which so many clients are under way by Little's law, or thinking:
// the more a second, the longer each takes.
func (t *typical) closed(clients, think float64) float64 {
	c := &t.plan.chosen
	d := &t.scenario.Deployment
	first, second := cmp.Or(d.Prefill, d.Serve), d.Decode
	roles := []cost.Role{cost.Mixed, cost.Decode}
	if second != nil {
		roles[0] = cost.Prefill
	}
	var benches []*bench
	for i, pool := range []*scenario.Pool{first, second} {
		if pool == nil {
			continue
		}
		b, err := t.bench(pool, roles[i])
		if err != nil {
			return clients / (c.ttft + t.plan.demand.out*c.tpot + think) // said where the step is priced
		}
		benches = append(benches, b)
	}
	life := func(rate float64) float64 {
		p := benches[0].pointAt(roles[0], rate/float64(c.n1))
		if len(benches) > 1 {
			p.tpot = benches[1].pointAt(cost.Decode, rate/float64(c.n2)).tpot
		}
		return p.ttft + t.plan.demand.out*p.tpot + think
	}
	lo, hi := 0.0, t.plan.CapacityRequestsPerS
	for range 30 {
		if mid := (lo + hi) / 2; mid*life(mid) < clients {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

func (t *typical) bench(pool *scenario.Pool, role cost.Role) (*bench, error) {
	pr := t.plan.pricer(t.scenario, t.inputs)
	st, err := pr.stepper(pool, role)
	if err != nil {
		return nil, err
	}
	return pr.bench(st, role), nil
}

// given reports that nothing is left to the estimate.
func (t *typical) given() bool { return t.asked.Sequences > 0 && t.asked.Context > 0 }

// step is the one with the load for which an instance gets through rate requests a
// second, or the load that was asked for.
func (t *typical) step(b *bench, name string, role cost.Role, rate float64) (*Step, error) {
	s := &Step{Scenario: t.scenario, Pool: name, Stepper: b.st, Rate: rate, Phase: role}
	s.Notes = append(append(s.Notes, t.inputs.Substituted...), t.plan.Warnings...)
	if role == cost.Mixed {
		s.Phase = cmp.Or(t.asked.Phase, b.longerPhase(b.loadAt(role, rate)))
	}
	s.Context = max(1, int64(math.Round(t.plan.demand.context[0])))
	if s.Phase == cost.Prefill {
		s.Context = max(1, int64(math.Round(t.plan.demand.in)))
	}
	if a := &t.asked; a.Sequences > 0 || a.Context > 0 || a.Chunk > 0 {
		return s, t.uniform(b, s, role)
	}
	n := b.loadAt(role, rate)
	if capacity := b.rateAt(role, n); rate > capacity*(1+1.0/64) {
		s.Notes = append(s.Notes, fmt.Sprintf("%s requests a second are more than an instance of pool %s gets through (%s): its largest batch is shown", Figure(rate), name, Figure(capacity)))
	}
	switch {
	case role == cost.Prefill:
		// a step with work has one prompt at least, or as much of it as a step takes
		prompt := min(int64(math.Round(t.plan.demand.in)), int64(b.config.MaxTokens))
		n = max(n, prompt/int64(len(b.loads)), 1)
		b.prefillStep(n, max(b.fullest(float64(n)), prompt))
		s.ChunkTokens = n
	case s.Phase == cost.Prefill:
		_, _, c, chunk := b.balance(n)
		b.mixedStep(n, c, chunk)
		s.Sequences, s.ChunkTokens = n, int64(c)
	default:
		b.demand.decodeLoads(b.loads, n)
		s.Sequences = n
	}
	s.Loads = b.loads
	return s, nil
}

// mostAsked bounds a batch, a length, and their product in 2^20 tokens: sums of tokens stay
// within their fixed point.
const mostAsked = 1 << 24

// uniform gives every rank the work that was asked for; what is left open is that of
// the mean rank.
func (t *typical) uniform(b *bench, s *Step, role cost.Role) error {
	a := &t.asked
	s.Context = cmp.Or(a.Context, s.Context)
	for _, n := range []int64{a.Sequences, a.Context, a.Chunk, a.Sequences * (a.Context >> 20)} {
		if n < 0 || n > mostAsked {
			return fmt.Errorf("a batch of %d by %d tokens in chunks of %d is out of range; at most %d tokens in all are priced", a.Sequences, a.Context, a.Chunk, int64(mostAsked)<<20)
		}
	}
	if a.Chunk > s.Context {
		return fmt.Errorf("a chunk of %d tokens is more than the %d of a sequence; give its context too", a.Chunk, s.Context)
	}
	if s.Phase == cost.Prefill {
		prompts := max(1, cmp.Or(a.Sequences, int64(math.Round(float64(b.loadAt(role, s.Rate))/float64(s.Context)))))
		chunk := min(s.Context, cmp.Or(a.Chunk, max(1, int64(b.config.MaxTokens)/prompts)))
		s.ChunkTokens = prompts * chunk
		s.Loads = b.st.Uniform(0, prompts, s.Context, chunk)
		return nil
	}
	s.Sequences, s.ChunkTokens = cmp.Or(a.Sequences, b.loadAt(role, s.Rate)), a.Chunk
	s.Loads = b.st.Uniform(s.Sequences, min(1, a.Chunk), s.Context, a.Chunk)
	return nil
}

// loadAt is the least load at which an instance gets through rate requests a second:
// sequences of a rank, or its prompt tokens a step. Where none does, it is the most.
func (b *bench) loadAt(role cost.Role, rate float64) int64 {
	lo, hi := int64(0), b.mostLoad(role) // lo is too little, or 0
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; b.rateAt(role, mid) < rate {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// mostLoad is the largest load of an instance: what the engine lets in and the cache holds.
func (b *bench) mostLoad(role cost.Role) int64 {
	if role == cost.Prefill {
		return int64(b.config.MaxTokens)
	}
	n, _ := b.mostSequences()
	most := int64(n)
	if role == cost.Mixed {
		most = min(most, (int64(b.config.MaxTokens)-1)/int64(1+b.config.Drafts))
	}
	return max(1, most)
}

// rateAt is the requests a second that an instance with a load gets through.
func (b *bench) rateAt(role cost.Role, load int64) float64 { return b.at(role, load).rate }

// pointAt is the operating point at a rate.
func (b *bench) pointAt(role cost.Role, rate float64) point { return b.at(role, b.loadAt(role, rate)) }

func (b *bench) at(role cost.Role, load int64) point {
	switch role {
	case cost.Prefill:
		if b.fastest == 0 {
			budget := int64(b.config.MaxTokens)
			b.fastest = float64(budget) / b.prefillStep(budget, budget).Time.Seconds()
		}
		return b.prefillAt(float64(load))
	case cost.Decode:
		return b.decodeAt(float64(load))
	}
	return b.mixedAt(float64(load))
}

// longerPhase is the phase that steps with n sequences a rank spend more time in:
// a step that takes prompt tokens counts as prefill.
func (b *bench) longerPhase(n int64) cost.Role {
	_, _, c, chunk := b.balance(n)
	b.demand.decodeLoads(b.loads, n)
	plain := b.st.Step(b.loads).Time.Seconds()
	busy := b.mixedStep(n, c, chunk).Time.Seconds()
	some := b.prompted(c, chunk)
	if some*busy > (1-some)*plain {
		return cost.Prefill
	}
	return cost.Decode
}
