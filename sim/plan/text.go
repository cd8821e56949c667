package plan

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

// poolText is a pool's layout as people write it: TP1 DP64 EP64 +16 experts.
func poolText(p *scenario.Pool) string {
	l := cost.Layout{TP: max(1, p.TP), DP: max(1, p.DP), EP: max(1, p.EP), PP: max(1, p.PP), CP: max(1, p.CP), Redundant: p.Experts.Redundant}
	return l.String()
}

// text is a deployment in a line, with the prompt tokens that a step takes at most.
func (d *deployed) text() string {
	first := fmt.Sprintf("%d × %s max_tokens %d", d.n1, d.first.layout, d.first.pool.MaxTokens)
	if d.second != nil {
		first = fmt.Sprintf("prefill %s; decode %d × %s", first, d.n2, d.second.layout)
	}
	if d.mtp.Drafts > 0 {
		first += fmt.Sprintf("; MTP %d", d.mtp.Drafts)
	}
	if d.overlap != "" {
		first += "; overlap " + d.overlap
	}
	return first
}

// bound says what keeps the capacity from being higher: of which pool, and for want of
// what. Where that has not been priced, it is where most time of the pool's steps goes.
func (d *deployed) bound() string {
	b := d.bottleneck
	if b == nil {
		pool, c := "serve", d.first
		switch {
		case d.second != nil && d.prefillInExcess >= 1:
			pool, c = "decode", d.second
		case d.second != nil:
			pool = "prefill"
		}
		b = &result.Bottleneck{Pool: pool, Limit: d.limit, Gains: map[string]float64{c.cause: 1}}
	}
	return b.Words()
}

// Figure writes four significant digits and no exponent.
func Figure(v float64) string {
	if v = significant(v); v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func gib(n int64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }

// list fills the candidates: the deployments in order, then the layouts that
// cannot be deployed.
func (p *Plan) list(all []deployed, rejected []priced) {
	for i := range all {
		d := &all[i]
		p.Candidates = append(p.Candidates, Candidate{
			Layout: d.layout(), Text: d.text(), Fits: true, MeetsSLO: d.over <= 1, WhyNot: d.whyNot(),
			CapacityRequestsPerS: d.sustained(), EstimateRequestsPerS: d.capacity, Probed: d.probed,
			OutputTokensPerSPerChip: d.sustained() * p.demand.out / float64(d.chips),
			TTFTMs:                  1e3 * d.ttft, TPOTMs: 1e3 * d.tpot, AloneTTFTMs: 1e3 * d.alone.ttft, AloneTPOTMs: 1e3 * d.alone.tpot, Bound: d.bound(), KV: d.caches(),
		})
	}
	for i := range rejected {
		r := &rejected[i]
		pool := r.pool
		c := Candidate{Text: string(r.role) + " " + r.layout, WhyNot: r.whyNot}
		switch r.role {
		case cost.Prefill:
			c.Layout = scenario.Deployment{Mode: "disaggregated", Prefill: &pool}
		case cost.Decode:
			c.Layout = scenario.Deployment{Mode: "disaggregated", Decode: &pool}
		default:
			c.Layout = scenario.Deployment{Mode: "aggregated", Serve: &pool}
		}
		p.Candidates = append(p.Candidates, c)
	}
}

func (d *deployed) layout() scenario.Deployment {
	first := d.first.pool
	first.Instances = d.n1
	if d.second == nil {
		return scenario.Deployment{Mode: d.mode, Serve: &first, MTP: d.mtp, Overlap: d.overlap}
	}
	second := d.second.pool
	second.Instances = d.n2
	return scenario.Deployment{Mode: d.mode, Prefill: &first, Decode: &second, MTP: d.mtp, Overlap: d.overlap}
}

// caches are what its pools' caches hold.
func (d *deployed) caches() Caches {
	if d.second == nil {
		return Caches{map[string]*result.KVPool{"serve": d.first.held.Times(d.n1)}}
	}
	return Caches{map[string]*result.KVPool{"prefill": d.first.held.Times(d.n1), "decode": d.second.held.Times(d.n2)}}
}

// whyNot says by how much a deployment misses the SLO.
func (d *deployed) whyNot() string {
	if d.over <= 1 {
		return ""
	}
	return fmt.Sprintf("misses the SLO by %.0f %% even when empty (a request alone: TTFT %.0f ms, TPOT %.1f ms)", 100*(d.over-1), 1e3*d.alone.ttft, 1e3*d.alone.tpot)
}

// why tells in two or three sentences what was chosen, what it beat and what was
// ruled out.
func (q *query) why(all []deployed, rejected []priced, gave []string) string {
	best := &all[0]
	var b strings.Builder
	how := "an estimated " + Figure(best.capacity) + " requests/s"
	if best.probed && best.good > 0 {
		how = fmt.Sprintf("%s requests/s in probe runs (the estimate is %s)", Figure(best.good), Figure(best.capacity))
	}
	fmt.Fprintf(&b, "%s sustains %s, %s output tokens/s a chip; by estimate TTFT is %.0f ms, TPOT %.1f ms and the bound %s.",
		best.text(), how, Figure(best.sustained()*q.demand.out/float64(best.chips)), 1e3*best.ttft, 1e3*best.tpot, best.bound())
	if len(gave) > 0 {
		fmt.Fprintf(&b, " Chosen by estimate: %s.", strings.Join(gave, "; "))
	}
	if best.over > 1 {
		fmt.Fprintf(&b, " No layout meets the SLO; this one misses it least.")
	}
	next, other := rivals(all)
	if o := next; o != nil {
		fmt.Fprintf(&b, " Next of its kind: %s, %s.", o.text(), versus(o, best))
	}
	if o := other; o != nil {
		fmt.Fprintf(&b, " Best %s: %s, %s.", o.mode, o.text(), versus(o, best))
	}
	if n := len(rejected); n > 0 {
		r := &rejected[n-1]
		for i := range rejected { // the widest that does not fit tells most
			if rejected[i].ranks() > r.ranks() {
				r = &rejected[i]
			}
		}
		reason, _, _ := strings.Cut(r.whyNot, "\n")
		fmt.Fprintf(&b, " %d layouts cannot run, such as %s %s: %s.", n, r.role, r.layout, strings.TrimSuffix(reason, "."))
	}
	return b.String()
}

func (c *priced) ranks() int {
	return max(1, c.pool.TP) * max(1, c.pool.DP) * max(1, c.pool.PP) * max(1, c.pool.CP)
}

// key tells deployments of different layouts apart.
func (d *deployed) key() string {
	if d.second == nil {
		return d.first.layout
	}
	return d.first.layout + "|" + d.second.layout
}

// rivals are the best deployment of another layout and that of the other mode, nil where
// there is none.
func rivals(all []deployed) (next, other *deployed) {
	for i := range all {
		d := &all[i]
		switch {
		case other == nil && d.mode != all[0].mode:
			other = d
		case next == nil && d.mode == all[0].mode && d.key() != all[0].key():
			next = d
		}
	}
	return next, other
}

// versus says how a deployment compares with the chosen one.
func versus(o, best *deployed) string {
	if o.over > 1 && best.over <= 1 {
		return fmt.Sprintf("misses the SLO by %.0f %%", 100*(o.over-1))
	}
	how := "by estimate"
	if o.probed {
		how = "in probe runs"
	}
	return fmt.Sprintf("%.0f %% of the capacity %s (%s)", 100*o.sustained()/best.sustained(), how, o.bound())
}

// asked is what the scenario says of instances, for an error.
func (q *query) asked() string {
	var said []string
	for _, p := range []struct {
		name string
		pool *scenario.Pool
	}{{"prefill", q.want.Prefill}, {"decode", q.want.Decode}, {"serve", q.want.Serve}} {
		if n := instances(p.pool); n > 0 {
			said = append(said, fmt.Sprintf("deployment.%s.instances: %d", p.name, n))
		}
	}
	if len(said) == 0 {
		return "the pools"
	}
	return strings.Join(said, " and ")
}

// nothing is the error when no layout fits: the reason of each kind that comes
// nearest, which holds the model or has most ranks.
func (q *query) nothing(rejected []priced) error {
	if len(rejected) == 0 {
		return fmt.Errorf("%w: %s need more than the %d chips of %s", ErrNoLayout, q.asked(), q.topology.Chips, q.topology.Name)
	}
	nearest := map[cost.Role]*priced{}
	for i := range rejected {
		r := &rejected[i]
		if n := nearest[r.role]; n == nil || r.holds && !n.holds || r.holds == n.holds && r.ranks() > n.ranks() {
			nearest[r.role] = r
		}
	}
	var b strings.Builder
	for _, role := range []cost.Role{cost.Mixed, cost.Prefill, cost.Decode} {
		if r := nearest[role]; r != nil {
			fmt.Fprintf(&b, "\n%s %s: %s", role, r.layout, r.whyNot)
		}
	}
	return fmt.Errorf("%w: %s on %s (%d chips); the nearest:%s", ErrNoLayout, q.inputs.Model.Name, q.topology.Name, q.topology.Chips, b.String())
}
