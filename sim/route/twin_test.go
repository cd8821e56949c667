package route_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/net"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/traces"
)

// The twin is a second implementation of the cluster, written to be obviously what
// the packages' comments say rather than to be fast: every request is a struct with
// its own context that grows step by step, and everything that is a sum (loads of
// ranks, cache bytes, cost.Load, queues' loads) is added up from the list of requests
// whenever it is looked at. It shares with the engine only what is a pure function
// (cost.Stepper, cost.Memory, the draws of random numbers), the network, and the
// recorder as a notebook.

// twinState is where a request is on its way.
type twinState int

const (
	twinQueued     twinState = iota // waits for its prompt to be admitted
	twinPrefilling                  // its cache is reserved, chunks of it are processed
	twinWaiting                     // prefilled, for a place to decode
	twinMoving                      // has a place, no byte is on the way
	twinFlying                      // on the way
	twinJoining                     // decodes from the next step on
	twinDecoding
	twinGone
)

// twinSeq is one request.
type twinSeq struct {
	lag            des.Time // of its tokens behind its instance's steps
	number         uint64
	session        uint64
	arrival        des.Time
	input, output  int64
	prefix         []uint64
	steps, done    int64 // decode steps in all and finished
	context, slope int64 // 2^-16 tokens; the token being decoded counts
	target, filled int64
	cached         int64

	state          twinState
	pool           int
	instance, rank int
	held           int64 // bytes reserved where it is, but for decoding
	from           [2]int
	fromHeld       int64 // bytes reserved where it was prefilled
	due            des.Time

	since, first, last                           des.Time
	queue, prefill, transfer, decode, preempted  des.Time
	lost, started, initial, measured, tokenIsOut bool
	known                                        bool // to the scheduler of its instance
	preemptions                                  int32
	prefilledOn                                  int
}

// twin is the naive cluster.
type twin struct {
	cfg      route.Config
	rec      *metrics.Recorder
	now      des.Time
	seqs     []*twinSeq // all requests in flight
	inst     [][]*twinInstance
	turns    []uint64 // requests that a pool has taken
	visits   []visit  // of sessions to the pool that prefills, the last one first
	waiting  []*twinSeq
	moving   []*twinSeq
	net      *net.Net
	moved    float64 // bytes over it that have been booked
	flows    map[int32]*twinSeq
	nextFlow int32

	next    traces.Request
	more    bool
	clients []des.Time
	sent    int64
	number  uint64

	measured, finished int64
	closed             bool
	lastIn, cutAt      des.Time
	warm               bool
	loop               twinLoop

	seen coverage
}

// coverage counts the situations that runs went through.
type coverage [len(situations)]int

const (
	crossing = iota
	eviction
	freshEviction
	standstill
	placeRefused
	admissionRefused
	holding
	prefixHit
	drafted
	chunked
	transferred
	contended
	initial
	single
	dropped
	windowClosed
	early
	simultaneous
	cutOff
	loopMeasured
	queueGrew
	heldBack
	affinity
	uncached
	returning
)

var situations = [...]string{
	crossing:         "a context crosses a break",
	eviction:         "a rank runs out of cache",
	freshEviction:    "a sequence is evicted before its first step",
	standstill:       "prompts run alone",
	placeRefused:     "a prefilled request waits for a place",
	admissionRefused: "a prompt waits for cache",
	holding:          "prompts are held back",
	prefixHit:        "a prompt's head is cached",
	drafted:          "drafts save steps",
	chunked:          "a prompt is cut",
	transferred:      "a cache is handed over",
	contended:        "two transfers at once",
	initial:          "a request decodes at the start",
	single:           "an answer of one token",
	dropped:          "cached blocks make room",
	windowClosed:     "the measured window ends before the run",
	early:            "a prompt is done before the warm-up ends",
	simultaneous:     "two transfers end at one moment",
	cutOff:           "a request is cut off by the end of the run",
	loopMeasured:     "a closed loop is measured between ramp and drain",
	queueGrew:        "the queue grows, and the window is the whole run",
	heldBack:         "what arrives after the measured requests waits outside",
	affinity:         "a cached prefix outweighs load",
	uncached:         "load outweighs a cached prefix",
	returning:        "a session goes back to a rank that is not the least loaded",
}

func newTwin(cfg route.Config, rec *metrics.Recorder) *twin {
	t := &twin{cfg: cfg, rec: rec, turns: make([]uint64, len(cfg.Pools)), flows: map[int32]*twinSeq{}, more: true}
	var ports []float64
	for p, pool := range cfg.Pools {
		t.inst = append(t.inst, nil)
		for range pool.Instances {
			t.inst[p] = append(t.inst[p], newTwinInstance(pool.Spec))
		}
		for range pool.Instances * pool.Spec.Ranks {
			ports = append(ports, []float64{cfg.Handover.Egress, cfg.Handover.Ingress}[p])
		}
	}
	if len(cfg.Pools) == 2 {
		t.net = net.New(ports)
	}
	return t
}

// run goes from event to event: the earliest, and of several at one moment ends of
// steps, then transfers, arrivals, starts of steps, the end of the warm-up.
func (t *twin) run() error {
	if t.cfg.Loop != nil {
		for range t.cfg.Loop.Concurrency {
			t.send(0)
		}
	} else if err := t.read(); err != nil {
		return err
	}
	t.warm = t.cfg.Warmup == 0
	if t.warm || len(t.inst) == 1 {
		t.begin()
	}
	for t.notice(); !t.over(); t.notice() {
		at, act := des.Never, func() {}
		consider := func(when des.Time, f func()) {
			if when < at {
				at, act = when, f
			}
		}
		for p := range t.inst {
			for i, in := range t.inst[p] {
				if in.busy {
					consider(in.end, func() { t.finish(p, i) })
				}
			}
		}
		if t.net != nil {
			consider(t.net.Next(), t.transfers)
			if len(t.moving) > 0 {
				consider(t.moving[0].due, t.transfers)
			}
		}
		var err error
		consider(t.arrivalAt(), func() { err = t.arrive() })
		for p := range t.inst {
			for i, in := range t.inst[p] {
				if in.woken {
					consider(in.wokenAt, func() { t.start(p, i) })
				}
			}
		}
		if !t.warm {
			consider(t.cfg.Warmup, func() {
				t.warm = true
				t.bookMoved()
				t.rec.OpenWindow(t.now)
				t.rec.Restart()
				t.loop.line.Before = t.queued()
				if len(t.inst) == 2 {
					t.begin()
				}
			})
		}
		if at == des.Never {
			if len(t.seqs) > 0 {
				return fmt.Errorf("twin: nothing happens with %d requests in flight", len(t.seqs))
			}
			break
		}
		if t.loop.enough && at > t.now {
			break
		}
		t.now = at
		if act(); err != nil {
			return err
		}
	}
	t.settle()
	t.bookMoved()
	return nil
}

func (t *twin) read() error {
	r, err := t.cfg.Source.Next()
	if errors.Is(err, io.EOF) {
		t.more = false
		return nil
	}
	t.next = r
	t.next.Prefix = slices.Clone(r.Prefix)
	return err
}

func (t *twin) arrive() error {
	r := t.next
	if t.cfg.Loop != nil {
		i := slices.Index(t.clients, slices.Min(t.clients))
		r = t.cfg.Loop.Draw(int64(t.number))
		r.Arrival = t.clients[i]
		t.clients = slices.Delete(t.clients, i, i+1)
	}
	s := t.newSeq(t.number, int64(r.InputTokens), int64(r.OutputTokens))
	s.arrival, s.since, s.prefix, s.session = r.Arrival, r.Arrival, r.Prefix, r.Session
	switch {
	case r.Arrival < t.cfg.Warmup, t.steadily():
	case t.cfg.Measure > 0:
		s.measured = t.measured < t.cfg.Measure
	case t.cfg.MeasureUntil > 0:
		s.measured = r.Arrival < t.cfg.Warmup+t.cfg.MeasureUntil
	default:
		s.measured = true
	}
	if s.measured {
		t.measured++
		t.lastIn = s.arrival
	}
	t.number++
	t.rec.Arrive()
	t.seqs = append(t.seqs, s)
	t.enqueue(s)
	if t.cfg.Loop == nil {
		if err := t.read(); err != nil {
			return err
		}
		if !t.closed && (!t.more || t.enough()) {
			t.lastArrived()
		}
		t.hold()
	}
	return nil
}

// newSeq draws how many decode steps an answer takes; the first token is the
// prefill's.
func (t *twin) newSeq(number uint64, input, output int64) *twinSeq {
	s := &twinSeq{pool: -1, number: number, input: input, output: output, target: input, context: input << 16, steps: output - 1}
	if d := t.cfg.Drafting; d.Drafts > 0 {
		key := des.NewKey(t.cfg.Seed, "drafting")
		u, v := key.Uniform(number, 0), key.Uniform(number, 1)
		s.steps = int64(d.Steps(int32(output-1), math.Sqrt(-2*math.Log(1-u))*math.Cos(2*math.Pi*v)))
		if s.steps < output-1 {
			t.seen[drafted]++
		}
	}
	if s.steps > 0 {
		s.slope = (output - 1) << 16 / s.steps
	}
	return s
}

// begin places the requests that have been decoding before the run.
func (t *twin) begin() {
	p := len(t.inst) - 1
	for i, x := range t.cfg.Initial {
		s := t.newSeq(uint64(1)<<63+uint64(i), int64(x.Input), int64(x.Output))
		if s.steps == 0 {
			t.turns[p]++
			continue
		}
		for _, pool := range t.cfg.Pools {
			if !pool.Spec.Fits(s.input + s.output) {
				panic("twin: the scenario has a request that does not fit")
			}
		}
		s.done = min(s.steps-1, int64(x.Age)*s.steps/s.output)
		s.context += s.done * s.slope
		s.target = s.context >> 16
		instance, rank, ok := t.roomFor(p, s)
		if !ok {
			continue
		}
		s.initial, s.known, s.since, s.last, s.tokenIsOut = true, true, t.now, t.now, true
		s.pool, s.instance, s.rank, s.held, s.state = p, instance, rank, t.bytes(p, s.target), twinJoining
		t.rec.Initial()
		t.seen[initial]++
		t.seqs = append(t.seqs, s)
		t.inst[p][instance].joining = append(t.inst[p][instance].joining, s)
		t.wake(p, instance)
	}
}

func (t *twin) bytes(pool int, tokens int64) int64 {
	return t.cfg.Pools[pool].Spec.Memory.SequenceBytes(tokens)
}

func (t *twin) wake(p, i int) {
	if in := t.inst[p][i]; !in.busy {
		in.woken, in.wokenAt = true, t.now
	}
}

func (t *twin) enqueue(s *twinSeq) {
	instance, rank := t.pick(0, s, t.turns[0])
	t.turns[0]++
	s.pool, s.instance, s.rank, s.state, s.known = 0, instance, rank, twinQueued, false
	in := t.inst[0][instance]
	in.queues[rank] = append(in.queues[rank], s)
	t.wake(0, instance)
}

// place gives the longest waiting requests places to decode until one gets none.
func (t *twin) place() {
	for len(t.waiting) > 0 {
		s, p := t.waiting[0], len(t.inst)-1
		instance, rank, ok := t.roomFor(p, s)
		if !ok {
			t.seen[placeRefused]++
			return
		}
		t.waiting = t.waiting[1:]
		s.from, s.fromHeld = [2]int{s.instance, s.rank}, s.held
		s.pool, s.instance, s.rank, s.held = p, instance, rank, t.bytes(p, s.target)
		s.book(t.now, &s.queue)
		s.state, s.due = twinMoving, s.since+t.cfg.Handover.Latency
		t.moving = append(t.moving, s)
		slices.SortFunc(t.moving, func(a, b *twinSeq) int {
			return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.number, b.number))
		})
	}
}

func (t *twin) transfers() {
	from, to := t.cfg.Pools[0], t.cfg.Pools[1]
	for len(t.moving) > 0 && t.moving[0].due <= t.now {
		s := t.moving[0]
		t.moving = t.moving[1:]
		s.state = twinFlying
		links := []int32{
			int32(s.from[0]*from.Spec.Ranks + s.from[1]),
			int32(from.Instances*from.Spec.Ranks + s.instance*to.Spec.Ranks + s.rank),
		}
		if len(t.flows) > 0 {
			t.seen[contended]++
		}
		t.flows[t.nextFlow] = s
		bytes := from.Spec.Memory.TransferBytes(s.target)
		t.net.Start(t.now, t.nextFlow, bytes, links, t.cfg.Handover.Rate)
		t.nextFlow++
	}
	var arrived []*twinSeq
	for _, id := range t.net.Finished(t.now, nil) {
		arrived = append(arrived, t.flows[id])
		delete(t.flows, id)
	}
	slices.SortFunc(arrived, byNumber)
	if len(arrived) > 1 {
		t.seen[simultaneous]++
	}
	for _, s := range arrived {
		t.seen[transferred]++
		s.fromHeld = 0
		t.wake(0, s.from[0])
		s.state = twinJoining
		t.inst[1][s.instance].joining = append(t.inst[1][s.instance].joining, s)
		t.wake(1, s.instance)
	}
}

// book ends a span now; all between a pre-emption and decoding again is its doing.
func (s *twinSeq) book(now des.Time, span *des.Time) {
	if s.lost && span != &s.decode {
		span = &s.preempted
	}
	now = max(now, s.since)
	*span += now - s.since
	s.since = now
}

func (s *twinSeq) firstToken(now des.Time) {
	if !s.tokenIsOut {
		s.tokenIsOut, s.first, s.last = true, now, now
	}
}

func (t *twin) completion(s *twinSeq, at des.Time) metrics.Completion {
	return metrics.Completion{
		Number: s.number, Arrival: s.arrival, FirstToken: s.first, Finish: at,
		Queue: s.queue, Prefill: s.prefill, KVTransfer: s.transfer, Decode: s.decode, Preempted: s.preempted,
		InputTokens: s.input, OutputTokens: s.output, CachedTokens: s.cached, Gaps: s.steps,
		Preemptions: s.preemptions, PrefillInstance: int32(s.prefilledOn), DecodeInstance: int32(s.instance),
		Initial: s.initial || t.now < t.cfg.Warmup, Measured: s.measured,
	}
}

func (t *twin) complete(s *twinSeq) {
	s.state = twinGone
	t.seqs = slices.DeleteFunc(t.seqs, func(x *twinSeq) bool { return x == s })
	done := t.completion(s, s.since)
	if t.steadily() {
		done.Measured = t.measureAnswer(s, &done)
	}
	t.rec.Complete(&done)
	if done.Measured {
		t.loop.ttft += float64(done.FirstToken - done.Arrival)
		t.loop.ttfts++
	}
	if s.measured {
		t.finished++
	}
	if s.output == 1 {
		t.seen[single]++
	}
	if t.cfg.OnRequest != nil && !done.Initial {
		t.cfg.OnRequest(&done)
	}
	if t.cfg.Loop != nil {
		t.send(done.Finish + t.cfg.Loop.Think(t.sent))
	}
}
