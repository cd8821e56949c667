package plan

import (
	"context"
	"fmt"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/topologies"
)

// query is one search: what is wanted and what it is priced with.
type query struct {
	*pricer
	want     *scenario.Deployment
	inputs   *plant.Inputs
	scenario *scenario.Scenario
	besides  besides // what the deployments have that are being priced
	// libraries move caches between pools.
	libraries topologies.Libraries
}

// complete reports that nothing is left to search.
func (q *query) complete() bool {
	switch w := q.want; {
	case w.Serve != nil:
		return fixed(w.Serve)
	case w.Prefill != nil && w.Decode != nil:
		return fixed(w.Prefill) && fixed(w.Decode)
	}
	return false
}

// fixed reports that a pool is described in full: with a number of instances and
// any degree of parallelism given, the degrees left out are 1.
func fixed(p *scenario.Pool) bool {
	return p != nil && p.Instances > 0 && p.TP+p.DP+p.EP+p.PP > 0
}

// roles are those to search, by the mode and the pools that are given.
func (q *query) roles() (split, together bool) {
	w := q.want
	split = w.Mode != "aggregated" && w.Serve == nil
	together = w.Mode != "disaggregated" && w.Prefill == nil && w.Decode == nil
	return split, together
}

// jobs are the layouts to price.
func (q *query) jobs() []job {
	var jobs []job
	add := func(want *scenario.Pool, role cost.Role) {
		if want == nil {
			want = &scenario.Pool{}
		}
		pools := []scenario.Pool{*want}
		if fixed(want) {
			for _, n := range []*int{&pools[0].TP, &pools[0].DP, &pools[0].PP, &pools[0].CP} {
				*n = max(1, *n)
			}
			if pools[0].EP == 0 {
				pools[0].EP = cost.DefaultEP(q.inputs.Model, pools[0].TP, pools[0].DP, pools[0].CP)
			}
		} else {
			pools = shapes(q.inputs.Model, q.topology, want, q.sharing(role))
		}
		for _, p := range pools {
			jobs = append(jobs, job{p, role})
		}
	}
	split, together := q.roles()
	if split {
		add(q.want.Prefill, cost.Prefill)
		add(q.want.Decode, cost.Decode)
	}
	if together {
		add(q.want.Serve, cost.Mixed)
	}
	return jobs
}

// run prices every layout and puts the deployments in order; rejected are the
// layouts that cannot be deployed, with the reason.
func (q *query) run(ctx context.Context, workers int) (all []deployed, rejected []priced, err error) {
	results, err := q.priceAll(ctx, q.jobs(), workers)
	if err != nil {
		return nil, nil, err
	}
	all, rejected = q.deployments(results)
	return all, rejected, nil
}

// deployments combines pools that have been priced.
func (q *query) deployments(results []priced) (all []deployed, rejected []priced) {
	at := place{q.topology}
	var prefill, decode, mixed []*priced
	for i := range results {
		r := &results[i]
		if r.whyNot == "" && at.fit(0, r.chips) == 0 {
			r.whyNot = fmt.Sprintf("an instance takes %d chips, the topology has %d", r.chips, q.topology.Chips)
		}
		switch {
		case r.whyNot != "":
			rejected = append(rejected, *r)
		case r.role == cost.Prefill:
			prefill = append(prefill, r)
		case r.role == cost.Decode:
			decode = append(decode, r)
		default:
			mixed = append(mixed, r)
		}
	}
	s := &splitter{place: at, demand: &q.demand, slo: limitSeconds(q.slo.TTFT.Limit) * q.slo.TTFT.Factor(q.demand.in), e2e: limitSeconds(q.slo.E2E), transfer: q.transferSeconds}
	all = q.combine(s, prefill, decode, mixed)
	rank(all)
	for i := range all {
		all[i].besides = q.besides
	}
	return all, rejected
}

// combine makes deployments: one of each mixed layout, and for each prefill and
// each decode layout the best with any partner.
func (q *query) combine(s *splitter, prefill, decode, mixed []*priced) (all []deployed) {
	s.fixed1 = instances(q.want.Serve)
	for _, p := range mixed {
		if d, ok := s.aggregated(p); ok {
			all = append(all, d)
		}
	}
	s.fixed1, s.fixed2 = instances(q.want.Prefill), instances(q.want.Decode)
	var pairs []deployed
	for _, p := range prefill {
		for _, d := range decode {
			if both, ok := s.disaggregated(p, d); ok {
				pairs = append(pairs, both)
			}
		}
	}
	rank(pairs)
	seen := map[*priced]bool{}
	for _, d := range pairs {
		if !seen[d.first] || !seen[d.second] {
			seen[d.first], seen[d.second] = true, true
			all = append(all, d)
		}
	}
	return all
}

func instances(p *scenario.Pool) int {
	if p == nil {
		return 0
	}
	return p.Instances
}

// transferSeconds is how long the mean prompt's cache takes from a prefill rank to a
// decode rank, alone on their links, with the engines' hand-over, as in a run.
func (q *query) transferSeconds(p, d *priced, end int) float64 {
	narrow := min(max(1, p.pool.TP)*max(1, p.pool.PP)*max(1, p.pool.CP), max(1, d.pool.TP)*max(1, d.pool.PP))
	latency, rank := sim.Handover(q.topology, q.libraries.Transfer, 0, end-1)
	return latency + p.transferBytes/(rank*float64(narrow)) + q.inputs.Engine.Fitted.HandoverMs/1e3
}
