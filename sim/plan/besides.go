package plan

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
)

// besides is what a deployment has beside its layout.
type besides struct {
	mtp     scenario.MTP
	overlap string
}

// mostDrafts is how many drafts a step are tried at most.
const mostDrafts = 3

// worthwhile is by how much a choice beside the layout must raise the capacity to be made.
const worthwhile = 1.005

// deepest is how many of the best deployments are tried with other overlaps and with
// redundant experts.
const deepest = 8

// closeBehind is from which share of the best number of drafts another is gone on with: experts
// and overlap may turn them round.
const closeBehind = 0.85

// variants looks for drafts, overlap and redundant experts, one after the other, where the
// scenario leaves them open: drafts with every layout, since they change what a limit on
// TPOT allows; the others with the layouts that are best so far, for the numbers of drafts
// that come near the best. It returns the deployments with the best of each, and says what
// each gave.
func (q *query) variants(ctx context.Context, all []deployed, workers int) ([]deployed, []string, error) {
	lists, text, err := q.tryDrafts(ctx, all, workers)
	if err != nil {
		return nil, nil, err
	}
	most := 0
	for i := range lists {
		if len(lists[i]) > 0 && gain(&lists[i][0], &lists[most][0]) > worthwhile {
			most = i
		}
	}
	var best []deployed
	var chosen *query
	var said []string
	for k, list := range lists {
		if len(list) == 0 || k != most && gain(&list[0], &lists[most][0]) < closeBehind {
			continue
		}
		v := q
		if k > 0 {
			v = q.with(besides{mtp: scenario.MTP{Drafts: k}, overlap: q.besides.overlap})
		}
		better, also, err := v.refine(ctx, list, workers)
		if err != nil {
			return nil, nil, err
		}
		if best == nil || gain(&better[0], &best[0]) > worthwhile {
			best, chosen, said = better, v, also
			if text != "" {
				said = append([]string{fmt.Sprintf("MTP with %s (%s)", count(k, "draft"), text)}, also...)
			}
		}
	}
	*q = *chosen
	return best, said, nil
}

// refine tries overlaps and redundant experts.
func (q *query) refine(ctx context.Context, all []deployed, workers int) ([]deployed, []string, error) {
	var said []string
	for _, try := range []func(context.Context, []deployed, int) ([]deployed, string, error){q.tryOverlaps, q.tryRedundant} {
		better, text, err := try(ctx, all, workers)
		if err != nil {
			return nil, nil, err
		}
		if all = better; text != "" {
			said = append(said, text)
		}
	}
	return all, said, nil
}

// with is the query with something else beside the layout.
func (q *query) with(b besides) *query {
	out := *q
	out.scenario = q.scenario.Clone()
	out.scenario.Deployment.MTP, out.scenario.Deployment.Overlap = b.mtp, b.overlap
	pr := *q.pricer
	pr.stepper = func(pool *scenario.Pool, role cost.Role) (*cost.Stepper, error) {
		return out.inputs.Stepper(out.scenario, pool, role)
	}
	out.pricer, out.besides = &pr, b
	return &out
}

// gain is how many times the capacity of one deployment another has; one that meets the
// SLO where the other does not is endlessly better.
func gain(best, than *deployed) float64 {
	switch {
	case (best.over <= 1) != (than.over <= 1):
		if best.over <= 1 {
			return math.Inf(1)
		}
		return 0
	case best.over > 1:
		return than.over / best.over
	}
	return best.capacity / than.capacity
}

func percent(g float64) string {
	if math.IsInf(g, 1) {
		return "meets the SLO"
	}
	if rounded := math.Round(100 * (g - 1)); rounded != 0 {
		return fmt.Sprintf("%+.0f %%", rounded)
	}
	return "0 %"
}

// count is a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// pickBest keeps the best of lists, each best first, and says what each gave over the
// first of them.
func pickBest(lists [][]deployed, names []string) (best int, text string) {
	var gave []string
	for i := range lists {
		if len(lists[i]) == 0 {
			continue
		}
		g := gain(&lists[i][0], &lists[0][0])
		if i > 0 {
			gave = append(gave, fmt.Sprintf("%s %s", names[i], percent(g)))
		}
		if g > worthwhile && (best == 0 || g > gain(&lists[best][0], &lists[0][0])) {
			best = i
		}
	}
	if len(gave) == 0 {
		return 0, ""
	}
	return best, fmt.Sprintf("%s (%s)", names[best], strings.Join(gave, ", "))
}

// tryDrafts prices every layout that decodes anew for each number of drafts: lists has
// the deployments by it.
func (q *query) tryDrafts(ctx context.Context, all []deployed, workers int) (lists [][]deployed, text string, err error) {
	m := q.inputs.Model
	lists = [][]deployed{all}
	if q.scenario.Deployment.MTP != (scenario.MTP{}) || len(m.MTP) == 0 {
		return lists, "", nil
	}
	var gave []string
	for k := 1; k <= min(mostDrafts, len(m.AcceptedLength)); k++ {
		v := q.with(besides{mtp: scenario.MTP{Drafts: k}, overlap: q.besides.overlap})
		list, err := v.decoding(ctx, all, workers)
		if err != nil {
			return nil, "", err
		}
		if lists = append(lists, list); len(list) > 0 {
			gave = append(gave, fmt.Sprintf("%d: %s", k, percent(gain(&list[0], &all[0]))))
		}
	}
	return lists, strings.Join(gave, ", "), nil
}

// farBehind is the share of the best capacity below which no number of drafts makes a
// deployment the best.
const farBehind = 0.4

// decoding prices every layout that decodes anew, beside the prefill pools that were best.
func (q *query) decoding(ctx context.Context, all []deployed, workers int) ([]deployed, error) {
	hopeless := map[scenario.Pool]bool{} // layouts that serve and are far behind
	for i := range all {
		if d := &all[i]; d.second == nil && all[0].over <= 1 && d.capacity < farBehind*all[0].capacity {
			pool := d.first.pool
			pool.MaxTokens = 0
			hopeless[pool] = true
		}
	}
	var jobs []job
	for _, j := range q.jobs() {
		if j.role == cost.Decode || j.role == cost.Mixed && !hopeless[j.pool] {
			jobs = append(jobs, j)
		}
	}
	results, err := q.priceAll(ctx, jobs, workers)
	if err != nil {
		return nil, err
	}
	seen := map[scenario.Pool]bool{}
	for i := range all {
		if p := all[i].first; p.role == cost.Prefill && !seen[p.pool] {
			seen[p.pool] = true
			results = append(results, *p)
		}
	}
	list, _ := q.deployments(results)
	return list, nil
}

// overlaps are those that an engine's profile has for some role.
func overlaps(e *cost.Engine) []cost.Overlap {
	list := []cost.Overlap{cost.NoOverlap, e.Overlap.Prefill, e.Overlap.Decode, e.Overlap.Mixed}
	if e.Libraries.Dispatch == "megamoe" {
		list = append(list, cost.Wave)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// tryOverlaps prices the best layouts with each overlap of the engine for all roles.
func (q *query) tryOverlaps(ctx context.Context, all []deployed, workers int) ([]deployed, string, error) {
	modes := overlaps(q.inputs.Engine)
	if q.scenario.Deployment.Overlap != "" || q.inputs.Model.Experts() == 0 || len(modes) < 2 || patchesOverlap(q.scenario) {
		return all, "", nil
	}
	lists, names := [][]deployed{all}, []string{"the engine's overlap by role"}
	for _, mode := range modes {
		v := q.with(besides{mtp: q.besides.mtp, overlap: string(mode)})
		list, err := v.again(ctx, all, nil, workers)
		if err != nil {
			return nil, "", err
		}
		lists, names = append(lists, list), append(names, "overlap "+string(mode)+" everywhere")
	}
	best, text := pickBest(lists, names)
	if best > 0 {
		q.besides.overlap = string(modes[best-1])
		*q = *q.with(q.besides)
		return append(lists[best], all...), text, nil
	}
	return all, text, nil
}

// patchesOverlap reports that the user has patched the engine's overlap.
func patchesOverlap(s *scenario.Scenario) bool {
	for i := range s.Patches {
		if strings.HasPrefix(s.Patches[i].Path, "engine.overlap") || s.Patches[i].Path == "engine" {
			return true
		}
	}
	return false
}

// tryRedundant prices the best layouts with one more expert a rank.
func (q *query) tryRedundant(ctx context.Context, all []deployed, workers int) ([]deployed, string, error) {
	if q.inputs.Model.Experts() == 0 {
		return all, "", nil
	}
	lists, names := [][]deployed{all}, []string{"no experts twice but to fill ranks"}
	for _, copies := range []int{1, 2} {
		list, err := q.again(ctx, all, func(p *scenario.Pool, want *scenario.Pool) {
			if p.EP > 1 && (want == nil || want.Experts.Redundant == 0) {
				p.Experts.Redundant += copies * p.EP
			}
		}, workers)
		if err != nil {
			return nil, "", err
		}
		lists, names = append(lists, list), append(names, count(copies, "redundant expert")+" a rank")
	}
	best, text := pickBest(lists, names)
	if best > 0 {
		return append(lists[best], all...), text, nil
	}
	return all, text, nil
}

// again prices the pools of the best deployments anew, changed, and combines them and the
// old ones; only deployments with something new in them are returned, best first.
func (q *query) again(ctx context.Context, all []deployed, change func(pool, want *scenario.Pool), workers int) ([]deployed, error) {
	var jobs []job
	seen := map[job]bool{}
	add := func(p *priced, want *scenario.Pool) {
		if p == nil {
			return
		}
		pool := p.pool
		if change != nil {
			change(&pool, want)
		}
		if j := (job{pool, p.role}); !seen[j] {
			seen[j] = true
			jobs = append(jobs, j)
		}
	}
	for i := range all[:min(deepest, len(all))] {
		first := q.want.Prefill
		if all[i].second == nil {
			first = q.want.Serve
		}
		add(all[i].first, first)
		add(all[i].second, q.want.Decode)
	}
	results, err := q.priceAll(ctx, jobs, workers)
	if err != nil {
		return nil, err
	}
	list, _ := q.deployments(results)
	return list, nil
}
