package net

import (
	"cmp"
	"slices"
)

// filling is one run of progressive filling; it keeps its memory between runs.
type filling struct {
	rising uint64   // mark of what takes part and still rises; one more marks what has stopped
	flows  []int32  // those that are joined to a change
	caps   []capped // the same, the lowest cap first
	rooms  []room   // of the contended links among them
	heap   []share  // the same, the lowest level first
	full   []int32  // rooms that are full at the present level
}

// room is what a contended link still has for the flows that rise.
type room struct {
	link   int32
	rising int32
	free   uint64 // bytes a second · fraction
}

// share is the level at which a room would be full, when it was last looked at.
// Levels only go up, so one that is out of date is too low, and is put right when it comes first.
type share struct {
	level uint64
	room  int32
}

type capped struct {
	limit uint64
	id    int32
}

// fill gives every flow that a change can reach its max-min fair rate as of now.
func (n *Net) fill() {
	if len(n.changed) == 0 {
		return
	}
	w := &n.filling
	w.rising += 2
	n.gather()
	for next := 0; ; {
		for next < len(w.caps) && n.flows[w.caps[next].id].mark != w.rising {
			next++
		}
		if next == len(w.caps) {
			return
		}
		level, some := w.lowest()
		if c := w.caps[next]; !some || c.limit*fraction <= level {
			n.stop(c.id, c.limit*fraction)
			continue
		}
		n.stopFull(level)
	}
}

// gather collects the flows of the changed links and all that contended links join to them.
func (n *Net) gather() {
	w := &n.filling
	w.flows, w.caps, w.rooms, w.heap = w.flows[:0], w.caps[:0], w.rooms[:0], w.heap[:0]
	for _, index := range n.changed {
		n.links[index].changed = false
		n.reach(index)
	}
	n.changed = n.changed[:0]
	for i := 0; i < len(w.flows); i++ {
		f := &n.flows[w.flows[i]]
		w.caps = append(w.caps, capped{f.limit, w.flows[i]})
		for _, index := range f.links[:f.hops] {
			if n.links[index].contended() {
				n.reach(index)
			}
		}
	}
	slices.SortFunc(w.caps, func(a, b capped) int { return cmp.Compare(a.limit, b.limit) })
	for i := range w.rooms {
		w.heap = append(w.heap, share{w.rooms[i].level(), int32(i)})
	}
	for i := len(w.heap)/2 - 1; i >= 0; i-- {
		w.sink(i)
	}
}

// reach adds the flows of a link, and its room if it can be full.
func (n *Net) reach(index int32) {
	w, l := &n.filling, &n.links[index]
	if l.mark == w.rising {
		return
	}
	l.mark, l.room = w.rising, -1
	count := int32(0)
	for seat := l.first; seat >= 0; count++ {
		f := &n.flows[seat/maxLinks]
		if f.mark != w.rising {
			f.mark = w.rising
			w.flows = append(w.flows, seat/maxLinks)
		}
		seat = f.next[seat%maxLinks]
	}
	if l.contended() {
		l.room = int32(len(w.rooms))
		w.rooms = append(w.rooms, room{index, count, l.capacity * fraction})
	}
}

// lowest is the level at which the next room is full; it drops rooms in which all have stopped.
func (w *filling) lowest() (level uint64, some bool) {
	for len(w.heap) > 0 {
		r := &w.rooms[w.heap[0].room]
		switch {
		case r.rising == 0:
			w.pop()
		case r.level() > w.heap[0].level:
			w.heap[0].level = r.level()
			w.sink(0)
		default:
			return w.heap[0].level, true
		}
	}
	return 0, false
}

// stopFull stops every flow of all the rooms that are full at a level. They are
// found before any flow stops: what one leaves by rounding down must not
// depend on which came first.
func (n *Net) stopFull(level uint64) {
	w := &n.filling
	w.full = w.full[:0]
	for l, some := level, true; some && l == level; l, some = w.lowest() {
		w.full = append(w.full, w.heap[0].room)
		w.pop()
	}
	for _, r := range w.full {
		for seat := n.links[w.rooms[r].link].first; seat >= 0; {
			f := &n.flows[seat/maxLinks]
			if f.mark == w.rising {
				n.stop(seat/maxLinks, level)
			}
			seat = f.next[seat%maxLinks]
		}
	}
}

// stop settles a flow's rate, and with it how much its links have left.
func (n *Net) stop(id int32, rate uint64) {
	w, f := &n.filling, &n.flows[id]
	f.mark = w.rising + 1
	for _, index := range f.links[:f.hops] {
		if l := &n.links[index]; l.mark == w.rising && l.room >= 0 {
			w.rooms[l.room].free -= rate
			w.rooms[l.room].rising--
		}
	}
	if rate == f.rate {
		return
	}
	f.hi, f.lo = f.left(n.now)
	f.since, f.rate = n.now, rate
	n.due.set(n.flows, int(f.place), end{f.finish(), id})
}

func (r *room) level() uint64 { return r.free / uint64(r.rising) }

func (w *filling) pop() {
	last := len(w.heap) - 1
	w.heap[0] = w.heap[last]
	w.heap = w.heap[:last]
	if last > 0 {
		w.sink(0)
	}
}

func (w *filling) sink(i int) {
	h := w.heap
	s := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].level < h[child].level {
			child++
		}
		if h[child].level >= s.level {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = s
}
