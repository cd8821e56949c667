package serve

import "github.com/clustersim/clustersim/sim/des"

// None is the handle of no request.
const None int32 = -1

// Request is one request in flight. Handles are indices into a Table and are
// reused; Generation tells a reused slot from its former owner.
type Request struct {
	Number     uint64
	Session    uint64 // the conversation that it belongs to, 0 when unknown
	Generation uint32
	Arrival    des.Time

	Input, Output int32 // tokens of the prompt and of the answer
	// Target is how many tokens the prefill must put into the cache: the prompt,
	// and after a pre-emption what had been generated as well. Filled is done.
	Target, Filled int32
	Cached         int32 // tokens found in the prefix cache

	// Decode steps in all and done, and the context's length before the next
	// step in 2^-cost.ContextShift tokens, which each step raises by Slope.
	Steps, StepsDone int32
	Context, Slope   int64
	joinStep         int64 // instance step in which it decoded first since it last joined

	Rank     int32 // rank that holds it
	Instance int32 // instance that holds it
	Held     int64 // KV bytes reserved on the rank while it does not decode
	From     Place // where its prompt was prefilled, while its cache is handed over
	next     int32 // queue (while waiting) or running list (while decoding)
	prev     int32

	FirstToken, LastToken des.Time
	// Lag is by how much its tokens come after the ends of its instance's steps:
	// the place of its micro-batch in a pipeline that is being filled.
	Lag des.Time
	// Since is when the current span began; the spans up to it are booked.
	Since                                         des.Time
	Queue, Prefill, KVTransfer, Decode, Preempted des.Time
	PrefillInstance                               int32
	Preemptions                                   int32
	Initial, Measured                             bool
	lost                                          bool     // pre-empted and not decoding again yet
	Prefix                                        []uint64 // block ids of the prompt, storage reused with the slot
}

// Place is a rank of an instance and the KV bytes held there.
type Place struct {
	Instance, Rank int32
	Held           int64
}

// Table holds all requests in flight. Memory grows with their number, not with
// the trace.
type Table struct {
	all  []Request
	free []int32
}

// New takes a slot for a request.
func (t *Table) New() int32 {
	if n := len(t.free); n > 0 {
		h := t.free[n-1]
		t.free = t.free[:n-1]
		return h
	}
	t.all = append(t.all, Request{})
	return int32(len(t.all) - 1)
}

// At gives the request of a handle; the pointer is good until the next New.
func (t *Table) At(h int32) *Request { return &t.all[h] }

// Free gives a slot back; its generation moves on, so that what still names the
// old owner can tell.
func (t *Table) Free(h int32) {
	r := &t.all[h]
	*r = Request{Generation: r.Generation + 1, Prefix: r.Prefix[:0]}
	t.free = append(t.free, h)
}

// Decoding lists the measured requests in flight that have begun to decode; all says
// that there are no others.
func (t *Table) Decoding(dst []int32) (decoding []int32, all bool) {
	all = true
	for h := range t.all {
		r := &t.all[h]
		switch {
		case !r.Measured:
		case r.FirstToken > 0 && r.Held == 0 && !r.lost:
			dst = append(dst, int32(h))
		default:
			all = false
		}
	}
	return dst, all
}

// InFlight is the number of slots in use.
func (t *Table) InFlight() int64 { return int64(len(t.all) - len(t.free)) }

// list is a FIFO or running list of requests linked through the table.
type list struct {
	head, tail int32
	count      int64
}

func emptyList() list { return list{head: None, tail: None} }

func (l *list) pushBack(t *Table, h int32) {
	r := t.At(h)
	r.prev, r.next = l.tail, None
	if l.tail == None {
		l.head = h
	} else {
		t.At(l.tail).next = h
	}
	l.tail = h
	l.count++
}

// pushFront puts a request before all others but those that already hold cache:
// they could not give way.
func (l *list) pushFront(t *Table, h int32) {
	before, after := None, l.head
	for after != None && t.At(after).Held > 0 {
		before, after = after, t.At(after).next
	}
	r := t.At(h)
	r.prev, r.next = before, after
	if before == None {
		l.head = h
	} else {
		t.At(before).next = h
	}
	if after == None {
		l.tail = h
	} else {
		t.At(after).prev = h
	}
	l.count++
}

func (l *list) remove(t *Table, h int32) {
	r := t.At(h)
	if r.prev == None {
		l.head = r.next
	} else {
		t.At(r.prev).next = r.next
	}
	if r.next == None {
		l.tail = r.prev
	} else {
		t.At(r.next).prev = r.prev
	}
	r.prev, r.next = None, None
	l.count--
}
