package topologies

import (
	"maps"
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/spec"
)

// ShotLaw prices the one- and two-shot all-reduce kernels of a CUDA graph:
//
//	one-shot   a + h(n−1) + (n−1)·S/(e₁·bw)                1 traversal in a
//	two-shot   a + d + h(n−1) + 2(n−1)/n·S/(e₂·bw)         2 traversals
//
// h is software. Beyond eight ranks, where nothing was measured, α grows with
// log₂ n and only in a domain whose members reach each other in one hop.
type ShotLaw struct {
	StepUs   float64            `yaml:"h_us"`
	E1       float64            `yaml:"e1"`
	SecondUs float64            `yaml:"d_us"`
	E2       float64            `yaml:"e2"`
	MaxBytes spec.Bytes         `yaml:"max_bytes"`
	Chips    map[string]float64 `yaml:"chips"` // a, µs

	launchUs float64
}

func (s *ShotLaw) bind(c *Chip) (own bool) {
	var ok bool
	if s.launchUs, own, ok = perChip(s.Chips, c); !ok {
		s.launchUs = s.Chips["default"]
	}
	return own
}

func (s *ShotLaw) check(doc *spec.Doc) {
	checkTime(doc, "shot.h_us", s.StepUs)
	checkTime(doc, "shot.d_us", s.SecondUs)
	checkShare(doc, "shot.e1", s.E1)
	checkShare(doc, "shot.e2", s.E2)
	if _, ok := s.Chips["default"]; !ok {
		doc.Errorf("shot.chips", "must have default, for chips that nobody timed")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Chips)) {
		checkTime(doc, "shot.chips."+name, s.Chips[name])
	}
}

func (l *Library) shots(g *group, bytes float64) Comm {
	s, lv, n := l.Shot, &g.levels[0], g.ranks
	grow := n - 1
	if n > 8 {
		grow = beyondEight(n)
	}
	h := s.StepUs * grow * microsecond
	one := alpha{software: l.software(s.launchUs, 1, true) + h, tau: lv.near}
	two := alpha{software: l.software(s.launchUs+s.SecondUs, 2, true) + h, tau: 2 * lv.near}
	return one.sum((n - 1) * bytes / (s.E1 * lv.port)).less(two.sum(2 * (n - 1) / n * bytes / (s.E2 * lv.port)))
}

// AllReduce sums a buffer of bytes a rank over ranks. stride is the step between
// members among contiguous ranks (1 for TP; TP's size for the ranks of one TP
// position across DP). A rank is a die of a chip of several.
func (t *Topology) AllReduce(lib *Library, ranks int, bytes float64, stride int) Comm {
	if ranks <= 1 || bytes <= 0 {
		return Comm{}
	}
	g := t.meet(ranks, stride)
	if s := lib.Shot; s != nil && bytes <= float64(s.MaxBytes) && g.n == 1 && g.levels[0].merged > 0 {
		return lib.shots(&g, bytes)
	}
	ring := lib.ring()
	if ring == nil {
		return Comm{}
	}
	if c, ok := ring.inSwitch(&g, bytes); ok {
		return c
	}
	return ring.ringed(&g, bytes, 2)
}

// ring is the library, or the fallback, that has the law of collectives.
func (l *Library) ring() *Library {
	for ; l != nil; l = l.Fallback {
		if l.Ring != nil {
			return l
		}
	}
	return nil
}

// AllGather leaves every rank with the same bytes in all, gathered from equal shares.
func (t *Topology) AllGather(lib *Library, ranks int, bytes float64, stride int) Comm {
	return t.onePhase(lib, ranks, bytes, stride)
}

// ReduceScatter leaves every rank with its share of the sum of buffers of bytes each.
func (t *Topology) ReduceScatter(lib *Library, ranks int, bytes float64, stride int) Comm {
	return t.onePhase(lib, ranks, bytes, stride)
}

func (t *Topology) onePhase(lib *Library, ranks int, bytes float64, stride int) Comm {
	ring := lib.ring()
	if ranks <= 1 || bytes <= 0 || ring == nil {
		return Comm{}
	}
	g := t.meet(ranks, stride)
	return ring.ringed(&g, bytes, 1)
}

// AllToAll sends every rank its equal share of a buffer of bytes a rank, the own
// share among them.
func (t *Topology) AllToAll(lib *Library, ranks int, bytes float64, stride int) Comm {
	ring := lib.ring()
	if ranks <= 1 || bytes <= 0 || ring == nil {
		return Comm{}
	}
	g := t.meet(ranks, stride)
	r := ring.Ring
	law := AllToAllLaw{Q: r.Q, E: r.E, Copy: r.Copy, LaunchFactor: 1, StepFactor: 1}
	if r.AllToAll != nil {
		law = *r.AllToAll
	}
	a := alpha{software: r.step.LaunchUs * microsecond * law.LaunchFactor}
	steps := math.Log2(g.ranks) * law.StepFactor
	a.software += steps * ring.software(r.step.StepUs, 1, true)
	if g.levels[g.n-1].merged == 0 {
		steps = 1 // in a mesh or torus messages to all members are on their way at once
	}
	a.tau += steps * g.far()
	crowd := r.crowd(g.levels[0].inside)
	wire := g.exchange(bytes, law.E/crowd, min(1, law.E*r.EOuter/r.E))
	return a.knee(wire+bytes/g.ranks/(law.Copy*g.levels[0].port), law.Q)
}

// exchange is the time in s for every rank to send its bytes in equal shares to
// all ranks of the group: the slowest level, or the slowest run of levels that
// leave by the same ports.
func (g *group) exchange(bytes, eInner, eOuter float64) float64 {
	slowest, run, port := 0.0, 0.0, 0.0
	for i := range g.n {
		lv := &g.levels[i]
		e := eOuter
		if lv.inner {
			e = eInner
		}
		b := bytes * g.bytesAt(i)
		slowest = max(slowest, b/(e*lv.spread))
		if !lv.shares {
			run, port = 0, 0
		}
		run, port = run+b, max(port, e*lv.port)
		slowest = max(slowest, run/port)
	}
	return slowest
}

// SendRecv is one message of bytes between ranks whose innermost common tier has
// index tier: a pipeline boundary.
func (t *Topology) SendRecv(lib *Library, tier int, bytes float64) Comm {
	ring := lib.ring()
	if bytes <= 0 || ring == nil || tier < 0 || tier >= len(t.Tiers) {
		return Comm{}
	}
	x := &t.Tiers[tier]
	a := alpha{
		software: ring.Ring.step.LaunchUs*microsecond + ring.software(ring.Ring.step.StepUs, 1, true),
		tau:      t.worst(tier),
	}
	e := ring.Ring.EOuter
	if tier == 0 {
		e = ring.Ring.E
	}
	return a.knee(bytes/(e*t.flow(x)), ring.Ring.Q)
}

// flow is what one rank can send through a tier, a die its share.
func (t *Topology) flow(x *Tier) float64 {
	return float64(x.Usable()) / float64(max(t.Chip.Dies, 1))
}
