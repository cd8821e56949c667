package net

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/clustersim/clustersim/sim/des"
)

const (
	maxLinks = 6

	// fraction is how many parts a byte a second is divided into.
	fraction = 1 << 10

	// maxFlowRate (70 TB/s) and maxLinkRate (9 PB/s) lie above everything that is
	// built and keep every sum within 64 bits: 2^17 flows of 2^46, 2^53 × fraction.
	maxFlowRate = 1 << 46
	maxLinkRate = 1 << 53

	// grain turns bytes into what moves in 1 ns at 1/fraction byte a second.
	grain = 1_000_000_000 * fraction
)

// Net is a set of links and the flows on them. Times never go back.
type Net struct {
	links []link
	flows []flow  // by slot
	spare []int32 // slots that are free
	slots []int32 // by id, -1 when not in flight
	due   calendar
	now   des.Time

	started float64 // bytes of all flows there ever were
	ended   []end   // ended before now and not yet handed out
	filling filling
}

type link struct {
	capacity uint64 // bytes a second
	demand   uint64 // sum of the caps of the flows on it
	level    uint64 // bytes a second · fraction: its flows go no faster
	run      uint64 // the last filling that reached it
	first    int32  // seat, -1 when empty
	queued   bool   // its level may be wrong
}

// contended says whether the link can be full: caps beyond its capacity.
func (l *link) contended() bool { return l.demand > l.capacity }

// flow is one transfer. Its seats slot·6+k are its places in the lists of its links.
type flow struct {
	hi, lo     uint64 // left to move at since, in bytes·grain
	rate       uint64 // bytes a second · fraction
	limit      uint64 // bytes a second: the cap, no more than any of its links
	since      des.Time
	id         int32
	place      int32 // in the calendar, -1 when not in flight
	links      [maxLinks]int32
	next, prev [maxLinks]int32 // seats
	hops       int8
}

// end is a moment at which a flow has moved its last byte.
type end struct {
	at       des.Time
	id, slot int32
}

// New makes a net of idle links, one for each capacity in bytes a second. A link
// of capacity 0 is down: its flows wait for ever.
func New(capacities []float64) *Net {
	n := &Net{links: make([]link, len(capacities))}
	for i, c := range capacities {
		if math.IsNaN(c) || c < 0 {
			panic(fmt.Sprintf("net: link %d has capacity %v", i, c))
		}
		n.links[i] = link{capacity: uint64(min(c, maxLinkRate)), level: unbound, first: -1}
	}
	return n
}

// Start puts bytes on the way over up to six links at no more than rateCap bytes a
// second (≤ 0: no cap). id is the caller's, small, and free again once Finished has
// returned it. Zero bytes are there at once; a link that is named twice counts once.
func (n *Net) Start(now des.Time, id int32, bytes int64, links []int32, rateCap float64) {
	n.advance(now)
	if bytes < 0 || len(links) > maxLinks {
		panic(fmt.Sprintf("net: at %d ns flow %d starts with %d bytes on %d links", now, id, bytes, len(links)))
	}
	slot := n.seat(id)
	f := &n.flows[slot]
	*f = flow{id: id, since: now}
	if bytes == 0 {
		n.due.push(n.flows, end{now, id, slot})
		return
	}
	n.started += float64(bytes)
	f.hi, f.lo = bits.Mul64(uint64(bytes), grain)
	f.limit = maxFlowRate
	if rateCap > 0 {
		f.limit = max(1, uint64(min(rateCap, maxFlowRate)))
	}
	n.join(f, slot, links)
	f.rate = f.limit * fraction
	n.due.push(n.flows, end{f.finish(), id, slot})
}

// seat finds a slot for a flow that is not in flight. Slots are as many as there ever
// were flows in flight, however large the ids.
func (n *Net) seat(id int32) (slot int32) {
	for int(id) >= len(n.slots) {
		n.slots = append(n.slots, -1)
	}
	if n.slots[id] >= 0 {
		panic(fmt.Sprintf("net: at %d ns flow %d starts and is still in flight", n.now, id))
	}
	if last := len(n.spare) - 1; last >= 0 {
		slot, n.spare = n.spare[last], n.spare[:last]
	} else {
		slot, n.flows = int32(len(n.flows)), append(n.flows, flow{})
	}
	n.slots[id] = slot
	return slot
}

// join seats a flow on its links, and queues those that can now be full.
func (n *Net) join(f *flow, slot int32, links []int32) {
	for i, l := range links {
		if seen(links[:i], l) {
			continue
		}
		f.links[f.hops] = l
		f.hops++
		f.limit = min(f.limit, n.links[l].capacity)
	}
	for k := range f.hops {
		l, seat := &n.links[f.links[k]], slot*maxLinks+int32(k)
		f.prev[k], f.next[k] = -1, l.first
		if l.first >= 0 {
			n.flows[l.first/maxLinks].prev[l.first%maxLinks] = seat
		}
		l.first = seat
		l.demand += f.limit
		n.touch(f.links[k])
	}
}

// leave is the reverse of join.
func (n *Net) leave(f *flow) {
	for k := range f.hops {
		l := &n.links[f.links[k]]
		n.touch(f.links[k])
		if f.prev[k] >= 0 {
			n.flows[f.prev[k]/maxLinks].next[f.prev[k]%maxLinks] = f.next[k]
		} else {
			l.first = f.next[k]
		}
		if f.next[k] >= 0 {
			n.flows[f.next[k]/maxLinks].prev[f.next[k]%maxLinks] = f.prev[k]
		}
		l.demand -= f.limit
	}
}

func seen(links []int32, l int32) bool {
	for _, s := range links {
		if s == l {
			return true
		}
	}
	return false
}

// Next is when the next flow ends: des.Never when none is in flight, or none of
// those that are can move.
func (n *Net) Next() des.Time {
	if len(n.ended) > 0 {
		return n.ended[0].at
	}
	n.fill()
	if len(n.due) == 0 {
		return des.Never
	}
	return n.due[0].at
}

// Finished appends to dst the flows that end at or before now, in the order of
// their ends and then of their ids, and forgets them.
func (n *Net) Finished(now des.Time, dst []int32) []int32 {
	n.advance(now)
	for _, e := range n.ended {
		dst = append(dst, e.id)
	}
	n.ended = n.ended[:0]
	for n.fill(); len(n.due) > 0 && n.due[0].at <= now; {
		dst = append(dst, n.retire())
	}
	return dst
}

// Moved is the bytes that all flows have moved up to now, those that have ended
// included.
func (n *Net) Moved(now des.Time) float64 {
	n.advance(now)
	left := 0.0
	for _, e := range n.due {
		hi, lo := n.flows[e.slot].left(now)
		left += (float64(hi)*(1<<64) + float64(lo)) / grain
	}
	return n.started - left
}

// advance lets everything end that ends before now; what ends at now itself stays,
// because more may yet start and end there.
func (n *Net) advance(now des.Time) {
	if now < n.now {
		panic(fmt.Sprintf("net: time goes back from %d to %d ns", n.now, now))
	}
	if now == n.now {
		return
	}
	for n.fill(); len(n.due) > 0 && n.due[0].at < now; n.fill() {
		n.now = n.due[0].at
		for len(n.due) > 0 && n.due[0].at == n.now {
			n.ended = append(n.ended, end{at: n.now, id: n.retire()})
		}
	}
	n.now = now
}

// retire takes the flow that ends first off its links.
func (n *Net) retire() (id int32) {
	e := n.due[0]
	n.due.remove(n.flows, 0)
	n.leave(&n.flows[e.slot])
	n.slots[e.id] = -1
	n.spare = append(n.spare, e.slot)
	return e.id
}

// left is what remains to be moved at a moment, in bytes·grain.
func (f *flow) left(now des.Time) (hi, lo uint64) {
	movedHi, movedLo := bits.Mul64(f.rate, uint64(now-f.since))
	lo, borrow := bits.Sub64(f.lo, movedLo, 0)
	hi, borrow = bits.Sub64(f.hi, movedHi, borrow)
	if borrow != 0 {
		return 0, 0
	}
	return hi, lo
}

// finish is when the last byte arrives at the present rate: ⌈left/rate⌉ after since.
func (f *flow) finish() des.Time {
	if f.hi >= f.rate {
		if f.hi == 0 && f.lo == 0 {
			return f.since
		}
		return des.Never
	}
	quotient, rest := bits.Div64(f.hi, f.lo, f.rate)
	if rest > 0 {
		quotient++
	}
	if quotient >= uint64(des.Never-f.since) {
		return des.Never
	}
	return f.since + des.Time(quotient)
}
