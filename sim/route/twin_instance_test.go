package route_test

import (
	"math"
	"slices"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/serve"
)

// twinInstance is the naive serving engine.
type twinInstance struct {
	spec      *serve.Spec
	busy      bool
	end       des.Time
	began     des.Time
	woken     bool
	wokenAt   des.Time
	sinceLook int64 // decode steps

	patience, gathered int64 // steps for which prompts have been held back

	queues  [][]*twinSeq // by rank, first come first served
	running [][]*twinSeq // by rank, in the order of joining
	joining []*twinSeq
	caches  []*twinCache

	step     cost.Step
	chunks   []twinChunk
	prompt   int64
	emitted  int64 // 2^-16 tokens decoded since the beginning
	reported int64 // whole tokens of them already reported
	kv       int64 // bytes when it last looked
	work     [][2]des.Time
}

type twinChunk struct {
	s *twinSeq
	n int64
}

// serveSums are a rank's sums over its decoding requests.
type serveSums struct {
	n       int64
	context [models.MaxBreaks]int64
}

func (x *serveSums) add(breaks []int64, context int64) {
	x.n++
	for j, limit := range breaks {
		if limit < 1<<40 {
			x.context[j] += min(context, limit<<16)
		} else {
			x.context[j] += context
		}
	}
}

func newTwinInstance(spec *serve.Spec) *twinInstance {
	in := &twinInstance{spec: spec, queues: make([][]*twinSeq, spec.Ranks), running: make([][]*twinSeq, spec.Ranks)}
	for range spec.Ranks {
		in.caches = append(in.caches, &twinCache{block: int64(spec.BlockTokens)})
	}
	in.sinceLook = spec.PollSteps // it looks at once
	return in
}

// start begins a step when there is anything to do.
func (t *twin) start(p, i int) {
	in := t.inst[p][i]
	in.woken = false
	if in.busy {
		return
	}
	t.joins(in)
	t.look(in)
	loads := make([]cost.Load, in.spec.Ranks)
	in.chunks, in.prompt, in.kv = nil, 0, 0
	if in.spec.PrefillFirst {
		for r := range in.running {
			if len(in.queues[r]) > 0 {
				t.fill(p, i, r, &loads[r], in.spec.MaxTokens)
			}
			in.prompt += loads[r].ChunkTokens
		}
		if in.prompt > 0 {
			t.promptsAlone(p, i, loads)
			return
		}
	}
	for r := range in.running {
		for _, s := range in.running[r] {
			t.grow(in, s)
		}
	}
	var evicted []*twinSeq
	work, held := false, in.spec.PrefillFirst || t.holdsBack(p, i)
	for r := range in.running {
		_, holders := t.holding(p, i, r)
		if holders == 0 && len(in.queues[r]) == 0 {
			continue
		}
		for len(in.running[r]) > 0 {
			if used, _ := t.holding(p, i, r); used <= in.spec.Memory.Free {
				break
			}
			if s := t.evict(in, r); in.spec.Role == cost.Decode {
				evicted = append(evicted, s)
			}
		}
		if !held {
			t.fill(p, i, r, &loads[r], in.spec.MaxTokens-int64(len(in.running[r]))*in.spec.DecodeRows)
		}
		used, _ := t.holding(p, i, r)
		if in.caches[r].shrink(in.spec, used) {
			t.seen[dropped]++
		}
		in.kv += used
		var sums serveSums
		for _, s := range in.running[r] {
			sums.add(in.spec.Breaks, s.context)
			in.emitted += s.slope
		}
		loads[r].Sequences, loads[r].Context = sums.n, sums.context
		in.prompt += loads[r].ChunkTokens
		work = work || loads[r].Sequences+loads[r].Chunks > 0
	}
	t.peak(p)
	if work {
		t.runs(in, loads)
	}
	for _, s := range evicted {
		t.enqueue(s)
	}
	if len(evicted) > 0 {
		t.place()
	}
}

// look shows the scheduler what has arrived since it last did.
func (t *twin) look(in *twinInstance) {
	due := in.sinceLook >= in.spec.PollSteps
	if due {
		in.sinceLook = 0
	}
	for r := range in.queues {
		prefilling := slices.ContainsFunc(in.queues[r], func(s *twinSeq) bool { return s.state == twinPrefilling })
		for _, s := range in.queues[r] {
			s.known = s.known || due || len(in.running[r]) == 0 && !prefilling
		}
	}
}

// promptsAlone runs a step of prompts; what decodes waits.
func (t *twin) promptsAlone(p, i int, loads []cost.Load) {
	in := t.inst[p][i]
	t.seen[standstill]++
	for r := range in.running {
		used, _ := t.holding(p, i, r)
		if in.caches[r].shrink(in.spec, used) {
			t.seen[dropped]++
		}
		in.kv += used
	}
	t.peak(p)
	t.runs(in, loads)
}

func (t *twin) peak(p int) {
	all := int64(0)
	for _, in := range t.inst[p] {
		all += in.kv
	}
	t.rec.KVPeak(p, all)
}

func (t *twin) runs(in *twinInstance, loads []cost.Load) {
	in.step = in.spec.Stepper.Step(loads)
	in.busy, in.began, in.end = true, t.now, t.now+in.step.Time
	in.work = append(in.work, [2]des.Time{t.now, in.end})
}

func (t *twin) joins(in *twinInstance) {
	for _, s := range in.joining {
		s.held, s.state, s.started = 0, twinDecoding, false
		if in.spec.Role == cost.Decode {
			s.lag = 0
			s.book(t.now, &s.transfer)
			s.firstToken(t.now)
		}
		if s.lost {
			s.book(t.now, &s.queue)
			s.lost = false
		}
		in.running[s.rank] = append(in.running[s.rank], s)
	}
	in.joining = nil
}

// grow lets a request's context grow by a step.
func (t *twin) grow(in *twinInstance, s *twinSeq) {
	before := s.context
	s.context += s.slope
	for _, limit := range in.spec.Breaks {
		if limit < 1<<40 && before < limit<<16 && s.context >= limit<<16 {
			t.seen[crossing]++
		}
	}
}

// evict takes the request that joined a rank last out of the step that begins. What
// it has generated is kept and prefilled again with its prompt.
func (t *twin) evict(in *twinInstance, r int) *twinSeq {
	last := len(in.running[r]) - 1
	s := in.running[r][last]
	in.running[r] = in.running[r][:last]
	t.seen[eviction]++
	if !s.started {
		t.seen[freshEviction]++
	}
	s.context -= s.slope
	s.target, s.filled, s.cached = s.context>>16, 0, 0
	s.preemptions++
	s.book(t.now+s.lag, &s.decode)
	s.lost = true
	t.rec.Preempted()
	s.state = twinQueued
	if in.spec.Role == cost.Mixed {
		first := 0
		for first < len(in.queues[r]) && in.queues[r][first].state == twinPrefilling {
			first++
		}
		in.queues[r] = slices.Insert(in.queues[r], first, s)
	} else {
		s.pool = -1 // until it is queued again
	}
	return s
}

// noRoom: the step has nothing left for a prompt, or not enough for one that is not to be
// cut, of which the first always has room.
func (in *twinInstance) noRoom(s *twinSeq, budget int64, first bool) bool {
	if in.spec.WholePrompts {
		return !first && s.target-s.filled > budget
	}
	return budget <= 0
}

// takes is how much of a prompt goes into what is left of a step.
func (in *twinInstance) takes(s *twinSeq, budget int64) int64 {
	if in.spec.WholePrompts {
		return s.target - s.filled
	}
	return min(budget, s.target-s.filled)
}

// holdsBack: no prompt begins or goes on in this step, while others decode.
func (t *twin) holdsBack(p, i int) bool {
	in := t.inst[p][i]
	offers, decoders, rows := 0, 0, int64(0)
	for r := range in.running {
		tokens := t.offer(p, i, r)
		if tokens > 0 {
			offers++
		}
		if len(in.running[r]) > 0 {
			decoders++
		}
		rows += tokens + int64(len(in.running[r]))*in.spec.DecodeRows
	}
	ranks := len(in.running)
	wait, balance := in.spec.BatchWait, in.spec.Balance
	held := false
	switch {
	case in.spec.Role == cost.Decode:
	case ranks == 1 && wait.Steps > 0 && offers == 1 && decoders == 1:
		held = in.patience < int64(wait.Steps) && float64(rows) < wait.Share*float64(in.spec.MaxTokens)
		in.patience++
		if !held {
			in.patience = 0
		}
	case ranks > 1 && balance.Steps > 0 && offers == ranks:
		in.patience = 0
		if decoders == ranks {
			held = in.gathered < int64(balance.Gather)
			in.gathered = (in.gathered + 1) % int64(balance.Gather+1)
		}
	case ranks > 1 && balance.Steps > 0:
		in.patience++
		held = in.patience < int64(balance.Steps) && decoders == ranks
		if !held {
			in.patience = 0
		}
	}
	if held && offers > 0 {
		t.seen[holding]++
	}
	return held
}

// offer is how many prompt tokens a rank could take into the step that begins.
func (t *twin) offer(p, i, r int) (tokens int64) {
	in := t.inst[p][i]
	budget := in.spec.MaxTokens - int64(len(in.running[r]))*in.spec.DecodeRows
	for n, s := range in.queues[r] {
		if n == 0 && s.state == twinQueued && s.known && !t.admits(p, i, r, t.bytes(p, s.target)) {
			return 0
		}
		left := budget - tokens
		if s.state == twinQueued && !s.known || in.noRoom(s, left, tokens == 0) {
			break
		}
		tokens += in.takes(s, left)
	}
	return tokens
}

// fill hands out a budget of rows, first come first served.
func (t *twin) fill(p, i, r int, load *cost.Load, budget int64) {
	in := t.inst[p][i]
	for k, s := range in.queues[r] {
		if in.noRoom(s, budget, k == 0) {
			return
		}
		if s.state == twinQueued {
			bytes := t.bytes(p, s.target)
			if !s.known {
				return
			}
			if !t.admits(p, i, r, bytes) {
				t.seen[admissionRefused]++
				return
			}
			s.state, s.held, s.prefilledOn = twinPrefilling, bytes, i
			s.book(t.now, &s.queue)
			t.reuse(in, s)
		}
		n := in.takes(s, budget)
		budget -= n
		if n < s.target-s.filled {
			t.seen[chunked]++
		}
		in.chunks = append(in.chunks, twinChunk{s, n})
		load.ChunkTokens += n
		load.Chunks++
		load.Prefix += s.filled
		for position := s.filled + 1; position <= s.filled+n; position++ {
			for j, limit := range in.spec.Breaks {
				load.Pairs[j] += min(position, limit)
			}
		}
		if s.filled+n == s.target {
			load.LastChunks++
		}
	}
}

func (t *twin) reuse(in *twinInstance, s *twinSeq) {
	if in.spec.BlockTokens == 0 || len(s.prefix) == 0 || in.spec.Role == cost.Decode {
		return
	}
	blocks := in.caches[s.rank].match(s.prefix)
	s.cached = in.caches[s.rank].saved(blocks, s.target)
	s.filled = s.cached
	t.rec.Prefix(int64(len(s.prefix)), int64(blocks))
	if s.cached > 0 {
		t.seen[prefixHit]++
	}
}

// finish ends a step: tokens come out, requests end or go on.
func (t *twin) finish(p, i int) {
	in := t.inst[p][i]
	in.busy = false
	in.sinceLook++
	if in.prompt > 0 {
		in.sinceLook = in.spec.PollSteps
	}
	var over, onward []*twinSeq
	if !in.spec.PrefillFirst || in.prompt == 0 {
		over = t.decoded(in)
	}
	first := int64(0)
	for k, c := range in.chunks {
		s := c.s
		if s.filled += c.n; s.filled < s.target {
			continue
		}
		in.queues[s.rank] = slices.DeleteFunc(in.queues[s.rank], func(x *twinSeq) bool { return x == s })
		s.lag = in.pipelineLag(k)
		s.book(t.now+s.lag, &s.prefill)
		if in.spec.BlockTokens > 0 && len(s.prefix) > 0 {
			in.caches[s.rank].insert(s.prefix)
		}
		if s.preemptions == 0 {
			first++
		}
		switch {
		case s.output == 1:
			s.firstToken(s.since)
			s.held = 0
			over = append(over, s)
		case in.spec.Role == cost.Mixed:
			s.firstToken(s.since)
			s.state = twinJoining
			in.joining = append(in.joining, s)
		default:
			s.state = twinWaiting
			onward = append(onward, s)
		}
	}
	phase := metrics.Decode
	if in.prompt > 0 {
		phase = metrics.Prefill
	}
	emitted := in.emitted>>16 - in.reported
	in.reported += emitted
	t.rec.Step(p, phase, &in.step, in.prompt, emitted+first)
	for _, s := range over {
		t.complete(s)
	}
	for _, s := range onward {
		way := float64(in.spec.Memory.TransferBytes(s.target)) / min(t.cfg.Handover.Rate, t.cfg.Handover.Egress, t.cfg.Handover.Ingress)
		if t.now < t.cfg.Warmup && t.now+t.cfg.Handover.Latency+des.FromSeconds(way) < t.cfg.Warmup {
			t.seen[early]++
			s.firstToken(s.since)
			t.complete(s)
			continue
		}
		t.waiting = append(t.waiting, s)
	}
	t.place()
	t.wake(p, i)
	t.hold()
}

// decoded gives every running sequence its token; those whose last it was are over.
func (t *twin) decoded(in *twinInstance) (over []*twinSeq) {
	for r := range in.running {
		for _, s := range in.running[r] {
			t.rec.Gaps(t.now+s.lag-s.last, 1)
			s.last, s.started = t.now+s.lag, true
			if s.done++; s.done == s.steps {
				over = append(over, s)
			}
		}
		in.running[r] = slices.DeleteFunc(in.running[r], func(s *twinSeq) bool { return s.done == s.steps })
	}
	slices.SortFunc(over, byNumber)
	for _, s := range over {
		s.book(t.now+s.lag, &s.decode)
	}
	return over
}

// pipelineLag is when the micro-batch that ends chunk k's prompt leaves the pipeline,
// after the step's end, when a rank's N tokens go in micro-batches of ⌈N/PP⌉.
func (in *twinInstance) pipelineLag(k int) des.Time {
	upTo, all := int64(0), int64(0)
	for i, c := range in.chunks {
		if c.s.rank == in.chunks[k].s.rank {
			all += c.n
			if i <= k {
				upTo += c.n
			}
		}
	}
	size := int64(math.Ceil(float64(all) / float64(in.spec.Stages)))
	before := int64(0) // micro-batches
	for upTo > size {
		upTo -= size
		before++
	}
	return in.step.Time * des.Time(before) / des.Time(in.spec.Stages)
}

// idle is the time in a window in which a pool's instances had nothing to do. A
// step that is under way when the window ends is work to its end.
func (t *twin) idle(p int, from, to des.Time) (ns int64) {
	for _, in := range t.inst[p] {
		free := from
		for _, w := range in.work {
			if w[0] > free && free < to {
				ns += int64(min(w[0], to) - free)
			}
			free = max(free, w[1])
		}
		if free < to {
			ns += int64(to - free)
		}
	}
	return ns
}
