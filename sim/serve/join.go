package serve

import (
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
)

// Join lets a request decode from the instance's next step on. Its prompt is in
// the cache; what it holds for that is counted by length from then on. One that was
// handed over waits for that step: schedulers look at what has arrived between steps.
func (in *Instance) Join(h int32) { in.pending = append(in.pending, h) }

// join moves the pending requests into their ranks' sums, before a step.
func (in *Instance) join(now des.Time) {
	for _, h := range in.pending {
		in.Release(h)
		r := in.shared.Table.At(h)
		if in.spec.Role == cost.Decode {
			r.takenUp(now)
		}
		if r.lost {
			r.book(now, spanQueue)
			r.lost = false
		}
		r.joinStep = in.step
		in.ranks[r.Rank].running.pushBack(in.shared.Table, h)
		in.count(h, r)
		in.joiners = append(in.joiners, joiner{h, r.Generation})
	}
	in.pending = in.pending[:0]
}

// count adds a sequence to its rank's sums and files what will happen to it.
func (in *Instance) count(h int32, r *Request) {
	rk, load := &in.ranks[r.Rank], &in.loads[r.Rank]
	left := int64(r.Steps - r.StepsDone)
	load.Sequences++
	for j, limit := range in.spec.Breaks {
		limit = fixed(limit)
		if r.Context >= limit {
			load.Context[j] += limit
			continue
		}
		load.Context[j] += r.Context
		rk.slopes[j] += r.Slope
		if steps := (limit - r.Context + r.Slope - 1) / r.Slope; steps <= left {
			in.ring.file(in.step, entry{step: in.step + steps - 1, request: h, generation: r.Generation, what: int8(j)})
		}
	}
	in.ring.file(in.step, entry{step: in.step + left - 1, request: h, generation: r.Generation, what: done})
}

// fixed turns a break in tokens into the fixed point of contexts.
func fixed(limit int64) int64 {
	if limit >= 1<<(62-cost.ContextShift) {
		return 1 << 62
	}
	return limit << cost.ContextShift
}

// cross takes a sequence's growth beyond a break out of its rank's sums, in the
// step in which its context reaches the break.
func (in *Instance) cross(e entry) {
	r := in.shared.Table.At(e.request)
	over := r.Context + (in.step-r.joinStep+1)*r.Slope - fixed(in.spec.Breaks[e.what])
	in.loads[r.Rank].Context[e.what] -= over
	in.ranks[r.Rank].slopes[e.what] -= r.Slope
}

// leave takes a sequence out of its rank's sums after it has decoded steps steps
// here, with its context at that point in them.
func (in *Instance) leave(h int32, steps int64) {
	r := in.shared.Table.At(h)
	rk, load := &in.ranks[r.Rank], &in.loads[r.Rank]
	context := r.Context + steps*r.Slope
	for j, limit := range in.spec.Breaks {
		limit = fixed(limit)
		load.Context[j] -= min(context, limit)
		if context < limit {
			rk.slopes[j] -= r.Slope
		}
	}
	load.Sequences--
	rk.running.remove(in.shared.Table, h)
	r.Generation++
}

// evict stops the sequence that joined a rank last, in a step that has been
// advanced but not begun. Its cache is lost: prompt and answer so far have to be
// prefilled again.
func (in *Instance) evict(rankIndex int, now des.Time) {
	h := in.ranks[rankIndex].running.tail
	r := in.shared.Table.At(h)
	stepsDone := in.step - r.joinStep
	in.leave(h, stepsDone+1)
	r.Context += stepsDone * r.Slope
	r.StepsDone += int32(stepsDone)
	r.Target = int32(r.Context >> cost.ContextShift)
	r.Filled, r.Cached = 0, 0
	r.Preemptions++
	r.book(now+r.Lag, spanDecode)
	r.lost = true
	if stepsDone > 0 {
		r.LastToken = now - in.stalled + r.Lag
	}
	in.shared.Recorder.Preempted()
	if in.spec.Role == cost.Mixed {
		in.ranks[rankIndex].queue.pushFront(in.shared.Table, h)
		in.ranks[rankIndex].seen++
		return
	}
	in.addLoad(rankIndex, -1)
	in.Evicted = append(in.Evicted, h)
}
