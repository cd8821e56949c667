package route

import (
	"fmt"
	"math"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/serve"
)

// Window is what part of a run its rates are of.
type Window int

const (
	// Arrivals is an open loop's steady state: from the end of the warm-up until the last
	// measured request has arrived.
	Arrivals Window = iota
	// Steady is a closed loop's: without its ramp and without its drain.
	Steady
	// All is the run from the end of the warm-up on, to the last completion.
	All
)

// Queue is how many requests wait for their prompt or for a place to decode when the
// window opens and when the last of Arrived has come.
type Queue struct{ Before, After, Arrived int64 }

// A queue that grows by more than this share of what arrives, and by more than chance
// makes of that (a Poisson number's standard deviation, twice), is one that goes on
// growing: what arrives is more than what is served.
const (
	growth = 0.02
	chance = 2
)

// Grows reports that more arrived than was served.
func (q Queue) Grows() bool {
	n := float64(q.Arrived)
	return float64(q.After-q.Before) > float64(growth*n)+float64(chance*math.Sqrt(n))
}

// queued are the requests that wait for their prompt or for a place to decode.
func (c *Cluster) queued() int64 {
	n := c.waiting.len()
	for i := range c.pools {
		for _, in := range c.pools[i].instances {
			n += in.Waiting()
		}
	}
	return n
}

// lastArrived notes, when the last arrival of an open loop has come, whether the
// queue has grown, and ends the window of arrivals. From here on the queue may be twice
// what it is, and some: what arrives beyond that waits outside of the cluster.
func (c *Cluster) lastArrived() {
	c.line.After, c.line.Arrived = c.queued(), c.measured
	c.closed = true
	if c.arrivals.over() {
		return // nothing else will come, and the window is what there is
	}
	c.most, c.atMost = min(backlog, 2*c.line.After+c.cfg.Spare), c.line.After
	c.bookIdle()
	c.recorder.CloseWindow(c.now)
}

// backlog is how long a queue is load enough, once the requests to be measured have
// arrived: in an overload more would only wait behind them, and fill memory.
const backlog = 1 << 20

// nextArrival is when the next request is taken: later than it arrives where the queue is
// as long as it may be.
func (c *Cluster) nextArrival() des.Time {
	if c.full() {
		return des.Never
	}
	return max(c.now, c.arrivals.at())
}

// full counts the queue only where what was added since the last count can have made it
// too long.
func (c *Cluster) full() bool {
	if c.most == 0 || c.atMost < c.most {
		return false
	}
	c.atMost = c.queued()
	return c.atMost >= c.most
}

// settleWindow decides at the end of a run what part of it the window is. Where the
// queue grew as long as requests arrived, or they had all arrived before the first of them
// had their first tokens, there is no steady state among arrivals: the window is the whole
// run.
func (c *Cluster) settleWindow() {
	start, end := c.recorder.WindowTime(c.now)
	switch {
	case c.steady.open:
		c.window = Steady
	case c.cfg.Whole || c.most == 0 || c.line.Grows() || end-start < c.recorder.MeanTTFT():
		c.window = All
		c.recorder.ExtendWindow()
	}
}

// Window is what part of the run its rates are of, and Queue whether what arrived was
// served; a closed loop's does not grow.
func (c *Cluster) Window() Window { return c.window }

// Queue is the growth of the queue over the arrivals of an open loop.
func (c *Cluster) Queue() Queue { return c.line }

// steady is a closed loop's way to its window and through it.
type steady struct {
	answered int64 // clients that have had an answer
	open     bool  // the window
	ended    bool  // a measured request, and the window has not been looked at since
	lives    float64
}

// steadily reports that the requests are a closed loop's that is measured between ramp and
// drain.
func (c *Cluster) steadily() bool { return c.cfg.Loop != nil && c.cfg.Lives > 0 }

// answer counts a client's first answer: served or not.
func (c *Cluster) answer(number uint64) {
	if c.steadily() && number < uint64(c.cfg.Loop.Concurrency) {
		c.steady.answered++
	}
}

// measureLoop opens a closed loop's window when all its clients have had an answer, but
// for the share that Cut leaves out: the longest answers of many clients take many times
// as long as all others.
func (c *Cluster) measureLoop() {
	s := &c.steady
	if s.open || s.answered == 0 || float64(int64(c.cfg.Loop.Concurrency)-s.answered) > c.cfg.Cut*float64(c.cfg.Loop.Concurrency) {
		return
	}
	s.open = true
	c.bookIdle()
	c.recorder.OpenWindow(c.now)
}

// measureAnswer decides whether a closed loop's request that ends now is measured: when
// its client sent it after its first answer, and the window is open. It adds its life,
// from when it was sent to when its client sends the next.
func (c *Cluster) measureAnswer(r *serve.Request) {
	c.answer(r.Number)
	if c.steady.open && r.Number >= uint64(c.cfg.Loop.Concurrency) {
		r.Measured, c.steady.ended = true, true
		c.measured++
		c.steady.lives += float64(r.Since-r.Arrival) + c.cfg.Loop.MeanThink()
	}
}

// loopMeasured reports that a closed loop's window has what was asked for: the requests,
// and a length of so many mean lives. It ends where a request has ended, and between two
// moments, so that all that end at one are in it.
func (c *Cluster) loopMeasured() bool {
	s := &c.steady
	if !s.ended {
		return false
	}
	if _, next := c.clock.Next(); next <= c.now {
		return false
	}
	s.ended = false
	start, _ := c.recorder.WindowTime(c.now)
	return c.finished >= c.cfg.Measure && float64(c.now-start)*float64(c.finished) >= c.cfg.Lives*s.lives
}

// stop ends the run before its time; the first reason stands.
func (c *Cluster) stop(format string, args ...any) {
	if !c.stopped {
		c.stopped, c.reason = true, fmt.Sprintf(format, args...)
	}
}

// Reason is why a run that is partial was stopped.
func (c *Cluster) Reason() string { return c.reason }
