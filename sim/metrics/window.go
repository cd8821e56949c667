package metrics

import (
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/des"
)

// Window is what happened in the measured window.
type Window struct {
	Start, End                     des.Time
	Completed                      int64
	PromptTokens, GenerationTokens int64
	Ledgers                        []Ledger // one a pool
}

// OpenWindow starts the measured window now: what was booked before is left out of
// throughput, the ledger and ITL.
func (r *Recorder) OpenWindow(now des.Time) {
	r.start = now
	r.opened.copyFrom(&r.now)
	r.before.merge(&r.inside)
	r.inside = gapLog{}
	r.gaps = &r.inside
	r.ended = false
}

// CloseWindow ends the measured window now: what is booked later is left out.
func (r *Recorder) CloseWindow(now des.Time) {
	r.end = now
	r.closed.copyFrom(&r.now)
	r.gaps = &r.after
	r.ended = true
}

// ExtendWindow takes back the end of the window: it goes on as if it had never ended.
func (r *Recorder) ExtendWindow() {
	if r.ended {
		r.inside.merge(&r.after)
		r.after, r.gaps, r.ended = gapLog{}, &r.inside, false
	}
}

// Restart makes what is in flight now the requests that a run begins with, and forgets
// those before; live counters go on.
func (r *Recorder) Restart() {
	r.forgotten = r.Counts()
	r.forgotten.Initial -= r.forgotten.InFlight
}

// Requests are the counts of the run since the last Restart.
func (r *Recorder) Requests() Counts {
	c, f := r.Counts(), &r.forgotten
	c.Initial -= f.Initial
	c.Arrived -= f.Arrived
	c.Completed -= f.Completed
	c.Rejected -= f.Rejected
	c.Lost -= f.Lost
	return c
}

// WindowTime is when the window began and when it ends, the second now when it is open.
func (r *Recorder) WindowTime(now des.Time) (start, end des.Time) {
	if r.ended {
		now = r.end
	}
	return r.start, now
}

// Window is the measured window; one that was never closed ends now.
func (r *Recorder) Window(now des.Time) Window {
	end, at := &r.now, now
	if r.ended {
		end, at = &r.closed, r.end
	}
	w := Window{
		Start: r.start, End: at,
		Completed:        end.completed - r.opened.completed,
		PromptTokens:     end.promptTokens - r.opened.promptTokens,
		GenerationTokens: end.generationTokens - r.opened.generationTokens,
		Ledgers:          make([]Ledger, len(end.ledgers)),
	}
	for i := range w.Ledgers {
		w.Ledgers[i] = end.ledgers[i].minus(&r.opened.ledgers[i])
	}
	return w
}

func (t *totals) copyFrom(from *totals) {
	ledgers := append(t.ledgers[:0], from.ledgers...)
	*t = *from
	t.ledgers = ledgers
}

// minus is what a ledger gained since an earlier state of it.
func (l Ledger) minus(before *Ledger) Ledger {
	for p := range NumPhases {
		for c := range cause.Count {
			l.Causes[p][c] -= before.Causes[p][c]
		}
		l.Tau[p] -= before.Tau[p]
		l.Hidden[p] -= before.Hidden[p]
		l.Steps[p] -= before.Steps[p]
	}
	l.Flops -= before.Flops
	l.Bytes -= before.Bytes
	for i := range l.LinkBytes {
		l.LinkBytes[i] -= before.LinkBytes[i]
		l.Sent[i] -= before.Sent[i]
		l.Received[i] -= before.Received[i]
	}
	return l
}

// Add adds another ledger, so that pools can be summed.
func (l *Ledger) Add(o *Ledger) {
	for p := range NumPhases {
		for c := range cause.Count {
			l.Causes[p][c] += o.Causes[p][c]
		}
		l.Tau[p] += o.Tau[p]
		l.Hidden[p] += o.Hidden[p]
		l.Steps[p] += o.Steps[p]
	}
	l.Flops += o.Flops
	l.Bytes += o.Bytes
	for i := range l.LinkBytes {
		l.LinkBytes[i] += o.LinkBytes[i]
		l.Sent[i] += o.Sent[i]
		l.Received[i] += o.Received[i]
	}
}

// Summary is everything a Recorder knows that a result needs.
type Summary struct {
	Window                                 Window
	Requests                               Counts
	Cut                                    int64 // measured requests that the end of the run cut off
	Measured, Good                         int64 // measured requests completed; those that met the SLO
	Refused                                int64 // measured requests rejected
	Spans                                  Spans
	KnownTTFT, KnownTPOT, KnownE2E         Precision // of their 99th percentiles
	TTFT, TPOT, ITL, E2E                   Quantiles
	PrefixQueries, PrefixHits, Preemptions int64
	KVPeak                                 []int64 // bytes, one a pool
}

// P99Error is how well the 99th percentile of a latency should be known: half of its 95 %
// interval as a share of it.
const P99Error = 0.1

// Summary sums up at the end of a run. It sorts what was recorded: nothing may be
// booked afterwards.
func (r *Recorder) Summary(now des.Time) Summary {
	return Summary{
		Window: r.Window(now), Requests: r.Requests(),
		Measured: r.measured, Cut: r.cut, Good: r.good, Refused: r.refused, Spans: r.spans,
		KnownTTFT: r.ttft.Precision(0.99, P99Error, true), KnownTPOT: r.tpot.Precision(0.99, P99Error, true),
		KnownE2E: r.e2e.Precision(0.99, P99Error, false), // by far the most of it is the answer's length
		TTFT:     r.ttft.Quantiles(), TPOT: r.tpot.Quantiles(), ITL: r.inside.quantiles(), E2E: r.e2e.Quantiles(),
		PrefixQueries: r.prefixQueries, PrefixHits: r.prefixHits, Preemptions: r.preemptions,
		KVPeak: r.kvPeak,
	}
}

// Counts are the requests so far; those not accounted for otherwise are in flight,
// a number that the engine must find when it counts its own.
func (r *Recorder) Counts() Counts {
	c := r.counts
	c.InFlight = c.Initial + c.Arrived - c.Completed - c.Rejected - c.Lost
	return c
}

// Fill copies the counters into a snapshot, reusing its slices; the engine adds
// Now, Events, TargetTime and Instances. A snapshot that has been handed to another
// goroutine must not be filled again.
func (r *Recorder) Fill(s *Snapshot) {
	s.Target = r.cfg.Expect
	s.Requests = r.Counts()
	s.Measured = r.measured
	s.PromptTokens, s.GenerationTokens = r.now.promptTokens, r.now.generationTokens
	s.PrefixQueries, s.PrefixHits, s.Preemptions = r.prefixQueries, r.prefixHits, r.preemptions
	s.Pools = r.cfg.Pools
	s.Ledgers = append(s.Ledgers[:0], r.now.ledgers...)
	s.TTFT, s.TPOT, s.E2E = r.ttftSeen.histogram(), r.tpotSeen.histogram(), r.e2eSeen.histogram()
	s.ITL = newHistogram(r.gapBounds)
	r.inside.into(&s.ITL)
	r.before.into(&s.ITL)
	r.after.into(&s.ITL)
	s.Use.since(&r.cfg, r.filled.ledgers, r.now.ledgers)
	r.filled.copyFrom(&r.now)
}

// Seconds is the instances' time that a ledger covers, idle time included.
func (l *Ledger) Seconds() float64 {
	all, _ := l.time()
	return float64(all) / 1e9
}

// busy is the share of that time that is in steps.
func (l *Ledger) busy() float64 {
	all, idle := l.time()
	return share(float64(all-idle), float64(all))
}

// time is the ledger's in nanoseconds, and the idle part of it.
func (l *Ledger) time() (all, idle int64) {
	for p := range NumPhases {
		for _, t := range l.Causes[p] {
			all += t
		}
		idle += l.Causes[p][cause.Idle]
	}
	return all, idle
}
