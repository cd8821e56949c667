package plan

import (
	"math/bits"
	"slices"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/topologies"
)

// Limits of the search. Attention is cut over at most widestTP ranks of a mixture
// of experts, whose width comes from experts; pipelines have at most deepestPP
// stages.
const (
	widestTP   = 8
	densestTP  = 16
	deepestPP  = 8
	widestOnly = 16 // ranks of a mixture of experts cut by tensors alone
	widestCP   = 128
)

// leastShared is the prompt tokens of a step that a context-parallel rank has at least:
// with fewer it reads weights for longer than it multiplies.
const leastShared = 1024

// sharing is how far prompts may be cut over context-parallel ranks: at most over most of
// them, and a step of budget tokens, where that is not given, grows with them.
type sharing struct{ most, budget int }

// sharing is worth trying where prompts run by themselves, the engine cuts them and no
// layer's state passes from block to block, over as many ranks as nine in ten prompts
// give enough tokens.
func (q *query) sharing(role cost.Role) sharing {
	s := sharing{most: 1}
	linear := func(l models.Layer) bool { return l.Attention.Design == "linear" }
	if role != cost.Prefill || !q.inputs.Engine.ContextParallel || slices.ContainsFunc(q.inputs.Model.Layers, linear) {
		return s
	}
	if !q.keepsBudget {
		s.budget = q.inputs.Engine.MaxTokens.Prefill
	}
	s.most = int(max(1, min(widestCP, q.demand.inP90/leastShared)))
	return s
}

// shapes lists the pool layouts worth pricing. What the user fixed in want stays.
func shapes(m *models.Model, t *topologies.Topology, want *scenario.Pool, share sharing) []scenario.Pool {
	g := shaper{want: want, experts: int(m.Experts()), topology: t, dies: max(1, t.Chip.Dies), layers: len(m.Layers), sharing: share}
	for _, l := range m.Layers {
		g.heads = max(g.heads, int(l.Attention.Heads))
	}
	if g.experts > 0 {
		g.sparse()
	} else {
		g.dense()
	}
	return g.found
}

type shaper struct {
	want                         *scenario.Pool
	topology                     *topologies.Topology
	dies, layers, heads, experts int
	sharing                      sharing
	found                        []scenario.Pool
}

// dense: an instance is tensors cut over TP ranks, layers over PP stages; more
// data-parallel ranks would be more instances.
func (g *shaper) dense() {
	dps := []int{1}
	if g.want.DP != 0 {
		dps = []int{g.want.DP}
	}
	for _, pp := range given(g.want.PP, powers(1, deepestPP)) {
		for _, tp := range given(g.want.TP, powers(1, min(densestTP, g.heads))) {
			if pp > 1 && g.want.PP == 0 && tp*pp > g.dies*g.topology.Tiers[0].Size && tp < g.dies*g.topology.Tiers[0].Size && tp < densestTP {
				continue // stages leave a node only when a stage fills one
			}
			for _, dp := range dps {
				for _, cp := range g.shared(pp, g.sharing.most) {
					g.add(tp, dp, pp, cp, given(g.want.EP, []int{1}))
				}
			}
		}
	}
}

// sparse: experts lie on all ranks of a stage, attention is data-parallel over
// groups of TP, or some of these share each prompt. Instances are powers of two and
// multiples of the innermost domain up to as many ranks as a layer has experts; stages
// only split what would cross domains. Small ones may cut experts by tensors instead.
func (g *shaper) sparse() {
	for _, stage := range g.stages() {
		for _, pp := range given(g.want.PP, g.pipelines(stage)) {
			for _, tp := range given(g.want.TP, powers(1, min(widestTP, g.heads))) {
				if stage%tp != 0 {
					continue
				}
				most := g.sharing.most
				if tp > 1 && g.want.TP == 0 {
					most = 1 // more ranks that share prompts before ranks that share heads
				}
				for _, cp := range g.shared(pp, min(most, stage/tp)) {
					if stage/tp%cp != 0 || g.want.DP != 0 && g.want.DP*cp*tp != stage {
						continue
					}
					g.add(tp, stage/tp/cp, pp, cp, given(g.want.EP, []int{stage}))
				}
			}
			if g.want.EP == 0 && g.want.TP == 0 && g.want.DP == 0 && g.want.CP <= 1 && stage > 1 && stage <= widestOnly && stage <= g.heads {
				g.add(stage, 1, pp, 1, []int{1})
			}
		}
	}
}

// stages are the sizes of a pipeline stage in ranks.
func (g *shaper) stages() []int {
	if g.want.DP != 0 {
		var sizes []int
		for _, tp := range given(g.want.TP, powers(1, min(widestTP, g.heads))) {
			for _, cp := range g.shared(1, g.sharing.most) {
				sizes = appendNew(sizes, tp*g.want.DP*cp)
			}
		}
		return sizes
	}
	most := min(g.dies*g.topology.Chips, g.experts+g.experts/4)
	sizes := powers(g.dies, most)
	if g.want.EP != 0 {
		sizes = appendNew(sizes, g.want.EP)
	}
	domain := g.dies * g.topology.Tiers[0].Size
	for n := domain; n <= most; n *= 2 {
		sizes = appendNew(sizes, n)
	}
	if most == g.dies*g.topology.Chips {
		sizes = appendNew(sizes, most)
	}
	return sizes
}

// pipelines are the depths for a stage: more than one when a stage is a domain.
func (g *shaper) pipelines(stage int) []int {
	if stage == g.dies*g.topology.Tiers[0].Size && len(g.topology.Tiers) > 1 {
		return powers(1, min(4, g.topology.Chips/g.topology.Tiers[0].Size))
	}
	return []int{1}
}

// shared are the degrees of context parallelism for a pipeline: stages and ranks that
// share prompts both make a long prompt quicker, and one of them at a time is tried.
func (g *shaper) shared(pp, most int) []int {
	if pp > 1 {
		most = 1
	}
	return given(g.want.CP, powers(1, max(1, most)))
}

func (g *shaper) add(tp, dp, pp, cp int, eps []int) {
	if pp > g.layers || tp*dp*pp*cp > g.dies*g.topology.Chips {
		return
	}
	for _, ep := range eps {
		p := *g.want
		p.Instances, p.TP, p.DP, p.PP, p.EP, p.CP = 0, tp, dp, pp, ep, cp
		if p.MaxTokens == 0 && g.sharing.budget > 0 && cp*leastShared > g.sharing.budget {
			p.MaxTokens = cp * leastShared
		}
		if p.Experts.Redundant == 0 && ep > 0 && g.experts > 0 {
			p.Experts.Redundant = (ep - g.experts%ep) % ep
		}
		g.found = append(g.found, p)
	}
}

// given is what the user fixed, or else what the search tries.
func given(fixed int, tries []int) []int {
	if fixed != 0 {
		return []int{fixed}
	}
	return tries
}

// powers are the powers of two from lo's to most.
func powers(lo, most int) []int {
	var out []int
	for n := 1 << (bits.Len(uint(lo)) - 1); n <= most; n *= 2 {
		if n >= lo {
			out = append(out, n)
		}
	}
	return out
}

func appendNew(sizes []int, n int) []int {
	for _, s := range sizes {
		if s == n {
			return sizes
		}
	}
	return append(sizes, n)
}
