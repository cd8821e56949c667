package plan

import (
	"cmp"
	"fmt"
	"math"
	"strings"

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

// probes say how to look for a capacity, or that the workload has none.
func (p *Plan) probes(s *scenario.Scenario, o *Options) (probe probeFn, to precision, err error) {
	to = coarse
	if o.FindCapacity {
		to = fine
	}
	if s.Trace != nil {
		if o.FindCapacity && (s.Trace.File == "-" || p.demand.rate == 0) {
			return nil, to, fmt.Errorf("--find-capacity: the trace must be a file with requests at different times, so that it can be replayed at several rates")
		}
		if o.FindCapacity {
			return p.replayed, to, nil
		}
		return nil, to, nil
	}
	w := s.Workload
	switch {
	case w.Concurrency > 0 && o.FindCapacity:
		return nil, to, fmt.Errorf("--find-capacity: a closed loop finds its own rate; leave out the concurrency")
	case w.AllAtOnce() && o.FindCapacity:
		return nil, to, fmt.Errorf("--find-capacity: requests that all arrive at once have no rate; give other arrivals")
	case w.Concurrency > 0 || w.AllAtOnce():
		return nil, to, nil
	case w.Rate == 0 || o.FindCapacity || o.Probe:
		return p.probe, to, nil
	}
	return nil, to, nil
}

// offer decides the rate and the number of requests where they are open.
func (p *Plan) offer(s *scenario.Scenario) {
	if s.Trace != nil {
		p.replay(s)
		return
	}
	w := s.Workload
	if w.Concurrency > 0 {
		w.Requests = cmp.Or(w.Requests, max(1000, 4*int64(w.Concurrency)))
		return
	}
	if w.AllAtOnce() {
		w.Requests = cmp.Or(w.Requests, burstRequests)
		return
	}
	if w.Rate == 0 {
		w.Rate = significant(offered * p.CapacityRequestsPerS)
		s.Deployment.Why = strings.TrimSpace(fmt.Sprintf("%s %s; %.0f %% of that is offered.", s.Deployment.Why, p.probed, 100*offered))
	} else {
		p.overload(w.Rate, "the workload")
	}
	if w.Requests == 0 && w.Duration == 0 {
		w.Requests = inTime(s, w.Rate, p.requests(w.Rate))
	}
}

// replay says when a trace leaves the deployment idle.
func (p *Plan) replay(s *scenario.Scenario) {
	rate := p.demand.rate // as scaled
	p.overload(rate, "the trace")
	if load := rate / p.CapacityRequestsPerS; rate > 0 && load < idleLoad {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the trace offers %s requests/s, %.2g %% of the deployment's estimated capacity of %s; --rate-scale %g would offer %.0f %%",
			Figure(rate), 100*load, Figure(p.CapacityRequestsPerS), significant(s.Trace.RateScale*offered/load), 100*offered))
	}
}

// overload warns of a rate well beyond the estimated capacity.
func (p *Plan) overload(rate float64, who string) {
	if rate > tooMuch*p.CapacityRequestsPerS {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s offers %s requests/s, %.0f %% of the deployment's estimated capacity of %s: queues grow as long as it lasts",
			who, Figure(rate), 100*rate/p.CapacityRequestsPerS, Figure(p.CapacityRequestsPerS)))
	}
}

// found takes over the order and the capacity that probes found.
func (p *Plan) found(all []deployed, to precision) {
	best := &all[0]
	p.chosen = *best
	good := significant(best.good)
	p.CapacityRequestsPerS = good
	p.probed = fmt.Sprintf("Probe runs sustain %s requests/s (to %.0f %%)", Figure(good), 100*(to.ratio-1))
	if good == 0 {
		p.CapacityRequestsPerS = significant(best.capacity)
		if best.bad > 0 && best.bad < best.capacity {
			p.CapacityRequestsPerS = significant(best.bad)
		}
		p.probed = fmt.Sprintf("Probe runs keep less than %.0f %% of requests within the SLO down to %s requests/s", 100*WithinSLO, Figure(p.CapacityRequestsPerS))
		p.Warnings = append(p.Warnings, fmt.Sprintf("no rate down to %s requests/s keeps %.0f %% of requests within the SLO, %s",
			Figure(p.CapacityRequestsPerS), 100*WithinSLO, p.promised))
	}
	p.Capacity = &result.Capacity{RequestsPerS: good, OutputTokensPerSPerChip: good * p.demand.out / float64(best.chips)}
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
func (p *Plan) requests(rate float64) float64 {
	life := p.chosen.ttft + p.demand.out*p.chosen.tpot
	longest := p.chosen.ttft + float64(p.demand.outP999)*p.chosen.tpot
	room := mostInAll - rate*(life+longest)
	return min(mostMeasured, max(fewest*min(1, mostTokens/(fewest*p.demand.in)), min(room, mostTokens/p.demand.in)))
}

// inTime is so many requests, or as many as arrive at a rate in half the time that a run
// may simulate.
func inTime(s *scenario.Scenario, rate, requests float64) int64 {
	return int64(max(1, min(requests, rate*s.Limits.Most().Simulated.Seconds()/2)))
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
