package topologies

import (
	"fmt"
	"math"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// joining is how the members of a tier of a shape reach each other. A shape without
// one of the functions cannot be loaded.
type joining struct {
	shape Shape
	// extents: members stand in rows, whose lengths are Dims, and the one hop is the
	// link between neighbours.
	extents bool
	// path is the way between two chips that first meet in tier i.
	path func(t *Topology, i, a, b int) Path
	// worst is the longest traversal of tier i in s.
	worst func(t *Topology, i int) float64
	// delays are the worst and the mean over pairs that meet in tier i.
	delays func(t *Topology, i int) Delays
	// cut is what can cross the worst cut of the system's last tier, in B/s, one way;
	// +Inf where one member leaves nothing to cut.
	cut func(t *Topology, i int) float64
	// part is what is left of a tier's extents and of its lanes when so many members are
	// left; chips says that the members are chips. Not every number makes a part.
	part func(dims []int, members int, chips bool) ([]int, share, bool)
	// meet fills in a level of a group of so many ranks, a stride apart, with bw a rank.
	meet func(l level, t *Topology, i int, bw, ranks float64, stride int) level
}

// joinings is the table of shapes; a new one is a constant and an entry here.
var joinings = []joining{
	{shape: Switch, path: switchedPath, worst: switchedWorst, delays: switchedDelays, cut: switchedCut, part: switchedPart, meet: switchedMeet},
	{shape: FullMesh, extents: true, path: meshPath, worst: meshWorst, delays: meshDelays, cut: meshCut, part: meshPart, meet: meshMeet},
	{shape: Torus, extents: true, path: torusPath, worst: torusWorst, delays: torusDelays, cut: torusCut, part: torusPart, meet: torusMeet},
	{shape: FatTree, path: switchedPath, worst: switchedWorst, delays: switchedDelays, cut: switchedCut, part: switchedPart, meet: switchedMeet},
}

// shapeIn finds a shape in a table, and refuses one that it does not say everything of.
func shapeIn(table []joining, name Shape) (*joining, error) {
	var names []string
	for i := range table {
		j := &table[i]
		if names = append(names, string(j.shape)); j.shape != name {
			continue
		}
		var missing []string
		for _, f := range []struct {
			name string
			none bool
		}{{"path", j.path == nil}, {"worst", j.worst == nil}, {"delays", j.delays == nil}, {"cut", j.cut == nil}, {"part", j.part == nil}, {"meet", j.meet == nil}} {
			if f.none {
				missing = append(missing, f.name)
			}
		}
		if missing != nil {
			return nil, fmt.Errorf("shape %q has no %s in the table of topologies/shape.go", name, strings.Join(missing, ", "))
		}
		return j, nil
	}
	return nil, spec.UnknownName("shape", string(name), names)
}

// joined is how the tier's members reach each other. Its shape was checked when it was
// loaded: a tier of another is a fault of the program.
func (t *Tier) joined() *joining {
	for i := range joinings {
		if joinings[i].shape == t.Shape {
			return &joinings[i]
		}
	}
	panic(fmt.Sprintf("topologies: tier %s has the unknown shape %q", t.Name, t.Shape))
}

func switchedPath(t *Topology, i, _, _ int) Path {
	tier := &t.Tiers[i]
	return Path{Tier: i, Hops: len(tier.Tau.Hops), Tau: tier.Tau.Path(), Bandwidth: tier.Usable()}
}

func switchedWorst(t *Topology, i int) float64 { return t.Tiers[i].Tau.after(1) / 1e9 }

func switchedDelays(t *Topology, i int) Delays {
	tier := &t.Tiers[i]
	hops := float64(len(tier.Tau.Hops))
	return Delays{Worst: tier.Tau.Path(), Mean: tier.Tau.Path(), WorstHops: hops, MeanHops: hops}
}

func switchedCut(*Topology, int) float64 { return math.Inf(1) }

func switchedMeet(l level, _ *Topology, _ int, _, _ float64, _ int) level {
	l.far, l.spread, l.ring = l.near, l.port, l.port
	l.steps, l.merged = l.members-1, l.members
	return l
}

func meshPath(t *Topology, i, a, b int) Path {
	tier := &t.Tiers[i]
	differ, lanes := t.meshDistance(i, a, b)
	return Path{
		Tier: i, Hops: differ, Tau: spec.Duration(math.Round(tier.Tau.after(float64(differ)))),
		Bandwidth: tier.Bandwidth * spec.Bandwidth(float64(lanes)/float64(tier.lanes())),
	}
}

func meshWorst(t *Topology, i int) float64 {
	tier, turns := &t.Tiers[i], 0.0
	for _, d := range tier.Dims {
		turns += float64(min(d-1, 1))
	}
	return tier.Tau.after(turns) / 1e9
}

func meshCut(t *Topology, i int) float64 {
	tier, least := &t.Tiers[i], math.Inf(1)
	members := (t.Chips + t.below(i) - 1) / t.below(i)
	lane := float64(tier.Bandwidth) * float64(t.below(i)) / float64(tier.lanes())
	for _, d := range tier.Dims {
		if d > 1 {
			least = min(least, lane*float64(members/d*(d/2)*((d+1)/2)))
		}
	}
	return least
}

func meshMeet(l level, t *Topology, i int, bw, _ float64, stride int) level {
	l.mesh(&t.Tiers[i], bw, t.memberStride(i, stride))
	return l
}

func torusPath(t *Topology, i, a, b int) Path {
	tier, r, p := &t.Tiers[i], t.torus(i), Path{Tier: i}
	ns, turns := float64(tier.Tau.Endpoint+tier.Tau.Software), 0
	for d := range tier.Dims {
		n, cost := r.distance(d, r.position(t, d, a), r.position(t, d, b))
		p.Hops, ns = p.Hops+n, ns+cost
		turns += min(n, 1)
	}
	p.Tau = spec.Duration(math.Round(ns))
	p.Bandwidth = tier.link() * spec.Bandwidth(turns)
	return p
}

func torusWorst(t *Topology, i int) float64 {
	tier := &t.Tiers[i]
	r, ns := t.torus(i), float64(tier.Tau.Endpoint+tier.Tau.Software)
	for d := range tier.Dims {
		ns += r.line(d, r.extent(d, i), 2)
	}
	return ns / 1e9
}

func torusCut(t *Topology, i int) float64 {
	tier, least := &t.Tiers[i], math.Inf(1)
	r := t.torus(i)
	for d := range tier.Dims {
		if n := r.extent(d, i); n > 1 {
			least = min(least, 2*float64(t.Chips/n)*float64(tier.link()))
		}
	}
	return least
}

func torusMeet(l level, t *Topology, i int, bw, ranks float64, _ int) level {
	l.inner = true
	l.torus(t, i, bw, ranks)
	return l
}
