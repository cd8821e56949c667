package net

import (
	"cmp"
	"math"
	"slices"
)

// unbound is the level of a link that holds no flow back.
const unbound = math.MaxUint64

// filling is the memory of fill, kept from one run to the next.
type filling struct {
	run    uint64
	queue  []int32 // links whose level may be wrong, first come first served
	moved  []int32 // links of which flows may have another rate
	bounds []bound
}

// bound is the rate at which something other than the link in question holds a flow.
type bound struct {
	rate   uint64
	byLink bool // else by its cap
}

// fill makes all rates max-min fair as of now.
//
// The level of a link is its share in progressive filling: what the flows that are
// held back elsewhere at lower rates leave, divided among the others. That is one
// equation for each contended link in the levels of its neighbours, and progressive
// filling is their only solution: of two, take the lowest level at which they
// differ; below it both are the same, and so must that level be. It is therefore
// enough to start from the old levels and to solve again the equations that a change
// reaches until all hold. That ends: of the links that kept changing, the one with the
// lowest level would have nothing below it that changes. (Levels that links find for
// themselves: Charny, Clark, Jain, Congestion Control with Explicit Rate
// Indication, ICC 1995.)
func (n *Net) fill() {
	if len(n.filling.queue) == 0 {
		return
	}
	w := &n.filling
	w.run++
	w.moved = w.moved[:0]
	for i := 0; i < len(w.queue); i++ {
		index := w.queue[i]
		l := &n.links[index]
		l.queued = false
		if l.run != w.run {
			l.run = w.run
			w.moved = append(w.moved, index)
		}
		before := l.level
		l.level = n.level(index)
		if l.level != before {
			n.spread(index, min(before, l.level))
		}
	}
	w.queue = w.queue[:0]
	for _, index := range w.moved {
		for seat := n.links[index].first; seat >= 0; {
			n.setRate(seat / maxLinks)
			seat = n.flows[seat/maxLinks].next[seat%maxLinks]
		}
	}
}

// level solves the equation of one link: flows stop at their bounds, the lowest
// first, as long as the share of the others lies above.
func (n *Net) level(index int32) uint64 {
	l := &n.links[index]
	if !l.contended() {
		return unbound
	}
	w := &n.filling
	w.bounds = w.bounds[:0]
	lowest := uint64(unbound)
	for seat := l.first; seat >= 0; {
		f := &n.flows[seat/maxLinks]
		b := n.elsewhere(f, index)
		lowest = min(lowest, b.rate)
		w.bounds = append(w.bounds, b)
		seat = f.next[seat%maxLinks]
	}
	free, rising := l.capacity*fraction, uint64(len(w.bounds))
	if lowest > free/rising {
		return free / rising
	}
	slices.SortFunc(w.bounds, func(a, b bound) int {
		if c := cmp.Compare(a.rate, b.rate); c != 0 || a.byLink == b.byLink {
			return c
		}
		if a.byLink {
			return 1
		}
		return -1
	})
	for _, b := range w.bounds {
		if share := free / rising; b.rate > share || b.rate == share && b.byLink {
			return share
		}
		free -= b.rate
		rising--
		if rising == 0 {
			break
		}
	}
	return unbound
}

// elsewhere is the bound of a flow but for one of its links.
func (n *Net) elsewhere(f *flow, except int32) bound {
	b := bound{f.limit * fraction, false}
	for _, index := range f.links[:f.hops] {
		if level := n.links[index].level; index != except && level < b.rate {
			b = bound{level, true}
		}
	}
	return b
}

// spread queues the links that a new level of one can concern: those above the lower
// of its old and new level, by flows that nothing holds below that.
func (n *Net) spread(from int32, level uint64) {
	for seat := n.links[from].first; seat >= 0; {
		f := &n.flows[seat/maxLinks]
		if n.elsewhere(f, from).rate > level {
			for _, index := range f.links[:f.hops] {
				if l := &n.links[index]; index != from && l.level > level {
					n.touch(index)
				}
			}
		}
		seat = f.next[seat%maxLinks]
	}
}

// touch queues a link if it can be full.
func (n *Net) touch(index int32) {
	if l := &n.links[index]; !l.queued && l.contended() {
		l.queued = true
		n.filling.queue = append(n.filling.queue, index)
	}
}

// setRate gives a flow the lowest of its cap and its links' levels.
func (n *Net) setRate(slot int32) {
	f := &n.flows[slot]
	rate := n.elsewhere(f, -1).rate
	if rate == f.rate {
		return
	}
	f.hi, f.lo = f.left(n.now)
	f.since, f.rate = n.now, rate
	n.due.set(n.flows, int(f.place), end{f.finish(), f.id, slot})
}
