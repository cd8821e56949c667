package topologies

import (
	"fmt"
	"math"

	"github.com/clustersim/clustersim/sim/spec"
)

// Protocol is one way in which a library moves bytes between nodes: packets that
// carry their own flag (low latency, little bandwidth), or chunks that are waited
// for (NCCL's LL, LL128, Simple). A collective over N nodes of R ranks takes
//
//	tree   a + 2·((R−1)·inner + log₂N·outer) + 2(n−1)/n·S/(e·line)
//	ring   a + (steps−between)·inner + between·outer + wire/(e·line)
//
// The tree is a chain through a node's ranks and a tree of nodes; a ring of n ranks
// takes 2(n−1) steps for an all-reduce and n−1 for all-gather and reduce-scatter,
// N−1 of each phase's between nodes. line is what all links of a node carry, or
// what a rank's own do inside it. One traversal is in each of inner and outer.
type Protocol struct {
	Name string  `yaml:"name"`
	Tree Steps   `yaml:"tree"`
	Ring Steps   `yaml:"ring"`
	E    float64 `yaml:"e"`
}

// Steps are a start and one step inside a node and between two, in µs.
type Steps struct {
	AUs     float64 `yaml:"a_us"`
	InnerUs float64 `yaml:"inner_us"`
	OuterUs float64 `yaml:"outer_us"`
}

func (p *Protocol) check(doc *spec.Doc, path string) {
	checkShare(doc, path+".e", p.E)
	for _, s := range []struct {
		name string
		v    Steps
	}{{"tree", p.Tree}, {"ring", p.Ring}} {
		for i, v := range []float64{s.v.AUs, s.v.InnerUs, s.v.OuterUs} {
			checkTime(doc, fmt.Sprintf("%s.%s.%s", path, s.name, []string{"a_us", "inner_us", "outer_us"}[i]), v)
		}
	}
}

// between is the quickest protocol and way for an all-reduce (phases 2), an
// all-gather or a reduce-scatter (1) over more than one node.
func (l *Library) between(g *group, bytes, phases float64) Comm {
	nodes, line := g.outer(), math.Inf(1)
	for i := range g.n {
		line = min(line, g.levels[i].ring*g.levels[i].carriers)
	}
	wire := phases * bytes * (g.ranks - 1) / g.ranks
	var best Comm
	for i := range l.Ring.Between {
		p := &l.Ring.Between[i]
		cross := phases * (nodes - 1)
		c := l.steps(g, p.Ring, phases*(g.ranks-1)-cross, cross).sum(wire / (p.E * line))
		if phases == 2 {
			c = c.less(l.steps(g, p.Tree, 2*(g.ranks/nodes-1), 2*math.Log2(nodes)).sum(wire / (p.E * line)))
		}
		if i == 0 {
			best = c
		}
		best = best.less(c)
	}
	return best
}

// steps is the α of a start and so many steps inside a node and between nodes.
func (l *Library) steps(g *group, s Steps, inner, outer float64) alpha {
	return alpha{
		software: s.AUs*microsecond + inner*l.software(s.InnerUs, 1, true) + outer*l.software(s.OuterUs, 1, false),
		tau:      inner*g.levels[0].near + outer*g.far(),
	}
}
