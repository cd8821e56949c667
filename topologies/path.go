package topologies

import (
	"math"

	"github.com/clustersim/clustersim/sim/spec"
)

// Path is the way of one message between two chips.
type Path struct {
	Tier      int           // index of the innermost tier both chips are in; -1 within one chip
	Hops      int           // links crossed
	Tau       spec.Duration // one way, small message
	Bandwidth spec.Bandwidth
}

// Path is the way from chip a to chip b, numbered 0 to Chips-1 with the innermost
// domains contiguous.
//
// In a mesh and a torus it takes the shortest way, and its bandwidth is that of
// the links in the dimensions where the two differ: a full mesh spreads a row's
// traffic over the row's other members too (all-path routing), a torus does not
// turn away from its goal.
func (t *Topology) Path(a, b int) Path {
	if a == b {
		return Path{Tier: -1}
	}
	i := t.meetingTier(a, b)
	return t.Tiers[i].joined().path(t, i, a, b)
}

// meetingTier is the innermost tier that has both chips in one domain.
func (t *Topology) meetingTier(a, b int) int {
	for i := range t.Tiers {
		if a/t.Tiers[i].Size == b/t.Tiers[i].Size {
			return i
		}
	}
	return len(t.Tiers) - 1
}

// below is the size in chips of a member of tier i.
func (t *Topology) below(i int) int {
	if i == 0 {
		return 1
	}
	return t.Tiers[i-1].Size
}

// Usable is what a chip can send through a tier when all do.
func (t *Tier) Usable() spec.Bandwidth { return t.Bandwidth / spec.Bandwidth(t.Oversubscription) }

// lanes counts a mesh member's direct links: one to every other of its row in
// every dimension.
func (t *Tier) lanes() int { return lanesOf(t.Dims) }

func lanesOf(dims []int) int {
	n := 0
	for _, d := range dims {
		n += d - 1
	}
	return max(n, 1)
}

// link is one direction of one of a torus chip's two links a dimension.
func (t *Tier) link() spec.Bandwidth { return t.Bandwidth / spec.Bandwidth(2*len(t.Dims)) }

func (t *Topology) meshDistance(i, a, b int) (differ, lanes int) {
	tier := &t.Tiers[i]
	a, b = a%tier.Size/t.below(i), b%tier.Size/t.below(i)
	for _, d := range tier.Dims {
		if a%d != b%d {
			differ, lanes = differ+1, lanes+d-1
		}
		a, b = a/d, b/d
	}
	return differ, lanes
}

// rings are the dimensions of a torus whose members may be tori themselves: a
// TPU pod is a torus of cubes, and its rings run through the cubes.
type rings struct {
	t         *Topology
	base, top int // tiers
}

// torus gives the rings through tier i.
func (t *Topology) torus(i int) rings {
	r := rings{t: t, base: i, top: i}
	for r.base > 0 && t.Tiers[r.base-1].Shape == Torus {
		r.base--
	}
	for r.top+1 < len(t.Tiers) && t.Tiers[r.top+1].Shape == Torus {
		r.top++
	}
	return r
}

// extent is the length of dimension d through the tiers base to i, in members of base.
func (r rings) extent(d, i int) int {
	n := 1
	for j := r.base; j <= i; j++ {
		n *= r.t.Tiers[j].Dims[d]
	}
	return n
}

// position of a chip along dimension d.
func (r rings) position(t *Topology, d, chip int) int {
	at, scale := 0, 1
	for j := r.base; j <= r.top; j++ {
		tier := &t.Tiers[j]
		member := chip % tier.Size / t.below(j)
		for k := range d {
			member /= tier.Dims[k]
		}
		at += scale * (member % tier.Dims[d])
		scale *= tier.Dims[d]
	}
	return at
}

// distance along dimension d from p to q, the shorter way round, and of two as
// short the quicker: links crossed and their delay in ns, each link by the tier
// whose border it crosses.
func (r rings) distance(d, p, q int) (links int, ns float64) {
	n := r.extent(d, r.top)
	forward := ((q-p)%n + n) % n
	if forward > n-forward {
		return n - forward, r.along(d, q, n-forward, n)
	}
	ns = r.along(d, p, forward, n)
	if 2*forward == n {
		ns = min(ns, r.along(d, q, forward, n))
	}
	return forward, ns
}

// along is the delay in ns of the given links of a ring of n, onward from p.
func (r rings) along(d, p, links, n int) float64 {
	ns := 0.0
	for s := range links {
		ns += r.t.Tiers[r.crossed(d, (p+s+1)%n)].Tau.hopsNs()
	}
	return ns
}

// crossed is the tier whose link leads into position p from the one before.
func (r rings) crossed(d, p int) int {
	for j := r.top; j > r.base; j-- {
		if p%r.extent(d, j-1) == 0 {
			return j
		}
	}
	return r.base
}

// worst is the delay in s of the longest traversal of tier i.
func (t *Topology) worst(i int) float64 {
	return t.Tiers[i].joined().worst(t, i)
}

// Delays are the path delays between chips of one domain, or of a system.
type Delays struct {
	Worst, Mean         spec.Duration
	WorstHops, MeanHops float64
}

// TierDelays are the worst and the mean over pairs of chips in one domain of
// tier i that meet there; for a torus, over every two of the domain, whose way
// may be any of its rings. A domain is taken as full.
func (t *Topology) TierDelays(i int) Delays {
	return t.Tiers[i].joined().delays(t, i)
}

func meshDelays(t *Topology, i int) Delays {
	tier := &t.Tiers[i]
	members, mean, worst := 1, 0.0, 0.0
	for _, d := range tier.Dims {
		members *= d
		mean += 1 - 1/float64(d)
		if d > 1 {
			worst++
		}
	}
	mean *= float64(members) / float64(max(members-1, 1))
	return tier.delays(worst, mean)
}

func (t *Tier) delays(worst, mean float64) Delays {
	return Delays{
		Worst: spec.Duration(math.Round(t.Tau.after(worst))), Mean: spec.Duration(math.Round(t.Tau.after(mean))),
		WorstHops: worst, MeanHops: mean,
	}
}

func torusDelays(t *Topology, i int) Delays {
	r, tier := t.torus(i), &t.Tiers[i]
	base := float64(tier.Tau.Endpoint + tier.Tau.Software)
	out, worstNs, meanNs, chips := Delays{}, base, 0.0, 1.0
	for d := range tier.Dims {
		n := r.extent(d, i)
		chips *= float64(n)
		far, farNs, sum, sumNs := 0, 0.0, 0, 0.0
		for p := range n {
			for q := range n {
				links, ns := r.distance(d, p, q)
				far, farNs = max(far, links), max(farNs, ns)
				sum, sumNs = sum+links, sumNs+ns
			}
		}
		out.WorstHops, worstNs = out.WorstHops+float64(far), worstNs+farNs
		out.MeanHops += float64(sum) / float64(n*n)
		meanNs += sumNs / float64(n*n)
	}
	others := chips / max(chips-1, 1) // a chip is not its own peer
	out.MeanHops *= others
	out.Worst = spec.Duration(math.Round(worstNs))
	out.Mean = spec.Duration(math.Round(base + meanNs*others))
	return out
}

// Delays are the worst and the mean over every two chips of the system.
func (t *Topology) Delays() Delays {
	var out Delays
	sum, hops, pairs, inner := 0.0, 0.0, 0.0, float64(t.Chips)
	for i := range t.Tiers {
		if i+1 < len(t.Tiers) && t.Tiers[i].Shape == Torus && t.Tiers[i+1].Shape == Torus {
			continue // the torus above counts these pairs by its rings
		}
		d, together := t.TierDelays(i), t.pairsWithin(t.Tiers[i].Size)
		if d.Worst > out.Worst {
			out.Worst, out.WorstHops = d.Worst, d.WorstHops
		}
		sum += float64(d.Mean) * (together - inner)
		hops += d.MeanHops * (together - inner)
		pairs, inner = pairs+together-inner, together
	}
	if pairs > 0 {
		out.Mean, out.MeanHops = spec.Duration(math.Round(sum/pairs)), hops/pairs
	}
	return out
}

// pairsWithin counts ordered pairs of chips, a chip with itself among them, that
// share a domain of the given size.
func (t *Topology) pairsWithin(size int) float64 {
	whole, rest := float64(t.Chips/size), float64(t.Chips%size)
	return whole*float64(size)*float64(size) + rest*rest
}

// Bisection is what can cross the worst cut of the system into halves, one way.
//
//	switch, fat tree   chips/2 · bandwidth / oversubscription
//	full mesh          members/d · ⌊d/2⌋·⌈d/2⌉ lanes, the least over dimensions
//	torus              2 · chips/D · link, the least over dimensions
//
// The cut is through the outermost tier, along whole domains of the tier below.
func (t *Topology) Bisection() spec.Bandwidth {
	i := len(t.Tiers) - 1
	tier := &t.Tiers[i]
	least := tier.joined().cut(t, i)
	if math.IsInf(least, 1) {
		return tier.Usable() * spec.Bandwidth(t.Chips) / 2
	}
	return spec.Bandwidth(least)
}
