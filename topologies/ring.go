package topologies

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/spec"
)

// RingLaw prices collectives of the NCCL kind: T = (A^q + B^q)^(1/q) with
// A = a + h·steps, B = wire/(e·bw) + local/(copy·bw).
//
// steps is 2(n−1) for an all-reduce, n−1 for all-gather and reduce-scatter,
// log₂ n for all-to-all; wire = S·(n−1)/n (all-reduce twice that); local = S/n is
// the copy to the output buffer. One traversal is in h.
type RingLaw struct {
	Q        float64             `yaml:"q"`
	E        float64             `yaml:"e"`        // of line rate, innermost domain
	EOuter   float64             `yaml:"e_outer"`  // of line rate, out of it
	Copy     float64             `yaml:"copy"`     // local copy, in units of line rate
	Crowding float64             `yaml:"crowding"` // line rates fall by 1 + crowding·log₂(n/2) where n ranks share a host's bridges
	AllToAll *AllToAllLaw        `yaml:"all_to_all"`
	Chips    map[string]RingStep `yaml:"chips"`
	NVLS     *NVLSLaw            `yaml:"nvls"`
	Between  []Protocol          `yaml:"between"` // over more than one node; none: the ring's constants there too

	step RingStep
	nvls bool
}

// RingStep is a launch and one step of a ring, on one chip.
type RingStep struct {
	LaunchUs float64 `yaml:"a_us"`
	StepUs   float64 `yaml:"h_us"`
}

// AllToAllLaw is where all-to-all differs: its own knee, and factors on a and h.
type AllToAllLaw struct {
	Q            float64 `yaml:"q"`
	E            float64 `yaml:"e"`
	Copy         float64 `yaml:"copy"`
	LaunchFactor float64 `yaml:"a_factor"`
	StepFactor   float64 `yaml:"h_factor"`
}

// NVLSLaw is the all-reduce that NVSwitch does itself, which replaces the ring on
// its chips at its rank count above a size: (A^q + (S/(e·bw))^q)^(1/q).
type NVLSLaw struct {
	Chips []string   `yaml:"chips"`
	Ranks int        `yaml:"ranks"`
	Above spec.Bytes `yaml:"above"`
	AUs   float64    `yaml:"a_us"`
	E     float64    `yaml:"e"`
	Q     float64    `yaml:"q"`
}

func (r *RingLaw) bind(c *Chip) (own bool) {
	var ok bool
	if r.step, own, ok = perChip(r.Chips, c); !ok {
		r.step = r.Chips["default"]
	}
	if r.NVLS != nil {
		r.nvls = slices.ContainsFunc(c.Lineage(), func(n string) bool { return slices.Contains(r.NVLS.Chips, n) })
	}
	return own
}

func (r *RingLaw) check(doc *spec.Doc) {
	checkShare(doc, "ring.q", r.Q)
	checkShare(doc, "ring.e", r.E)
	checkShare(doc, "ring.e_outer", r.EOuter)
	checkPositive(doc, "ring.copy", r.Copy)
	checkTime(doc, "ring.crowding", r.Crowding)
	if _, ok := r.Chips["default"]; !ok {
		doc.Errorf("ring.chips", "must have default, for chips that nobody timed")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Chips)) {
		checkTime(doc, "ring.chips."+name+".a_us", r.Chips[name].LaunchUs)
		checkTime(doc, "ring.chips."+name+".h_us", r.Chips[name].StepUs)
	}
	if a := r.AllToAll; a != nil {
		checkShare(doc, "ring.all_to_all.q", a.Q)
		checkShare(doc, "ring.all_to_all.e", a.E)
		checkPositive(doc, "ring.all_to_all.copy", a.Copy)
		checkPositive(doc, "ring.all_to_all.a_factor", a.LaunchFactor)
		checkPositive(doc, "ring.all_to_all.h_factor", a.StepFactor)
	}
	for i := range r.Between {
		r.Between[i].check(doc, fmt.Sprintf("ring.between[%d]", i))
	}
	if n := r.NVLS; n != nil {
		checkShare(doc, "ring.nvls.q", n.Q)
		checkShare(doc, "ring.nvls.e", n.E)
		checkTime(doc, "ring.nvls.a_us", n.AUs)
	}
}

// rate is a level's line rate times the law's efficiency there, for neighbours.
func (r *RingLaw) rate(l *level) float64 {
	if l.inner {
		return r.E * l.ring / r.crowd(l.inside)
	}
	return r.EOuter * l.ring
}

// crowd is what so many ranks take from each other's line rate.
func (r *RingLaw) crowd(ranks float64) float64 {
	return 1 + r.Crowding*max(0, math.Log2(ranks/2))
}

// launch is the α of starting; a step adds hop.
func (r *RingLaw) launch() alpha { return alpha{software: r.step.LaunchUs * microsecond} }

func (a alpha) hops(l *Library, r *RingLaw, lv *level, n, factor float64) alpha {
	a.software += n * factor * l.software(r.step.StepUs, 1, true)
	a.tau += n * factor * lv.near
	return a
}

// flat is one ring through all ranks: phases 2 for an all-reduce, 1 for
// all-gather and reduce-scatter. A step that leaves a domain costs that tier's
// traversal; all ranks of a domain carry the ring's channels through it.
func (l *Library) flat(g *group, bytes, phases float64) Comm {
	r := l.Ring
	a, slowest := r.launch(), math.Inf(1)
	for i := range g.n {
		lv := &g.levels[i]
		here := g.ranks / lv.carriers // domains below, each with a border to cross
		above := 1.0
		if i+1 < g.n {
			above = g.ranks / lv.inside
		}
		a = a.hops(l, r, lv, phases*(here-above), 1)
		slowest = min(slowest, r.rate(lv)*lv.carriers)
	}
	wire := phases * bytes * (g.ranks - 1) / g.ranks
	return a.knee(wire/slowest+r.local(g, bytes), r.Q)
}

func (r *RingLaw) local(g *group, bytes float64) float64 {
	return bytes / g.ranks / (r.Copy * g.levels[0].port)
}

// layered is reduce-scatter inside each domain, the exchange of the shares
// between domains, and all-gather inside again.
func (l *Library) layered(g *group, bytes, phases float64) Comm {
	r := l.Ring
	a, b := r.launch(), r.local(g, bytes)
	for i := range g.n {
		lv := &g.levels[i]
		steps := lv.steps
		if lv.merged > 8 {
			steps = min(steps, beyondEight(lv.merged))
		}
		a = a.hops(l, r, lv, phases*steps, 1)
		b += phases * bytes / lv.carriers * (lv.members - 1) / lv.members / r.rate(lv)
	}
	return a.knee(b, r.Q)
}

// beyondEight continues the seven steps of eight ranks, the most that were
// timed, with the logarithm of their number.
func beyondEight(ranks float64) float64 { return 7 * math.Log2(ranks) / 3 }

// tree is a double binary tree over all ranks, twice its depth; every rank
// sends its whole buffer up and down.
func (l *Library) tree(g *group, bytes float64) Comm {
	r := l.Ring
	a, slowest := r.launch(), math.Inf(1)
	for i := range g.n {
		lv := &g.levels[i]
		depth := lv.steps
		if lv.merged > 0 {
			depth = math.Log2(lv.merged)
			if lv.inner && lv.merged > 8 {
				depth = max(depth, 7) // eight ranks of one domain were timed, and are a ring of seven steps
			}
		}
		a = a.hops(l, r, lv, 2*depth, 1)
		slowest = min(slowest, r.rate(lv)*lv.carriers)
	}
	return a.knee(2*bytes/slowest+r.local(g, bytes), r.Q)
}

// ringed is the best way for an all-reduce (phases 2), or for an all-gather or a
// reduce-scatter (1). Up to eight ranks in one domain it is the ring that was
// measured; over nodes a library's protocols, if it has any; of what nothing is
// known the quickest of three.
func (l *Library) ringed(g *group, bytes, phases float64) Comm {
	if len(l.Ring.Between) > 0 && g.outer() > 1 && g.levels[0].inner && g.levels[0].merged > 0 {
		return l.between(g, bytes, phases)
	}
	best := l.flat(g, bytes, phases)
	if g.n == 1 && g.ranks <= 8 && g.levels[0].merged > 0 {
		return best
	}
	best = best.less(l.layered(g, bytes, phases))
	if phases == 2 && g.ranks > 8 {
		best = best.less(l.tree(g, bytes))
	}
	return best
}

// inSwitch is the NVLS all-reduce, if the chip, the group and the size call for it.
func (l *Library) inSwitch(g *group, bytes float64) (Comm, bool) {
	n := l.Ring.NVLS
	if !l.Ring.nvls || g.n != 1 || g.levels[0].merged == 0 || int(g.ranks) != n.Ranks || bytes <= float64(n.Above) {
		return Comm{}, false
	}
	lv := &g.levels[0]
	a := alpha{software: l.software(n.AUs, 2, true), tau: 2 * lv.near}
	return a.knee(bytes/(n.E*lv.port), n.Q), true
}
