package serve

import (
	"cmp"
	"slices"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
)

// Start begins a step at now, when there is anything to do. Evicted then lists the
// sequences of a decode instance that ran out of cache.
func (in *Instance) Start(now des.Time) bool {
	in.Completed, in.Prefilled, in.Evicted = in.Completed[:0], in.Prefilled[:0], in.Evicted[:0]
	in.join(now)
	in.look()
	in.promptTokens, in.decoding = 0, 0
	if in.spec.PrefillFirst && in.promptsAlone(now) {
		return true
	}
	in.advance()
	work, kv := false, int64(0)
	held := in.spec.PrefillFirst || in.holdsBack()
	for i := range in.ranks {
		if in.vacant(i) {
			continue
		}
		used := in.used(i)
		for used > in.spec.Memory.Free && in.loads[i].Sequences > 0 {
			in.evict(i, now)
			used = in.used(i)
		}
		load, rk := &in.loads[i], &in.ranks[i]
		used -= rk.held
		if !held {
			in.fill(i, in.spec.MaxTokens-load.Sequences*in.spec.DecodeRows, now)
		}
		in.shrink(i, used+rk.held)
		kv += used + rk.held
		in.decoding += load.Sequences
		in.promptTokens += load.ChunkTokens
		in.outTokens += rk.slopes[0]
		work = work || load.Sequences+load.Chunks > 0
	}
	in.holds(kv)
	if !work {
		return false
	}
	in.run(now, in.loads)
	return true
}

// run begins a step of these loads.
func (in *Instance) run(now des.Time, loads []cost.Load) {
	in.shared.Recorder.Idle(in.spec.Pool, int64(now-in.idle))
	in.now = in.spec.Stepper.Step(loads)
	in.Busy, in.End = true, now+in.now.Time
}

// look takes what has arrived into the queues that the scheduler sees: every
// PollSteps decode steps, after a step with prompts, and where there is nothing else
// to do (SGLang's receive skipper).
func (in *Instance) look() {
	all := in.unseen >= in.spec.PollSteps
	if all {
		in.unseen = 0
	}
	for i := range in.ranks {
		if rk := &in.ranks[i]; all || in.loads[i].Sequences+rk.prefilling == 0 {
			rk.seen = rk.queue.count
		}
	}
}

// promptsAlone begins a step of waiting prompts, when any can be held; decoding
// sequences stand still meanwhile. A rank without prompts waits for the others.
func (in *Instance) promptsAlone(now des.Time) bool {
	for i := range in.ranks {
		in.fill(i, in.spec.MaxTokens, now)
		in.promptTokens += in.loads[i].ChunkTokens
	}
	if in.promptTokens == 0 {
		return false
	}
	kv := int64(0)
	for i := range in.ranks {
		used := in.used(i)
		in.shrink(i, used)
		kv += used
		in.alone[i] = in.loads[i]
		in.alone[i].Sequences, in.alone[i].Context = 0, [models.MaxBreaks]int64{}
	}
	in.holds(kv)
	in.run(now, in.alone)
	return true
}

// vacant reports that a rank holds nothing and waits for nothing: most ranks of a
// lightly loaded supernode.
func (in *Instance) vacant(rankIndex int) bool {
	rk := &in.ranks[rankIndex]
	return rk.held == 0 && rk.queue.count == 0 && in.loads[rankIndex].Sequences == 0
}

// advance lets every decoding sequence's context grow by one step: the sums grow
// by their slopes, less what this step's crossings take out.
func (in *Instance) advance() {
	for i := range in.loads {
		if load, slopes := &in.loads[i], &in.ranks[i].slopes; load.Sequences > 0 {
			for j := range slopes {
				load.Context[j] += slopes[j]
			}
		}
	}
	in.entries, in.finishing = in.ring.take(in.step, in.entries[:0]), in.finishing[:0]
	for _, e := range in.entries {
		if in.shared.Table.At(e.request).Generation != e.generation {
			continue
		}
		if e.what == done {
			in.finishing = append(in.finishing, e)
		} else {
			in.cross(e)
		}
	}
}

// fill gives a rank's waiting prompts a budget of rows, first come first served; the
// first that cannot be held, or gets nothing, stops those behind it.
func (in *Instance) fill(rankIndex int, budget int64, now des.Time) {
	rk, load := &in.ranks[rankIndex], &in.loads[rankIndex]
	h := rk.queue.head
	for i := range rk.seen {
		r := in.shared.Table.At(h)
		if in.share(int64(r.Target-r.Filled), budget, i == 0) == 0 || r.Held == 0 && !in.begin(r, now) {
			return
		}
		n := in.share(int64(r.Target-r.Filled), budget, i == 0) // a prefix that was there is taken off
		in.addChunk(load, h, r, n)
		budget -= n
		h = r.next
	}
}

// begin admits a waiting prompt: its cache is reserved whole.
func (in *Instance) begin(r *Request, now des.Time) bool {
	bytes := in.spec.Memory.SequenceBytes(int64(r.Target))
	if !in.admits(int(r.Rank), bytes) {
		return false
	}
	in.hold(r, bytes)
	in.ranks[r.Rank].prefilling++
	r.PrefillInstance = int32(in.id)
	r.book(now, spanQueue)
	in.reuse(r)
	return true
}

func (in *Instance) addChunk(load *cost.Load, h int32, r *Request, n int64) {
	load.ChunkTokens += n
	load.Chunks++
	load.Prefix += int64(r.Filled)
	for j, limit := range in.spec.Breaks {
		load.Pairs[j] += cost.PairSum(int64(r.Filled), n, limit)
	}
	if int64(r.Filled)+n == int64(r.Target) {
		load.LastChunks++
	}
	in.chunks = append(in.chunks, chunk{h, int32(n)})
}

// Finish ends the step in progress: tokens are emitted, prompts that are complete
// go on to decode here or are handed over (Prefilled), and requests whose last
// token this was are Completed, in the order of their numbers.
func (in *Instance) Finish() {
	now := in.End
	in.Completed, in.Prefilled, in.Evicted = in.Completed[:0], in.Prefilled[:0], in.Evicted[:0]
	in.Busy, in.idle = false, now
	in.unseen++
	if in.promptTokens > 0 {
		in.unseen = in.spec.PollSteps
	}
	if in.spec.PrefillFirst && in.promptTokens > 0 {
		in.stalled += in.now.Time
		in.report(in.finishChunks(now))
		return
	}
	in.gaps(now)
	in.stalled = 0
	for _, e := range in.finishing {
		r := in.shared.Table.At(e.request)
		if r.Generation != e.generation {
			continue
		}
		in.leave(e.request, in.step-r.joinStep+1)
		r.book(now+r.Lag, spanDecode)
		in.addLoad(int(r.Rank), -1)
		in.Completed = append(in.Completed, e.request)
	}
	slices.SortFunc(in.Completed, func(a, b int32) int {
		return cmp.Compare(in.shared.Table.At(a).Number, in.shared.Table.At(b).Number)
	})
	first := in.finishChunks(now)
	in.report(first)
	in.step++
}

// gaps records the time between output events of the sequences that decoded.
func (in *Instance) gaps(now des.Time) {
	old := in.decoding
	for _, j := range in.joiners {
		if r := in.shared.Table.At(j.request); r.Generation == j.generation {
			in.shared.Recorder.Gaps(now+r.Lag-r.LastToken, 1)
			old--
		}
	}
	in.joiners = in.joiners[:0]
	in.shared.Recorder.Gaps(in.now.Time+in.stalled, old)
}

// finishChunks books the prompts' progress and returns how many first tokens came
// out of it.
func (in *Instance) finishChunks(now des.Time) (first int64) {
	rank, tokens := int32(-1), int64(0)
	for _, c := range in.chunks {
		r := in.shared.Table.At(c.request)
		if r.Rank != rank {
			rank, tokens = r.Rank, 0
		}
		tokens += int64(c.tokens)
		r.Filled += c.tokens
		if in.spec.Role == cost.Prefill {
			in.addLoad(int(r.Rank), -int64(c.tokens))
		}
		if r.Filled < r.Target {
			continue
		}
		rk := &in.ranks[r.Rank]
		rk.queue.remove(in.shared.Table, c.request)
		rk.prefilling--
		rk.seen--
		r.Lag = in.fillLag(tokens, in.loads[r.Rank].ChunkTokens)
		r.book(now+r.Lag, spanPrefill)
		in.keep(r)
		if r.Preemptions == 0 {
			first++
		}
		in.prefilled(c.request, r)
	}
	for i := range in.loads {
		if l := &in.loads[i]; l.Chunks > 0 {
			l.ChunkTokens, l.Chunks, l.LastChunks, l.Prefix = 0, 0, 0, 0
			l.Pairs = [len(l.Pairs)]int64{}
		}
	}
	in.chunks = in.chunks[:0]
	return first
}

// fillLag is by how much a prompt that ends at so many of a rank's tokens in a step
// leaves a pipeline after the step's end. A step of T is one cycle: its tokens enter
// in Stages micro-batches T/Stages apart, each takes T through all stages, and the
// next step's follow behind them. Micro-batches are of equal tokens, rounded up.
func (in *Instance) fillLag(tokens, all int64) des.Time {
	stages := in.spec.Stages
	if stages == 1 {
		return 0
	}
	size := (all + stages - 1) / stages
	return in.now.Time * des.Time((tokens-1)/size) / des.Time(stages)
}

// prefilled sends a request whose prompt is in the cache on its way.
func (in *Instance) prefilled(h int32, r *Request) {
	switch {
	case r.Output == 1:
		r.firstToken(r.Since)
		in.Release(h)
		if in.spec.Role == cost.Mixed {
			in.addLoad(int(r.Rank), -1)
		}
		in.Completed = append(in.Completed, h)
	case in.spec.Role == cost.Mixed:
		r.firstToken(r.Since)
		in.Join(h)
	default:
		in.Prefilled = append(in.Prefilled, h)
	}
}

// report books the step in the ledger.
func (in *Instance) report(firstTokens int64) {
	phase := metrics.Decode
	if in.promptTokens > 0 {
		phase = metrics.Prefill
	}
	whole := in.outTokens >> cost.ContextShift
	in.outTokens -= whole << cost.ContextShift
	in.shared.Recorder.Step(in.spec.Pool, phase, &in.now, in.promptTokens, whole+firstTokens)
}

// holds brings the pool's account of cache bytes up to date.
func (in *Instance) holds(kv int64) {
	*in.shared.KVBytes += kv - in.kv
	in.kv = kv
	in.shared.Recorder.KVPeak(in.spec.Pool, *in.shared.KVBytes)
}
