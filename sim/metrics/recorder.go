package metrics

import (
	"fmt"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/slo"
)

// Config is what a Recorder must know before the run.
type Config struct {
	// Pools are the pools' names. The idle time of "prefill" is booked on the
	// prefill phase, that of any other pool on decode.
	Pools []string
	SLO   slo.Limits
	// Expect is the number of requests to be measured, 0 when not known. It sizes
	// memory once instead of by doubling, and is Snapshot.Target.
	Expect int64
	// Hardware is that of an instance, by pool, and Links what a package can send
	// through each tier when all do, in bytes/s: what Use is a share of.
	Hardware []Hardware
	Links    []float64
}

// Recorder takes everything that a run reports. Its methods are O(1) and allocate
// nothing in steady state, except Fill and the summaries. It is not safe for
// concurrent use: a scraper reads a Snapshot.
type Recorder struct {
	cfg       Config
	idlePhase []Phase
	counts    Counts
	forgotten Counts // of these, before the run began
	measured  int64
	cut       int64 // of these, cut off by the end of the run
	good      int64
	refused   int64 // measured requests rejected
	spans     Spans

	now    totals // since the start of the run
	opened totals // at the start of the window
	closed totals // at its end, valid when ended
	filled totals // at the last Fill
	start  des.Time
	end    des.Time
	ended  bool

	before, inside, after gapLog  // ITL before the window, in it and after it
	gaps                  *gapLog // where the next gap goes

	ttft, tpot, e2e             Sample
	ttftSeen, tpotSeen, e2eSeen tally
	gapBounds                   []float64

	prefixQueries, prefixHits, preemptions int64
	kvPeak                                 []int64
}

// totals are the counters that a window takes the difference of.
type totals struct {
	completed                      int64
	promptTokens, generationTokens int64
	ledgers                        []Ledger
}

// Spans are sums of the measured requests' spans in nanoseconds, as floats because
// the requests of a long run have more of them than an int64 holds.
type Spans struct {
	Queue, Prefill, KVTransfer, Decode, Preempted float64
}

// NewRecorder makes a recorder whose window is open from time 0.
func NewRecorder(cfg Config) *Recorder {
	r := &Recorder{
		cfg:       cfg,
		idlePhase: make([]Phase, len(cfg.Pools)),
		now:       totals{ledgers: make([]Ledger, len(cfg.Pools))},
		opened:    totals{ledgers: make([]Ledger, len(cfg.Pools))},
		closed:    totals{ledgers: make([]Ledger, len(cfg.Pools))},
		filled:    totals{ledgers: make([]Ledger, len(cfg.Pools))},
		kvPeak:    make([]int64, len(cfg.Pools)),
		ttft:      newSample(cfg.Expect),
		tpot:      newSample(cfg.Expect),
		e2e:       newSample(cfg.Expect),
		ttftSeen:  newTally(withLimit(ttftBounds, cfg.SLO.TTFT.Limit)),
		tpotSeen:  newTally(withLimit(tokenBounds, cfg.SLO.TPOT)),
		e2eSeen:   newTally(withLimit(e2eBounds, cfg.SLO.E2E)),
		gapBounds: withLimit(tokenBounds, cfg.SLO.ITL),
	}
	for i, name := range cfg.Pools {
		r.idlePhase[i] = Decode
		if name == PhaseNames[Prefill] {
			r.idlePhase[i] = Prefill
		}
	}
	r.gaps = &r.inside
	return r
}

// Arrive counts a request that reached the router.
func (r *Recorder) Arrive() { r.counts.Arrived++ }

// Initial counts a request that was in flight at the start.
func (r *Recorder) Initial() { r.counts.Initial++ }

// Reject counts an arrived request that can never be served; a measured one counts
// against the goodput.
func (r *Recorder) Reject(measured bool) {
	r.counts.Rejected++
	if measured {
		r.refused++
	}
}

// Step books one step of an instance of a pool, at its end: its time by cause, and
// the prompt tokens it processed and output tokens it emitted.
func (r *Recorder) Step(pool int, phase Phase, s *cost.Step, promptTokens, outputTokens int64) {
	l := &r.now.ledgers[pool]
	causes := &l.Causes[phase]
	for i, t := range s.Causes {
		causes[i] += int64(t)
	}
	l.Tau[phase] += int64(s.Tau)
	l.Hidden[phase] += int64(s.Hidden)
	l.Steps[phase]++
	l.Flops += s.Flops
	l.Bytes += s.Bytes
	for i, b := range s.LinkBytes {
		l.LinkBytes[i] += b
	}
	r.now.promptTokens += promptTokens
	r.now.generationTokens += outputTokens
}

// Idle books time in which an instance of a pool had nothing to do. Before
// OpenWindow and CloseWindow the idle time of every instance up to that moment must
// have been booked, so that it falls on the right side.
func (r *Recorder) Idle(pool int, ns int64) {
	r.now.ledgers[pool].Causes[r.idlePhase[pool]][cause.Idle] += ns
}

// Moved books bytes that went from one pool's chips to another's over a tier, outside of
// steps. As with Idle, what has been moved by an edge of the window must have been booked
// there.
func (r *Recorder) Moved(from, to, tier int, bytes float64) {
	l := &r.now.ledgers[from]
	l.LinkBytes[tier] += bytes
	l.Sent[tier] += bytes
	r.now.ledgers[to].Received[tier] += bytes
}

// Gaps books n output events that came dt after their sequences' previous ones.
func (r *Recorder) Gaps(dt des.Time, n int64) { r.gaps.add(dt, n) }

// Prefix counts look-ups of prompt blocks in the prefix cache, and how many hit.
func (r *Recorder) Prefix(queries, hits int64) {
	r.prefixQueries += queries
	r.prefixHits += hits
}

// Preempted counts a sequence that lost its place to make room.
func (r *Recorder) Preempted() { r.preemptions++ }

// KVPeak says how many bytes of KV cache a pool's instances hold together now; the
// largest is kept.
func (r *Recorder) KVPeak(pool int, bytes int64) {
	r.kvPeak[pool] = max(r.kvPeak[pool], bytes)
}

// Complete books a finished request. Only measured ones count in latencies, spans
// and goodput; one that was in flight at the start has no TTFT and is left out of
// the live histograms too.
func (r *Recorder) Complete(c *Completion) {
	r.counts.Completed++
	r.now.completed++
	if c.Initial {
		return
	}
	ttft, e2e := c.FirstToken-c.Arrival, c.Finish-c.Arrival
	tpot, several := c.TPOT()
	r.ttftSeen.add(float64(ttft))
	r.e2eSeen.add(float64(e2e))
	if several {
		r.tpotSeen.add(tpot)
	}
	if c.Measured {
		r.measure(c, float64(e2e), float64(ttft), tpot, several)
		if c.Met(&r.cfg.SLO) {
			r.good++
		}
	}
}

// Cut books a measured request that is still decoding when the run ends: its TPOT so
// far, its TTFT, and as E2E the time since its arrival, which it will exceed. What it
// will exceed cannot be promised: with a limit on E2E it counts as one that missed it.
func (r *Recorder) Cut(c *Completion) {
	tpot, several := c.TPOT()
	r.cut++
	r.measure(c, float64(c.Finish-c.Arrival), float64(c.FirstToken-c.Arrival), tpot, several)
	if r.cfg.SLO.E2E == 0 && c.Met(&r.cfg.SLO) {
		r.good++
	}
}

// E2EP99 is the 99th percentile of the end-to-end latencies measured so far.
func (r *Recorder) E2EP99() des.Time { return des.Time(r.e2e.Quantiles().P99) }

// MeanTTFT is the mean time to the first token of the requests measured so far.
func (r *Recorder) MeanTTFT() des.Time { return des.Time(r.ttft.mean()) }

func (r *Recorder) measure(c *Completion, e2e, ttft, tpot float64, several bool) {
	if sum := c.Queue + c.Prefill + c.KVTransfer + c.Decode + c.Preempted; float64(sum) != e2e || ttft < 0 || c.Finish < c.FirstToken {
		panic(fmt.Sprintf("metrics: request %d: spans sum to %d ns, arrival %d, first token %d, finish %d", c.Number, sum, c.Arrival, c.FirstToken, c.Finish))
	}
	r.measured++
	r.ttft.Add(ttft)
	r.e2e.Add(e2e)
	if several {
		r.tpot.Add(tpot)
	}
	r.spans.Queue += float64(c.Queue)
	r.spans.Prefill += float64(c.Prefill)
	r.spans.KVTransfer += float64(c.KVTransfer)
	r.spans.Decode += float64(c.Decode)
	r.spans.Preempted += float64(c.Preempted)
}

// TPOT is the mean time per output token after the first in nanoseconds; a request
// of one token has none.
func (c *Completion) TPOT() (ns float64, ok bool) {
	if c.OutputTokens <= 1 {
		return 0, false
	}
	return float64(c.Finish-c.FirstToken) / float64(c.OutputTokens-1), true
}

// Met reports whether a request had the latency promised to it.
func (c *Completion) Met(promised *slo.Limits) bool {
	had := slo.Latency{Prompt: c.InputTokens, TTFT: float64(c.FirstToken - c.Arrival), E2E: float64(c.Finish - c.Arrival)}
	had.TPOT, _ = c.TPOT()
	if c.Gaps > 0 {
		had.ITL = float64(c.Finish-c.FirstToken) / float64(c.Gaps)
	}
	return promised.Met(&had)
}
