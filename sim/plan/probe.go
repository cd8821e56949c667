package plan

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

// precision of a capacity: the ratio between a rate that is sustained and one that
// is not, and how many probes may be spent on it.
type precision struct {
	ratio  float64
	probes int
}

var (
	coarse = precision{1.1, 12}
	fine   = precision{1.02, 16}
)

// stride is the ratio of the second probe's rate to the first's: about as far as most
// estimates are off. The third is twice as many strides away, and so on.
const stride = 1.1

// bracket is what probes have found of a capacity: a rate that is sustained, 0 for none
// yet, and one that is not. Rates are tried outwards from the first, further each time,
// until one lies on either side; then the ratio between them is halved.
type bracket struct {
	good, bad float64
	next      float64
	probes    int
	step      float64
}

func newBracket(rate float64) *bracket {
	return &bracket{bad: math.Inf(1), next: max(rate, leastRate), step: stride}
}

// found reports that the capacity is known as well as was asked.
func (b *bracket) found(to precision) bool {
	return b.probes >= to.probes || b.bad <= b.good*to.ratio || b.good == 0 && b.next < leastRate
}

// leastRate is the lowest that probes go to, in requests a second: at less a year has not
// enough of them for a percentile.
const leastRate = 1e-5

// tried books a probe of the next rate.
func (b *bracket) tried(fraction float64) {
	b.probes++
	if fraction >= WithinSLO {
		b.good = b.next
	} else {
		b.bad = b.next
	}
	switch {
	case b.good == 0:
		b.next = b.bad / b.step
		b.step *= b.step
	case math.IsInf(b.bad, 1):
		b.next = b.good * b.step
		b.step *= b.step
	default:
		b.next = math.Sqrt(b.good * b.bad)
	}
	b.step = min(b.step, mostStep)
}

// mostStep bounds a stride.
const mostStep = 4

// trial is a deployment under probes.
type trial struct {
	*bracket
	scenario *scenario.Scenario
	of       *deployed
	out      bool // another sustains what this one does not
}

// mostTrials is how many deployments are probed: the best by estimate, then those that the
// estimate puts above what probes found.
const (
	firstTrials = 4
	mostTrials  = 8
)

// worthTrying is the share of the best estimate from which a deployment is probed; that of
// another mode is among the first from there on.
const worthTrying = 0.6

// shortlist picks the deployments to probe first: the best by estimate, one of each mode
// among them.
func shortlist(all []deployed) []*deployed {
	var list []*deployed
	modes := map[string]bool{}
	for i := range all {
		d := &all[i]
		if d.over > 1 || d.capacity < worthTrying*all[0].capacity {
			continue
		}
		if len(list) < firstTrials-1 || len(list) < firstTrials && (len(modes) > 1 || !modes[d.mode]) {
			list = append(list, d)
			modes[d.mode] = true
		}
	}
	if len(list) < firstTrials { // all are of one mode
		for i := range all {
			if d := &all[i]; len(list) < firstTrials && d.over <= 1 && d.capacity >= worthTrying*all[0].capacity && !slices.Contains(list, d) {
				list = append(list, d)
			}
		}
	}
	if len(list) == 0 {
		list = append(list, &all[0])
	}
	return list
}

// probeFn returns the share of requests within the SLO that a deployment has at a rate.
type probeFn func(ctx context.Context, s *scenario.Scenario, d *deployed, rate float64) (float64, error)

// rankByProbes probes the best of all deployments side by side, in rounds, until it is known
// which sustains most, and puts them in that order: first those that probes have
// measured, by what these found, and then the others, by estimate.
func rankByProbes(ctx context.Context, s *scenario.Scenario, all []deployed, probe probeFn, to precision, o *Options, workers int) error {
	var trials []*trial
	add := func(d *deployed) {
		t := s.Clone()
		d.apply(t)
		trials = append(trials, &trial{bracket: newBracket(d.capacity), scenario: t, of: d})
	}
	for _, d := range shortlist(all) {
		add(d)
	}
	for {
		if err := rounds(ctx, trials, probe, to, o, workers); err != nil {
			return err
		}
		best := 0.0
		for _, t := range trials {
			best = max(best, t.good)
		}
		next := untried(all, trials)
		if len(trials) >= mostTrials || next == nil || next.over > 1 || next.capacity <= best {
			break
		}
		add(next)
	}
	for _, t := range trials {
		if t.out { // no more is known than that it is not the best
			t.of.capacity = min(max(t.of.capacity, t.good), t.bad)
			continue
		}
		// One that misses the SLO even when empty stays with those of its kind, by estimate.
		t.of.probed, t.of.good, t.of.bad = t.good > 0 || t.of.over <= 1, t.good, t.bad
	}
	slices.SortStableFunc(all, func(a, b deployed) int {
		return cmp.Or(-cmp.Compare(a.good, b.good), cmp.Compare(a.beyond(), b.beyond()), -cmp.Compare(a.sustained(), b.sustained()))
	})
	return nil
}

// untried is the best by estimate that has not been probed.
func untried(all []deployed, trials []*trial) *deployed {
	for i := range all {
		if !slices.ContainsFunc(trials, func(t *trial) bool { return t.of == &all[i] }) {
			return &all[i]
		}
	}
	return nil
}

// mostHopeless is how many probes are spent on a deployment in which a request alone misses
// the SLO, while none is sustained.
const mostHopeless = 3

// rounds give every trial that is not settled one probe a round. One that fails at no
// more than what another sustains is out.
func rounds(ctx context.Context, trials []*trial, probe probeFn, to precision, o *Options, workers int) error {
	for {
		var open []*trial
		best := 0.0
		for _, t := range trials {
			best = max(best, t.good)
		}
		for _, t := range trials {
			t.out = t.out || t.bad <= best && t.good < best
			hopeless := t.of.over > 1 && t.good == 0 && t.probes >= mostHopeless
			if !t.out && !hopeless && !t.found(to) {
				open = append(open, t)
			}
		}
		if len(open) == 0 {
			return nil
		}
		fractions := make([]float64, len(open))
		var lock sync.Mutex
		for _, err := range work.Each(ctx, len(open), workers, func(i int) (err error) {
			t := open[i]
			fractions[i], err = probe(ctx, t.scenario, t.of, t.next)
			lock.Lock()
			defer lock.Unlock()
			o.say("probe at %s requests/s: %.1f %% of requests within the SLO (%s)", Figure(t.next), 100*fractions[i], t.of.text())
			return err
		}, nil) {
			if err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, t := range open {
			t.tried(fractions[i])
		}
	}
}

// Sizes of a probe.
const (
	probeInFlight = 20_000 // requests in flight that a probe's cluster is cut down to
	probeMeasured = 8_000
	probeFewest   = 1_500      // of requests with long prompts, in place of probeMeasured
	probeTokens   = 40_000_000 // prompt tokens that a probe may measure
	probeLeast    = 3          // instances of the smaller pool
	// Shares of the measured requests that a probe waits for. The longest answers take
	// most of its time, and their latency a token is that of others.
	probeFinished    = 0.8
	probeFinishedE2E = 0.95 // where E2E has a limit, which the longest answers break
)

// probe runs a cut of the deployment at a cut of the rate: instances are alike and
// independent but for the router, so some of them show what all would do.
func (p *Plan) probe(ctx context.Context, s *scenario.Scenario, d *deployed, rate float64) (float64, error) {
	t := s.Clone()
	cut := p.cut(t, d, rate)
	t.Workload.Rate = rate * cut
	t.Workload.Duration = 0
	t.Workload.Requests = inTime(s, t.Workload.Rate, min(probeMeasured, max(probeFewest, probeTokens/p.demand.in)))
	finished := probeFinished
	if p.promised.E2E > 0 {
		finished = probeFinishedE2E
	}
	return p.within(ctx, t, finished)
}

// replayed is a probe of a trace at another rate than its own.
func (p *Plan) replayed(ctx context.Context, s *scenario.Scenario, _ *deployed, rate float64) (float64, error) {
	return p.within(ctx, p.atRate(s, rate), 0)
}

// atRate is a scenario whose trace is offered at a rate; with its own scale it is offered
// at that of the demand.
func (p *Plan) atRate(s *scenario.Scenario, rate float64) *scenario.Scenario {
	t := s.Clone()
	t.Trace.RateScale *= rate / p.demand.rate
	return t
}

// uneven is how much larger a share of one pool than of the other a cut may keep: what
// one has too many would hide what bounds the whole.
const uneven = 0.03

// cut takes instances out of the pools, in proportion, and returns the share of
// the rate that the rest can be asked for.
func (p *Plan) cut(t *scenario.Scenario, of *deployed, rate float64) float64 {
	d := &t.Deployment
	pools := []*scenario.Pool{d.Serve}
	if d.Serve == nil {
		pools = []*scenario.Pool{d.Prefill, d.Decode}
	}
	least := math.MaxInt
	for _, q := range pools {
		least = min(least, q.Instances)
	}
	inFlight := rate * (of.ttft + p.demand.out*of.tpot)
	keep := max(probeLeast, int(math.Ceil(float64(least)*probeInFlight/max(1, inFlight))))
	for ; keep < least; keep++ {
		share, most := 1.0, 0.0
		n := make([]int, len(pools))
		for i, q := range pools {
			n[i] = max(1, int(math.Round(float64(q.Instances)*float64(keep)/float64(least))))
			share, most = min(share, float64(n[i])/float64(q.Instances)), max(most, float64(n[i])/float64(q.Instances))
		}
		if most > share*(1+uneven) {
			continue
		}
		for i, q := range pools {
			q.Instances = n[i]
		}
		return share
	}
	return 1
}

// within runs a scenario until a share of its measured requests has finished (0:
// all) and returns the share of these that met the SLO, none when what arrived was not
// served.
func (p *Plan) within(ctx context.Context, s *scenario.Scenario, finished float64) (float64, error) {
	opt := p.Options
	var good, all int64
	opt.OnRequest = func(c *metrics.Completion) {
		if c.Measured {
			all++
			if c.Met(&p.promised) {
				good++
			}
		}
	}
	enough := int64(math.MaxInt64)
	if finished > 0 {
		enough = int64(finished * float64(s.Workload.Requests))
	}
	opt.ObserveEvents = 1024
	// A queue that grows shows when the last has arrived.
	opt.Observe = func(s *metrics.Snapshot) bool { return s.AllArrived && all >= enough }
	opt.ObserveInterval = 0
	r, err := sim.Run(ctx, s, opt)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !r.Window.Sustained {
		return 0, nil // a queue that grows leaves no request of a longer run within a limit
	}
	lost := r.Requests.Rejected + r.Requests.Lost
	return float64(good) / math.Max(1, float64(all+lost)), nil
}
