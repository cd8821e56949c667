package route

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/traces"
)

// The way of a request, in the order in which its parts are called: arrive →
// (startStep, finishStep of its prefill) → place → transfer → (startStep,
// finishStep of its decoding) → complete.

// arrive takes the next request from the source and queues it on a prefill rank.
func (c *Cluster) arrive() error {
	err := c.arrivals.take(int64(c.number), func(t *traces.Request) error {
		total := int64(t.InputTokens) + int64(t.OutputTokens)
		c.longest = max(c.longest, total)
		if !c.fits(total) {
			return c.tooLong(t)
		}
		h := c.table.New()
		r := c.table.At(h)
		r.Number, r.Arrival, r.Since = c.number, t.Arrival, t.Arrival
		r.Input, r.Output, r.Session = t.InputTokens, t.OutputTokens, t.Session
		r.Prefix = append(r.Prefix[:0], t.Prefix...)
		r.Plan(c.steps(r.Number, r.Output))
		r.Measured = c.measures(r.Arrival)
		c.recorder.Arrive()
		c.number++
		if r.Measured {
			c.measured++
			c.lastIn = r.Arrival
		}
		c.queue(h)
		return nil
	})
	if err != nil {
		return err
	}
	if !c.closed && c.arrivals.loop == nil && (c.arrivals.over() || c.enough()) {
		c.lastArrived()
	}
	c.clock.Set(c.arrivalEntity(), c.nextArrival())
	return nil
}

// measures reports whether a request that arrived then belongs to the measured ones.
func (c *Cluster) measures(arrival des.Time) bool {
	switch {
	case c.steadily():
		return false // when it ends: see measureAnswer
	case arrival < c.cfg.Warmup:
		return false
	case c.cfg.Measure > 0:
		return c.measured < c.cfg.Measure
	case c.cfg.MeasureUntil > 0:
		return arrival < c.cfg.Warmup+c.cfg.MeasureUntil
	}
	return true
}

func (c *Cluster) fits(tokens int64) bool {
	for i := range c.pools {
		if !c.pools[i].Spec.Fits(tokens) {
			return false
		}
	}
	return true
}

// mostRejected requests may be rejected before they must be the smaller part of all.
const mostRejected = 100

// tooLong rejects a request that no rank can hold, where the workload's tail may have
// such and most others are not; otherwise it is the error that ends the run.
func (c *Cluster) tooLong(t *traces.Request) error {
	if c.cfg.RejectTooLong && (c.rejected < mostRejected || 2*c.rejected < c.number) {
		c.rejected++
		c.number++
		c.recorder.Arrive()
		c.recorder.Reject(c.steady.open || c.measures(t.Arrival))
		c.arrivals.freed(c.now)
		c.answer(c.number - 1)
		c.measureLoop()
		return nil
	}
	total := int64(t.InputTokens) + int64(t.OutputTokens)
	for i := range c.pools {
		s := c.pools[i].Spec
		if !s.Fits(total) {
			return &TooLongError{
				Number: c.number, Input: t.InputTokens, Output: t.OutputTokens, Pool: c.pools[i].Name,
				Need: s.Memory.SequenceBytes(total), Have: s.Memory.Free - s.Watermark,
			}
		}
	}
	return nil
}

// TooLongError is a request that no rank can hold.
type TooLongError struct {
	Number        uint64 // from 0
	Input, Output int32
	Pool          string
	Need, Have    int64 // bytes of KV cache
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("request %d: %d prompt and %d output tokens need %.3f GB of KV cache, but a rank of the %s pool has %.3f GB; "+
		"use a layout with more memory for KV a rank (larger tp, pp or ep), a smaller KV format, or leave the request out",
		e.Number+1, e.Input, e.Output, float64(e.Need)/1e9, e.Pool, float64(e.Have)/1e9)
}

// steps is how many decode steps a request's answer takes.
func (c *Cluster) steps(number uint64, output int32) int32 {
	if c.cfg.Drafting.Drafts == 0 {
		return output - 1
	}
	// Box–Muller
	u, v := c.z.Uniform(number, 0), c.z.Uniform(number, 1)
	z := math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*v)
	return c.cfg.Drafting.Steps(output-1, z)
}

// queue puts a request into the prefill queue of the rank that the policy picks.
func (c *Cluster) queue(h int32) {
	c.atMost++
	p := c.prefilling()
	instance, rank := p.rankFor(c.table.At(h))
	p.view.Turn++
	p.instances[instance].Enqueue(h, rank)
	c.wake(p, instance)
}

// wake lets an idle instance start a step at this moment, after all else that
// happens at it.
func (c *Cluster) wake(p *pool, instance int) {
	if !p.instances[instance].Busy {
		c.clock.Set(c.startEntity()+p.first+instance, c.now)
	}
}

// of finds the pool and number of an instance's entity.
func (c *Cluster) of(entity int) (p *pool, instance int) {
	p = &c.pools[0]
	if entity >= p.Instances {
		p = &c.pools[1]
	}
	return p, entity - p.first
}

func (c *Cluster) startStep(entity int) {
	c.clock.Set(c.startEntity()+entity, des.Never)
	p, instance := c.of(entity)
	in := p.instances[instance]
	if in.Busy {
		return
	}
	waited := in.Waiting()
	if in.Start(c.now) {
		c.clock.Set(entity, in.End)
	}
	c.atMost += max(0, in.Waiting()-waited) // pre-empted, and back in its queue
	for _, h := range in.Evicted {
		c.queue(h)
	}
	if len(in.Evicted) > 0 {
		c.place()
	}
}

func (c *Cluster) finishStep(entity int) {
	c.clock.Set(entity, des.Never)
	p, instance := c.of(entity)
	in := p.instances[instance]
	in.Finish()
	for _, h := range in.Completed {
		c.complete(h)
	}
	c.measureLoop()
	for _, h := range in.Prefilled {
		if c.now < c.cfg.Warmup && c.now+c.handover(h) < c.cfg.Warmup {
			in.Abandon(h)
			c.complete(h)
			continue
		}
		c.atMost++
		c.waiting.push(h)
	}
	c.place()
	c.wake(p, instance)
	if c.most > 0 {
		c.clock.Set(c.arrivalEntity(), c.nextArrival())
	}
}

// handover is the least time that a request's cache is under way.
func (c *Cluster) handover(h int32) des.Time {
	o := &c.cfg.Handover
	bytes := c.prefilling().Spec.Memory.TransferBytes(int64(c.table.At(h).Target))
	return o.Latency + des.FromSeconds(float64(bytes)/min(o.Rate, o.Egress, o.Ingress))
}

// place finds a decode rank for prefilled requests, first come first served, and
// starts moving their cache there. The first that finds none stops those behind it.
func (c *Cluster) place() {
	for !c.waiting.empty() {
		h := c.waiting.first()
		r := c.table.At(h)
		if !c.serving().reserve(h, r) {
			return
		}
		c.waiting.pop()
		r.Queued(c.now)
		c.moving.push(timed{h, r.Since + c.cfg.Handover.Latency, r.Number})
		c.setTransfer()
	}
}

func (c *Cluster) setTransfer() {
	t := c.net.Next()
	if !c.moving.empty() {
		t = min(t, c.moving.first().at)
	}
	c.clock.Set(c.transferEntity(), t)
}

// transfer starts the transfers that are due and ends those that are over: their
// requests are out of the prefill instance, and decode from the next step on; those
// that arrive together join in the order of their numbers.
func (c *Cluster) transfer() {
	from, to := c.prefilling(), c.serving()
	for !c.moving.empty() && c.moving.first().at <= c.now {
		h := c.moving.pop().request
		r := c.table.At(h)
		egress := r.From.Instance*int32(from.Spec.Ranks) + r.From.Rank
		ingress := int32(from.Instances*from.Spec.Ranks) + r.Instance*int32(to.Spec.Ranks) + r.Rank
		links := [2]int32{egress, ingress}
		bytes := from.Spec.Memory.TransferBytes(int64(r.Target))
		c.net.Start(c.now, h, bytes, links[:], c.cfg.Handover.Rate)
	}
	c.done = c.net.Finished(c.now, c.done[:0])
	slices.SortFunc(c.done, func(a, b int32) int {
		return cmp.Compare(c.table.At(a).Number, c.table.At(b).Number)
	})
	for _, h := range c.done {
		r := c.table.At(h)
		source := int(r.From.Instance)
		from.instances[source].HandedOver(h)
		c.wake(from, source)
		to.instances[r.Instance].Join(h)
		c.wake(to, int(r.Instance))
	}
	c.setTransfer()
}

// completion is a request's record when it ends at a moment.
func (c *Cluster) completion(r *serve.Request, at des.Time) metrics.Completion {
	return metrics.Completion{
		Number: r.Number, Arrival: r.Arrival, FirstToken: r.FirstToken, Finish: at,
		Queue: r.Queue, Prefill: r.Prefill, KVTransfer: r.KVTransfer, Decode: r.Decode, Preempted: r.Preempted,
		InputTokens: int64(r.Input), OutputTokens: int64(r.Output), CachedTokens: int64(r.Cached), Gaps: int64(r.Steps),
		Preemptions: r.Preemptions, PrefillInstance: r.PrefillInstance, DecodeInstance: r.Instance,
		Initial: r.Initial || c.now < c.cfg.Warmup, Measured: r.Measured,
	}
}

// complete reports a finished request and frees its slot.
func (c *Cluster) complete(h int32) {
	r := c.table.At(h)
	if c.steadily() {
		c.measureAnswer(r)
	}
	c.completed = c.completion(r, r.Since)
	done := &c.completed
	c.recorder.Complete(done)
	if r.Measured {
		c.finished++
	}
	if c.cfg.OnRequest != nil && !done.Initial {
		c.cfg.OnRequest(done)
	}
	c.table.Free(h)
	c.arrivals.freed(done.Finish)
	if c.arrivals.loop != nil {
		c.clock.Set(c.arrivalEntity(), c.arrivals.at())
	}
}

// begin puts the initial requests into the serving pool as if they had been there
// for long.
func (c *Cluster) begin() {
	p := c.serving()
	for i, initial := range c.cfg.Initial {
		h := c.table.New()
		r := c.table.At(h)
		r.Number = uint64(1)<<63 + uint64(i)
		r.Input, r.Output, r.Initial = initial.Input, initial.Output, true
		r.Plan(c.steps(r.Number, r.Output))
		if r.Steps > 0 {
			r.Resume(min(r.Steps-1, int32(int64(initial.Age)*int64(r.Steps)/int64(r.Output))))
		}
		stays := r.Steps > 0 && c.fits(int64(r.Input)+int64(r.Output))
		if !stays {
			p.view.Turn++ // it takes a turn as those do that need a place
		}
		if !stays || !p.reserve(h, r) {
			c.table.Free(h)
			continue
		}
		r.Since, r.LastToken = c.now, c.now
		c.recorder.Initial()
		p.instances[r.Instance].Join(h)
		c.wake(p, int(r.Instance))
	}
}
