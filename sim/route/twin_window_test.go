package route_test

import (
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
)

// twinLoop is what the twin notes of windows.
type twinLoop struct {
	answered map[uint64]bool // first requests that have ended
	open     bool
	enough   bool
	begins   des.Time
	last     des.Time  // that a measured request ended
	lives    []float64 // of the measured requests
	line     route.Queue
	most     int64
	held     bool
	window   route.Window
	ttft     float64 // of measured requests, summed
	ttfts    float64
}

// send has a client send its next request, where one is left.
func (t *twin) send(at des.Time) {
	if t.steadily() || t.sent < t.cfg.Loop.Requests {
		t.clients = append(t.clients, at)
		t.sent++
	}
}

func (t *twin) steadily() bool { return t.cfg.Loop != nil && t.cfg.Lives > 0 }

func (t *twin) arrivalAt() des.Time {
	if t.cfg.Loop != nil {
		if len(t.clients) == 0 {
			return des.Never
		}
		return slices.Min(t.clients) + t.cfg.FrontEnd
	}
	if !t.more || t.loop.held {
		return des.Never
	}
	return max(t.now, t.next.Arrival+t.cfg.FrontEnd)
}

// over: all measured requests have come and gone, or all requests have.
func (t *twin) over() bool {
	if t.steadily() {
		return false // see notice
	}
	exhausted := !t.more || t.cfg.Loop != nil && t.sent == t.cfg.Loop.Requests
	if exhausted && len(t.seqs) == 0 {
		return t.arrivalAt() == des.Never
	}
	return t.enough() && (t.finished == t.measured || t.cut())
}

func (t *twin) enough() bool {
	if t.cfg.Measure > 0 {
		return t.measured >= t.cfg.Measure
	}
	return t.cfg.MeasureUntil > 0 && (!t.more || t.next.Arrival >= t.cfg.Warmup+t.cfg.MeasureUntil)
}

// hold looks, when a request has come or a step has ended, whether the queue is as long as it may be
// after the last measured arrival: twice what it was then, and some.
func (t *twin) hold() {
	t.loop.held = t.loop.most > 0 && t.queued() >= t.loop.most
	if t.loop.held {
		t.seen[heldBack]++
	}
}

func (t *twin) queued() (n int64) {
	for _, s := range t.seqs {
		if s.state == twinQueued || s.state == twinWaiting {
			n++
		}
	}
	return n
}

func (t *twin) lastArrived() {
	t.closed = true
	t.loop.line.After, t.loop.line.Arrived = t.queued(), t.measured
	if !t.more {
		return
	}
	t.loop.most = 2*t.loop.line.After + t.cfg.Spare
	t.bookMoved()
	t.rec.CloseWindow(t.now)
	t.seen[windowClosed]++
}

func (t *twin) measureAnswer(s *twinSeq, done *metrics.Completion) bool {
	if s.number < uint64(t.cfg.Loop.Concurrency) {
		if t.loop.answered == nil {
			t.loop.answered = map[uint64]bool{}
		}
		t.loop.answered[s.number] = true
		return false
	}
	if !t.loop.open {
		return false
	}
	think := 0.0
	if !t.cfg.Loop.ThinkTime.IsZero() {
		think = 1e6 * t.cfg.Loop.ThinkTime.Mean()
	}
	t.loop.last = t.now
	t.loop.lives = append(t.loop.lives, float64(done.Finish-done.Arrival)+think)
	return true
}

// notice opens a closed loop's window after an event, and sees when it is long enough.
func (t *twin) notice() {
	if !t.steadily() {
		return
	}
	clients := float64(t.cfg.Loop.Concurrency)
	if !t.loop.open && len(t.loop.answered) > 0 && clients-float64(len(t.loop.answered)) <= t.cfg.Cut*clients {
		t.loop.open, t.loop.begins = true, t.now
		t.bookMoved()
		t.rec.OpenWindow(t.now)
	}
	n := len(t.loop.lives)
	if t.loop.enough = false; n == 0 || t.loop.last < t.now || n < int(t.cfg.Measure) {
		return
	}
	sum := 0.0
	for _, l := range t.loop.lives {
		sum += l
	}
	t.loop.enough = float64(t.now-t.loop.begins)*float64(n) >= t.cfg.Lives*sum
}

// settle says what the window was: the last thing that a run does.
func (t *twin) settle() {
	if t.loop.open {
		t.loop.window = route.Steady
		t.seen[loopMeasured]++
		return
	}
	q := t.loop.line
	grew := float64(q.After-q.Before) > 0.02*float64(q.Arrived)+2*math.Sqrt(float64(q.Arrived))
	from, to := t.rec.WindowTime(t.now)
	mean := t.loop.ttft / max(1, t.loop.ttfts)
	if t.loop.most == 0 || t.cfg.Whole || grew || to-from < des.Time(mean) {
		t.loop.window = route.All
		t.rec.ExtendWindow()
	}
	if t.loop.most > 0 && grew {
		t.seen[queueGrew]++
	}
}

// bookMoved books what has been handed over since it last did.
func (t *twin) bookMoved() {
	if t.net != nil {
		moved := t.net.Moved(t.now)
		t.rec.Moved(0, 1, t.cfg.Handover.Tier, moved-t.moved)
		t.moved = moved
	}
}
