package serve

import (
	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/kv"
	"github.com/clustersim/clustersim/sim/metrics"
)

// Spec is what all instances of a pool have in common; it does not change.
type Spec struct {
	Pool         int
	Role         cost.Role
	Stepper      *cost.Stepper
	Memory       cost.Memory
	Ranks        int
	Breaks       []int64 // of the model; Breaks[0] is unlimited
	MaxTokens    int64   // rows of a rank and step: decoding ones first, then prompt chunks
	MaxSequences int64   // running on a rank
	Stages       int64   // of the pipeline: PP
	DecodeRows   int64   // rows a decoding sequence takes: 1 + drafts
	PollSteps    int64   // decode steps between two looks at what has arrived
	PrefillFirst bool    // prompts run in steps of their own, before decoding
	WholePrompts bool    // a prompt is not cut, unless it is longer than MaxTokens
	BatchWait    cost.BatchWait
	Balance      cost.Balance
	Watermark    int64 // KV bytes of a rank kept free when a request is admitted: growth, and what a step's windows take
	RankChips    int   // ranks of the topology that one attention rank spans: TP·CP·PP
	BlockTokens  int   // of the prefix cache; 0 for none
	BlockBytes   int64 // a block's KV bytes on a rank
}

// watermarkShare is the share of a rank's KV cache that admission leaves free, so
// that running sequences can grow (vLLM's scheduler default: 0.01).
const watermarkShare = 100

// NewSpec derives a pool's numbers from its cost model. blockTokens is the block of
// the trace's prefix ids, 0 when it has none.
func NewSpec(pool int, stepper *cost.Stepper, blockTokens int) *Spec {
	c := stepper.Config()
	s := &Spec{
		Pool: pool, Role: c.Role, Stepper: stepper, Memory: stepper.Memory(), Ranks: c.Layout.DP, Breaks: c.Model.Breaks,
		MaxTokens: int64(c.MaxTokens), MaxSequences: int64(c.MaxSequences), DecodeRows: int64(1 + c.Drafts), Stages: int64(c.Layout.PP),
		PollSteps: int64(max(1, c.Engine.PollSteps)), PrefillFirst: c.Engine.PrefillFirst && c.Role == cost.Mixed, BlockTokens: blockTokens,
		WholePrompts: c.Engine.WholePrompts, BatchWait: c.Engine.BatchWait, Balance: c.Engine.Balance,
		RankChips: c.Layout.TP * c.Layout.CP * c.Layout.PP,
	}
	s.Watermark = max(s.Memory.Free/watermarkShare, s.StepGrowth())
	if s.Prefills() { // a step of fewer tokens where the windows of a full one would take half of the cache
		s.Watermark = max(s.Watermark, min(s.Memory.InFlight(), s.Memory.Free/2))
	}
	if blockTokens > 0 {
		long := c.Model.MaxContext
		s.BlockBytes = max(1, s.Memory.SequenceBytes(long+int64(blockTokens))-s.Memory.SequenceBytes(long))
	}
	return s
}

// StepGrowth is the most KV bytes by which a sequence grows in a step: growth is
// steepest at the start, where no window is full. A watermark of at least this much
// lets one of the sequences that fit decode a step before any has to give way, so
// that pre-emption cannot go round in circles.
func (s *Spec) StepGrowth() int64 {
	return s.Memory.SequenceBytes(s.DecodeRows) - s.Memory.SequenceBytes(0) + 1
}

// Fits reports whether a request of so many tokens in all can ever be held.
func (s *Spec) Fits(tokens int64) bool {
	return s.Memory.SequenceBytes(tokens)+s.Watermark <= s.Memory.Free
}

// Prefills reports whether instances compute prompts.
func (s *Spec) Prefills() bool { return s.Role != cost.Decode }

// KeepsPrefixes reports whether their ranks keep the blocks of prompts for later ones.
func (s *Spec) KeepsPrefixes() bool { return s.Prefills() && s.BlockTokens > 0 }

// QueueLoad is what a request adds to a rank's load on the board when it is queued or
// given a place there: what is left of its prompt where prompts are all there is to do.
func (s *Spec) QueueLoad(r *Request) int64 {
	if s.Role == cost.Prefill {
		return int64(r.Target - r.Filled)
	}
	return 1
}

// Shared is the run's state that instances work on.
type Shared struct {
	Table    *Table
	Board    *Board
	Recorder *metrics.Recorder
	KVBytes  *int64 // bytes held in the pool, all ranks together
}

// Instance is one serving engine: ranks that step together, continuous batching,
// chunked prefill, a KV cache on each rank. A decode step costs O(ranks + what
// changes), whatever the batch: each rank keeps the sums that costs depend on, and
// what happens to a sequence is filed under the step in which it will happen.
type Instance struct {
	spec   *Spec
	shared Shared
	id     int // in the pool

	loads []cost.Load // of the step in progress, one a rank
	alone []cost.Load // its prompts, when they run alone
	ranks []rank
	ring  *ring
	step  int64 // steps in which sequences could decode
	now   cost.Step
	// unseen are the decode steps since the last look at what has arrived; stalled is
	// the time since the last of them.
	unseen  int64
	stalled des.Time
	kv      int64 // bytes held on all ranks

	Busy bool
	End  des.Time // of the step in progress
	idle des.Time // since when there was nothing to do

	pending                []int32 // to decode from the next step on
	chunks                 []chunk
	entries                []entry
	finishing              []entry
	joiners                []joiner // decode for the first time in the step in progress
	promptTokens, decoding int64    // of the step in progress
	waited, gathered       int64    // steps for which prompts have been held back, of either kind
	outTokens              int64    // decoded tokens not yet reported, 2^-cost.ContextShift

	// What the last Start and Finish gave to the outside, in a fixed order.
	Completed, Prefilled, Evicted []int32
}

// rank is one attention rank: a queue of prompts, running sequences, a cache.
type rank struct {
	queue      list
	running    list
	slopes     [models.MaxBreaks]int64 // by how much load.Context grows a step
	held       int64                   // KV bytes of requests that do not decode here (prefilling, arriving, handed off)
	admitted   int64                   // requests that hold KV without decoding
	prefilling int64                   // of them, those in the queue
	seen       int64                   // at the head of the queue: those that the scheduler knows of
	prefix     *kv.Prefix              // nil when prompts share nothing
}

// joiner is a sequence in its first step here.
type joiner struct {
	request    int32
	generation uint32
}

// chunk is a part of a prompt in the step in progress.
type chunk struct {
	request int32
	tokens  int32
}

// New makes an idle instance.
func New(spec *Spec, shared Shared, id int) *Instance {
	in := &Instance{
		spec: spec, shared: shared, id: id,
		loads: make([]cost.Load, spec.Ranks), alone: make([]cost.Load, spec.Ranks), ranks: make([]rank, spec.Ranks),
		ring: newRing(), unseen: int64(spec.PollSteps),
	}
	for i := range in.ranks {
		in.ranks[i].queue, in.ranks[i].running = emptyList(), emptyList()
	}
	if spec.KeepsPrefixes() {
		in.enablePrefix(spec.BlockTokens)
	}
	return in
}

// Enqueue puts a request at the end of a rank's prefill queue.
func (in *Instance) Enqueue(h int32, rankIndex int) {
	r := in.shared.Table.At(h)
	r.Instance, r.Rank = int32(in.id), int32(rankIndex)
	in.ranks[rankIndex].queue.pushBack(in.shared.Table, h)
	in.addLoad(rankIndex, in.spec.QueueLoad(r))
}

func (in *Instance) addLoad(rankIndex int, delta int64) {
	in.shared.Board.Add(in.id, rankIndex, delta)
}

// Reserve holds KV bytes on a rank for a request that is to decode there, when a
// place and the bytes are free. The request counts as load from now on.
func (in *Instance) Reserve(h int32, rankIndex int, bytes int64) bool {
	if !in.admits(rankIndex, bytes) {
		return false
	}
	r := in.shared.Table.At(h)
	r.From = Place{r.Instance, r.Rank, r.Held}
	r.Instance, r.Rank = int32(in.id), int32(rankIndex)
	in.hold(r, bytes)
	in.addLoad(rankIndex, 1)
	return true
}

// HandedOver gives back what a request held where it was prefilled.
func (in *Instance) HandedOver(h int32) {
	from := in.shared.Table.At(h).From
	in.ranks[from.Rank].held -= from.Held
	in.ranks[from.Rank].admitted--
}

// Abandon ends a request whose prompt has been prefilled, without decoding it.
func (in *Instance) Abandon(h int32) {
	in.Release(h)
	r := in.shared.Table.At(h)
	r.firstToken(r.Since)
}

// Emitted is how many tokens of a request's answer are out while it decodes here, in how
// many steps those after the first came, and the end of the last of these.
func (in *Instance) Emitted(h int32) (tokens, steps int64, at des.Time) {
	r := in.shared.Table.At(h)
	at = in.idle // the last step's end, when it has just ended
	if in.Busy {
		at = in.End - in.now.Time
	}
	if in.spec.PrefillFirst { // prompts may have run alone since
		at = max(at-in.stalled, r.Since-r.Lag)
	}
	since := in.step - r.joinStep
	tokens = 1 + (r.Context+since*r.Slope-int64(r.Input)<<cost.ContextShift)>>cost.ContextShift
	return tokens, int64(r.StepsDone) + since, at + r.Lag
}

// BookIdle books the time without work up to now, when a measured window begins or
// ends.
func (in *Instance) BookIdle(now des.Time) {
	if !in.Busy {
		in.shared.Recorder.Idle(in.spec.Pool, int64(now-in.idle))
		in.idle = now
	}
}

// admits reports whether a rank has a place and bytes for one more request.
func (in *Instance) admits(rankIndex int, bytes int64) bool {
	rk, load := &in.ranks[rankIndex], &in.loads[rankIndex]
	if load.Sequences+rk.admitted >= in.spec.MaxSequences {
		return false
	}
	return in.used(rankIndex)+bytes+in.spec.Watermark <= in.spec.Memory.Free
}

// used is the KV bytes a rank holds now.
func (in *Instance) used(rankIndex int) int64 {
	load := &in.loads[rankIndex]
	used := in.ranks[rankIndex].held
	if load.Sequences > 0 {
		used += in.spec.Memory.KVBytes(load.Context, load.Sequences)
	}
	return used
}

// hold reserves KV bytes for a request that does not decode yet.
func (in *Instance) hold(r *Request, bytes int64) {
	rk := &in.ranks[r.Rank]
	r.Held = bytes
	rk.held += bytes
	rk.admitted++
}

// Release gives back what a request held without decoding: its prompt has been
// handed over, or it is about to decode.
func (in *Instance) Release(h int32) {
	r := in.shared.Table.At(h)
	rk := &in.ranks[r.Rank]
	rk.held -= r.Held
	rk.admitted--
	r.Held = 0
}

// Running is the number of requests that hold cache: decoding, prefilling, handed off.
func (in *Instance) Running() (n int64) {
	for i := range in.ranks {
		n += in.loads[i].Sequences + in.ranks[i].admitted
	}
	return n
}

// Waiting is the number of requests in the queues that hold no cache yet.
func (in *Instance) Waiting() (n int64) {
	for i := range in.ranks {
		n += in.ranks[i].queue.count - in.ranks[i].prefilling
	}
	return n
}

// KV is the bytes held on all ranks.
func (in *Instance) KV() int64 { return in.kv }
