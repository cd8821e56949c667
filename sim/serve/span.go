package serve

import "github.com/clustersim/clustersim/sim/des"

// span names the five parts of a request's life.
type span int

const (
	spanQueue span = iota
	spanPrefill
	spanTransfer
	spanDecode
)

// book ends the current span at now, or where the one before ended when that is
// later: a request in a pipeline runs behind its instance's steps. What passes
// between a pre-emption and decoding again is all the pre-emption's doing.
func (r *Request) book(now des.Time, s span) {
	now = max(now, r.Since)
	d := now - r.Since
	r.Since = now
	switch {
	case r.lost && s != spanDecode:
		r.Preempted += d
	case s == spanQueue:
		r.Queue += d
	case s == spanPrefill:
		r.Prefill += d
	case s == spanTransfer:
		r.KVTransfer += d
	default:
		r.Decode += d
	}
}

// Queued ends a wait for a place.
func (r *Request) Queued(now des.Time) { r.book(now, spanQueue) }

// Cut ends a request's decoding for the books, at the end of a run.
func (r *Request) Cut(at des.Time) { r.book(at, spanDecode) }

// takenUp ends the hand-over of a request to the instance that decodes it: its cache
// has arrived and the scheduler has seen it; the first token leaves from there.
func (r *Request) takenUp(now des.Time) {
	r.Lag = 0
	r.book(now, spanTransfer)
	r.firstToken(now)
}

// firstToken books the first token, once; that of an initial request was out before.
func (r *Request) firstToken(now des.Time) {
	if r.FirstToken == 0 && !r.Initial {
		r.FirstToken, r.LastToken = now, now
	}
}
