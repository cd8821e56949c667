package plan

import (
	"math/bits"

	"github.com/clustersim/clustersim/models"
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
)

// shapes lists the pool layouts worth pricing. What the user fixed in want stays.
func shapes(m *models.Model, t *topologies.Topology, want *scenario.Pool) []scenario.Pool {
	g := shaper{want: want, experts: int(m.Experts()), topology: t, dies: max(1, t.Chip.Dies), layers: len(m.Layers)}
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
				g.add(tp, dp, pp, given(g.want.EP, []int{1}))
			}
		}
	}
}

// sparse: experts lie on all ranks of a stage, attention is data-parallel over
// groups of TP. Instances are powers of two and multiples of the innermost domain
// up to as many ranks as a layer has experts; stages only split what would cross
// domains. Small ones may cut experts by tensors instead.
func (g *shaper) sparse() {
	for _, stage := range g.stages() {
		for _, pp := range given(g.want.PP, g.pipelines(stage)) {
			for _, tp := range given(g.want.TP, powers(1, min(widestTP, g.heads))) {
				if stage%tp != 0 || g.want.DP != 0 && g.want.DP*tp != stage {
					continue
				}
				g.add(tp, stage/tp, pp, given(g.want.EP, []int{stage}))
			}
			if g.want.EP == 0 && g.want.TP == 0 && g.want.DP == 0 && stage > 1 && stage <= widestOnly && stage <= g.heads {
				g.add(stage, 1, pp, []int{1})
			}
		}
	}
}

// stages are the sizes of a pipeline stage in ranks.
func (g *shaper) stages() []int {
	if g.want.DP != 0 {
		var sizes []int
		for _, tp := range given(g.want.TP, powers(1, min(widestTP, g.heads))) {
			sizes = append(sizes, tp*g.want.DP)
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

func (g *shaper) add(tp, dp, pp int, eps []int) {
	if pp > g.layers || tp*dp*pp > g.dies*g.topology.Chips {
		return
	}
	for _, ep := range eps {
		p := *g.want
		p.Instances, p.TP, p.DP, p.PP, p.EP, p.CP = 0, tp, dp, pp, ep, max(1, g.want.CP)
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
