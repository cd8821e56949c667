package topologies

import "math"

// A group is ranks 0, stride, 2·stride … of contiguous ranks, spread evenly over
// as few domains as hold it. Its levels are the tiers at which members first meet.
//
// A rank is a die of a chip of several. Bandwidths are a rank's: a die has its
// share of the package's links. A group inside one package uses the link between
// the dies; a larger one is priced as if dies of one package met over the tier's
// links too, which is how CloudMatrix384's tables read (they count ranks in dies
// and fit without the die link).
type group struct {
	ranks  float64
	levels [maxTiers + 1]level
	n      int // levels in use, innermost first
}

// level is one meeting place of a group.
type level struct {
	inner    bool    // the package or the innermost tier: the links libraries call scale-up
	inside   float64 // ranks of the group in one domain of this level
	members  float64 // domains of the level below, or ranks, that meet here
	near     float64 // s, one traversal to a neighbour
	far      float64 // s, one traversal to the farthest member
	port     float64 // B/s, what a rank's links carry at most
	spread   float64 // B/s to members of other domains when every rank sends to every other
	ring     float64 // B/s when every rank sends to its neighbours only
	steps    float64 // of a ring or a direct exchange among the members
	merged   float64 // members of one single-hop exchange; 0 for a mesh or torus, which have no such
	shares   bool    // the level below leaves by the same ports
	carriers float64 // ranks of a member, whose links a ring through it can use together
}

// meet lays a group of ranks on the system.
func (t *Topology) meet(ranks, stride int) group {
	g := group{ranks: float64(max(ranks, 1))}
	dies, stride := max(t.Chip.Dies, 1), max(stride, 1)
	below := 1.0
	if g.ranks > 1 && ranks*stride <= dies {
		g.add(t.packageLevel(g.ranks))
		return g
	}
	for i := 0; i < len(t.Tiers) && below < g.ranks; i++ {
		last := i == len(t.Tiers)-1
		inside := spreadOver(g.ranks, t.Tiers[i].Size*dies/stride)
		if last {
			inside = g.ranks
		}
		nested := !last && t.Tiers[i].Shape == Torus && t.Tiers[i+1].Shape == Torus && inside < g.ranks
		if inside <= below || nested {
			continue // nobody new is met here, or the rings of the torus above run through it
		}
		g.add(t.tierLevel(i, g.ranks, inside, below, stride))
		below = inside
	}
	return g
}

func (g *group) add(l level) {
	g.levels[g.n] = l
	g.n++
}

// spreadOver is how many of n ranks share a domain that has room for some.
func spreadOver(n float64, room int) float64 {
	return n / math.Ceil(n/float64(max(room, 1)))
}

func (t *Topology) packageLevel(inside float64) level {
	bw, tau := float64(t.Chip.DieLink.Bandwidth), t.Chip.DieLink.Tau.Seconds()
	return level{
		inner: true, inside: inside, members: inside, near: tau, far: tau,
		port: bw, spread: bw, ring: bw, steps: inside - 1, merged: inside, carriers: 1,
	}
}

func (t *Topology) tierLevel(i int, ranks, inside, below float64, stride int) level {
	tier, dies := &t.Tiers[i], float64(max(t.Chip.Dies, 1))
	bw := float64(tier.Bandwidth) / dies
	l := level{
		inner: i == 0, inside: inside, members: inside / below, carriers: below,
		port: bw / tier.Oversubscription, shares: i > 0 && tier.SharesPorts,
		near: tier.Tau.after(1) / 1e9,
	}
	l = tier.joined().meet(l, t, i, bw, ranks, stride)
	l.spread, l.ring = min(l.spread, l.port), min(l.ring, l.port)
	return l
}

// memberStride is the step between members of tier i that a group of the given
// stride takes.
func (t *Topology) memberStride(i, stride int) int {
	return max(1, stride/(t.below(i)*max(t.Chip.Dies, 1)))
}

// mesh fills in a full mesh: the group occupies a box of extents e and routes
// dimension by dimension. In a dimension of d members it has e−1 direct lanes
// and, with detours, d−e through members outside, of which relaying for others
// takes half: c = e−1 + (d−e)/2 of the Σ(d−1) lanes a member has in all.
//
// All-to-all turns in the dimension with 1−1/e of all bytes, so a rank can send
// bw·c/(1−1/e)/Σ(d−1), the least over dimensions; 1−1/members of that goes to others.
func (l *level) mesh(tier *Tier, bw float64, stride int) {
	lane, left := bw/float64(tier.lanes())/tier.Oversubscription, l.members
	least, turns, used := math.Inf(1), 0.0, 0.0
	for _, d := range tier.Dims {
		if stride >= d {
			stride /= d
			continue
		}
		e := min(math.Ceil(left), float64(d/stride))
		left, stride = left/max(e, 1), 1
		if e <= 1 {
			continue
		}
		c := e - 1
		if tier.Detours {
			c += (float64(d) - e) / 2
		}
		least = min(least, c/(1-1/e))
		used += c
		turns++
	}
	if used == 0 { // the stride steps over the whole mesh: one lane is left
		least, used, turns = 2, 1, 1
	}
	l.spread = lane * least * (1 - 1/l.members)
	l.ring = lane * used
	l.steps = turns
	l.far = tier.Tau.after(turns) / 1e9
}

// torus fills in the rings through tier i: the group takes the most compact box.
//
// All-to-all on a ring of e that closes: a quarter of e links on average, over
// two links a chip, so 8·link/e a chip; half of that on a line that does not.
func (l *level) torus(t *Topology, i int, bw, ranks float64) {
	r, tier := t.torus(i), &t.Tiers[i]
	link := bw / float64(2*len(tier.Dims)) / tier.Oversubscription
	box := r.box(int(math.Ceil(ranks)), i)
	l.members, l.carriers = ranks, 1
	l.spread, l.ring, l.steps = math.Inf(1), 0, 0
	ns := float64(tier.Tau.Endpoint + tier.Tau.Software)
	for d, e := range box[:len(tier.Dims)] {
		if e <= 1 {
			continue
		}
		ways := 1.0
		if e%r.extent(d, r.base) == 0 {
			ways = 2
		}
		l.spread = min(l.spread, 4*ways*link/float64(e))
		l.ring += ways * link
		l.steps += math.Ceil(float64(e-1) / ways)
		ns += r.line(d, e, ways)
	}
	l.spread *= 1 - 1/l.members
	l.far = ns / 1e9
}

// line is the delay in ns of the longest way along e members of dimension d.
func (r rings) line(d, e int, ways float64) float64 {
	hops, ns := e-1, 0.0
	if ways == 2 {
		hops = e / 2
	}
	for p := range hops {
		ns += r.t.Tiers[r.crossed(d, (p+1)%r.extent(d, r.top))].Tau.hopsNs()
	}
	return ns
}

// box is the smallest box of the torus through tier i with room for n chips and,
// among those, the one with the shortest longest side. Beyond one base domain it
// is made of whole ones, whose rings close.
func (r rings) box(n, i int) [maxDims]int {
	dims := len(r.t.Tiers[i].Dims)
	var limit, unit [maxDims]int
	volume := 1
	for d := range dims {
		limit[d], unit[d] = r.extent(d, r.base), 1
		volume *= limit[d]
	}
	if n > volume {
		n = (n + volume - 1) / volume
		for d := range dims {
			unit[d] = limit[d]
			limit[d] = r.extent(d, i) / unit[d]
		}
	}
	var at, best [maxDims]int
	leastVolume, leastSide := math.MaxInt, math.MaxInt
	for d := range dims {
		at[d] = 1
	}
	for done := false; !done; {
		v, side := 1, 0
		for d := range dims {
			v, side = v*at[d], max(side, at[d]*unit[d])
		}
		if v >= n && (v < leastVolume || v == leastVolume && side < leastSide) {
			leastVolume, leastSide, best = v, side, at
		}
		done = true
		for d := range dims {
			if at[d]++; at[d] <= limit[d] {
				done = false
				break
			}
			at[d] = 1
		}
	}
	for d := range dims {
		best[d] *= unit[d]
	}
	return best
}

// bytesAt is the share of what a rank sends to all ranks of the group, itself
// included, that goes to members first met at level i.
func (g *group) bytesAt(i int) float64 {
	below := 1.0
	if i > 0 {
		below = g.levels[i-1].inside
	}
	return (g.levels[i].inside - below) / g.ranks
}

// outer is the number of innermost domains the group spans.
func (g *group) outer() float64 {
	if g.n == 0 {
		return 1
	}
	for i := range g.n {
		if !g.levels[i].inner {
			if i == 0 {
				return g.ranks
			}
			return g.ranks / g.levels[i-1].inside
		}
	}
	return 1
}

// far is the longest traversal in the group.
func (g *group) far() float64 {
	if g.n == 0 {
		return 0
	}
	return g.levels[g.n-1].far
}
