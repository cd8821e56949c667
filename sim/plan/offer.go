package plan

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
)

// WithinSLO is the share of requests that must be within the SLO for a rate to
// count as sustained.
const WithinSLO = 0.9

const (
	offered  = 0.8  // of capacity, when no rate is given
	idleLoad = 0.05 // of capacity, below which a trace is said to leave the system idle
	// burstRequests arrive at once where their number is not given.
	burstRequests = 1000
	tooMuch       = 1.25 // of capacity, above which a rate is said to be beyond it
)

// OpenRate reports that a scenario leaves its rate to the plan.
func OpenRate(s *scenario.Scenario) bool {
	return s.Trace == nil && (s.Workload == nil || s.Workload.Rate == 0 && s.Workload.Concurrency == 0 && !s.Workload.AllAtOnce())
}

// offer decides the rate and the number of requests where they are open.
func (p *Plan) offer(ctx context.Context, s *scenario.Scenario, o *Options) error {
	if s.Trace != nil {
		return p.replay(ctx, s, o)
	}
	w := s.Workload
	if w.Concurrency > 0 {
		if o.FindCapacity {
			return fmt.Errorf("--find-capacity: a closed loop finds its own rate; leave out the concurrency")
		}
		if w.Requests == 0 {
			w.Requests = max(1000, 4*int64(w.Concurrency))
		}
		return nil
	}
	if w.AllAtOnce() {
		if o.FindCapacity {
			return fmt.Errorf("--find-capacity: requests that all arrive at once have no rate; give other arrivals")
		}
		w.Requests = cmp.Or(w.Requests, burstRequests)
		return nil
	}
	if w.Rate == 0 || o.FindCapacity {
		step := coarse
		if o.FindCapacity {
			step = fine
		}
		probe := func(ctx context.Context, rate float64) (float64, error) { return p.probe(ctx, s, rate) }
		if err := p.settle(ctx, probe, step, o); err != nil {
			return err
		}
	}
	if w.Rate == 0 {
		w.Rate = significant(offered * p.CapacityRequestsPerS)
		s.Deployment.Why = strings.TrimSpace(fmt.Sprintf("%s %s; %.0f %% of that is offered.", s.Deployment.Why, p.probed, 100*offered))
	} else {
		p.overload(w.Rate, "the workload")
	}
	if w.Requests == 0 && w.Duration == 0 {
		w.Requests = p.requests(w.Rate)
	}
	return nil
}

// replay says when a trace leaves the deployment idle.
func (p *Plan) replay(ctx context.Context, s *scenario.Scenario, o *Options) error {
	rate := p.demand.rate // as scaled
	if o.FindCapacity {
		if s.Trace.File == "-" || rate == 0 {
			return fmt.Errorf("--find-capacity: the trace must be a file with requests at different times, so that it can be replayed at several rates")
		}
		probe := func(ctx context.Context, target float64) (float64, error) {
			t := s.Clone()
			t.Trace.RateScale *= target / rate
			return p.within(ctx, t, 0)
		}
		if err := p.settle(ctx, probe, fine, o); err != nil {
			return err
		}
	}
	p.overload(rate, "the trace")
	if load := rate / p.CapacityRequestsPerS; rate > 0 && load < idleLoad {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the trace offers %s requests/s, %.2g %% of the deployment's estimated capacity of %s; --rate-scale %g would offer %.0f %%",
			Figure(rate), 100*load, Figure(p.CapacityRequestsPerS), significant(s.Trace.RateScale*offered/load), 100*offered))
	}
	return nil
}

// overload warns of a rate well beyond the estimated capacity.
func (p *Plan) overload(rate float64, who string) {
	if rate > tooMuch*p.CapacityRequestsPerS {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s offers %s requests/s, %.0f %% of the deployment's estimated capacity of %s: queues grow as long as it lasts",
			who, Figure(rate), 100*rate/p.CapacityRequestsPerS, Figure(p.CapacityRequestsPerS)))
	}
}

// precision of a capacity: the ratio between a rate that is sustained and one that
// is not, and how many probes may be spent on it.
type precision struct {
	ratio  float64
	probes int
}

var (
	coarse = precision{1.1, 8}
	fine   = precision{1.02, 16}
)

// A probe's next rate, while all so far were sustained or none was: about as far in
// either direction as estimates are off (TestCapacityAgainstRuns).
const (
	stepUp   = 1.25
	stepDown = 0.85
)

// settle corrects the estimated capacity by probes: it steps up or down until a
// sustained rate lies below one that is not, and then halves the ratio between them.
// Capacity is the highest rate seen to be sustained.
func (p *Plan) settle(ctx context.Context, probe func(context.Context, float64) (float64, error), to precision, o *Options) error {
	rate, good, bad := p.CapacityRequestsPerS, 0.0, math.Inf(1)
	for i := 0; i < to.probes && bad > good*to.ratio; i++ {
		fraction, err := probe(ctx, rate)
		if err != nil {
			return err
		}
		o.say("probe at %s requests/s: %.1f %% of requests within the SLO", Figure(rate), 100*fraction)
		if fraction >= WithinSLO {
			good = rate
		} else {
			bad = rate
		}
		switch {
		case good == 0:
			rate = bad * stepDown
		case math.IsInf(bad, 1):
			rate = good * stepUp
		default:
			rate = math.Sqrt(good * bad)
		}
	}
	p.CapacityRequestsPerS = significant(good)
	p.probed = fmt.Sprintf("Probe runs sustain %s requests/s (to %.0f %%)", Figure(p.CapacityRequestsPerS), 100*(to.ratio-1))
	if good == 0 {
		p.CapacityRequestsPerS = significant(bad)
		p.probed = fmt.Sprintf("Probe runs keep less than %.0f %% of requests within the SLO down to %s requests/s", 100*WithinSLO, Figure(p.CapacityRequestsPerS))
		p.Warnings = append(p.Warnings, fmt.Sprintf("no rate down to %s requests/s keeps %.0f %% of requests within the SLO, %s",
			Figure(p.CapacityRequestsPerS), 100*WithinSLO, p.promised))
	}
	good = significant(good)
	p.Capacity = &result.Capacity{RequestsPerS: good, OutputTokensPerSPerChip: good * p.demand.out / float64(p.chosen.chips)}
	return nil
}

// Sizes of a probe.
const (
	probeInFlight = 20_000 // requests in flight that a probe's cluster is cut down to
	probeMeasured = 8_000
	probeFewest   = 1_500      // of requests with long prompts, in place of probeMeasured
	probeTokens   = 40_000_000 // prompt tokens that a probe may measure
	probeLeast    = 3          // instances of the smaller pool
	probeFinished = 0.95
)

// probe runs a cut of the deployment at a cut of the rate: instances are alike and
// independent but for the router, so some of them show what all would do.
func (p *Plan) probe(ctx context.Context, s *scenario.Scenario, rate float64) (float64, error) {
	t := s.Clone()
	cut := p.cut(t, rate)
	t.Workload.Rate = rate * cut
	t.Workload.Duration = 0
	t.Workload.Requests = int64(min(probeMeasured, max(probeFewest, probeTokens/p.demand.in)))
	return p.within(ctx, t, probeFinished)
}

// uneven is how much larger a share of one pool than of the other a cut may keep: what
// one has too many would hide what bounds the whole.
const uneven = 0.02

// cut takes instances out of the pools, in proportion, and returns the share of
// the rate that the rest can be asked for.
func (p *Plan) cut(t *scenario.Scenario, rate float64) float64 {
	d := &t.Deployment
	pools := []*scenario.Pool{d.Serve}
	if d.Serve == nil {
		pools = []*scenario.Pool{d.Prefill, d.Decode}
	}
	least := math.MaxInt
	for _, q := range pools {
		least = min(least, q.Instances)
	}
	inFlight := rate * (p.chosen.ttft + p.demand.out*p.chosen.tpot)
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
// served. The longest answers are the last to finish, and their latency a token is not
// unlike the others'.
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
	opt.Observe = func(*metrics.Snapshot) bool { return all >= enough }
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

// Limits of the number of requests of a run whose scenario names none.
const (
	mostInAll    = 1_000_000
	mostMeasured = 100_000
	fewest       = 50_000
	mostTokens   = 1_000_000_000 // prompt tokens of the measured requests, beyond the fewest
)

// requests is how many to measure: a hundred thousand, or fewer, but not under fifty
// thousand, where a million in all leaves no more room beside those in flight at the
// start and those that keep the system loaded until the measured ones have finished.
// Long prompts are dear to simulate and count by their tokens.
func (p *Plan) requests(rate float64) int64 {
	life := p.chosen.ttft + p.demand.out*p.chosen.tpot
	longest := p.chosen.ttft + float64(p.demand.outP999)*p.chosen.tpot
	room := mostInAll - rate*(life+longest)
	return int64(min(mostMeasured, max(fewest*min(1, mostTokens/(fewest*p.demand.in)), min(room, mostTokens/p.demand.in))))
}

// significant keeps four digits, so that a printed rate is the rate.
func significant(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-3)
	if unit < 1 {
		return math.Round(v*math.Round(1/unit)) / math.Round(1/unit)
	}
	return math.Round(v/unit) * unit
}

// limitSeconds is a latency limit in seconds; none is no limit.
func limitSeconds(t spec.Duration) float64 {
	if t <= 0 {
		return math.Inf(1)
	}
	return t.Seconds()
}
