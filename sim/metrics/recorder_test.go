package metrics

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/slo"
)

const ms = des.Time(1e6)

// request makes a completion whose spans add up.
func request(arrival, ttft, tpot des.Time, in, out int64) *Completion {
	c := &Completion{
		Arrival: arrival, FirstToken: arrival + ttft, Finish: arrival + ttft + tpot*des.Time(out-1),
		InputTokens: in, OutputTokens: out, Gaps: out - 1, Measured: true,
	}
	c.Queue = ttft / 3
	c.Prefill = ttft - c.Queue
	c.Decode = c.Finish - c.FirstToken
	return c
}

func testRecorder() *Recorder {
	return NewRecorder(Config{Pools: []string{"prefill", "decode"}, SLO: slo.Default()})
}

func TestDefinitionsOfOneRequest(t *testing.T) {
	r := testRecorder()
	r.Arrive()
	r.Complete(request(5*ms, 300*ms, 20*ms, 4000, 101))
	s := r.Summary(5000 * ms)
	for name, c := range map[string]struct{ got, want float64 }{
		"TTFT": {s.TTFT.P99, 300e6}, "TPOT": {s.TPOT.Mean, 20e6}, "E2E": {s.E2E.Max, 2300e6},
		"queue": {s.Spans.Queue, 100e6}, "prefill": {s.Spans.Prefill, 200e6}, "decode": {s.Spans.Decode, 2000e6},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v ns, want %v", name, c.got, c.want)
		}
	}
	if s.Measured != 1 || s.Good != 1 || s.Requests.InFlight != 0 {
		t.Errorf("measured %d, good %d, %+v", s.Measured, s.Good, s.Requests)
	}
}

func TestSLO(t *testing.T) {
	usual := slo.Default() // 2s/8K and 50ms
	written := slo.Limits{TTFT: slo.TTFT{Limit: 2e9}, TPOT: 50e6}
	drafted := request(0, 100*ms, 20*ms, 100, 11) // 10 tokens after the first, in 4 events
	drafted.Gaps = 4
	for _, c := range []struct {
		name     string
		promised slo.Limits
		req      *Completion
		met      bool
	}{
		{"at both bounds", usual, request(0, 2000*ms, 50*ms, 8192, 10), true},
		{"TTFT a nanosecond over", usual, request(0, 2000*ms+1, 50*ms, 8192, 10), false},
		{"TPOT a nanosecond over", usual, request(0, 2000*ms, 50*ms+1, 8192, 10), false},
		{"twice the prompt, twice the time", usual, request(0, 4000*ms, 50*ms, 16384, 10), true},
		{"twice the prompt, more than twice", usual, request(0, 4000*ms+1, 50*ms, 16384, 10), false},
		{"a short prompt has no less time", usual, request(0, 2000*ms, 50*ms, 1, 10), true},
		{"16K prompt in 3 s, in proportion", usual, request(0, 3000*ms, 50*ms, 16384, 10), true},
		{"16K prompt in 3 s, as written", written, request(0, 3000*ms, 50*ms, 16384, 10), false},
		{"16K prompt in 2 s, as written", written, request(0, 2000*ms, 50*ms, 16384, 10), true},
		{"one token has no TPOT", usual, request(0, 100*ms, 0, 100, 1), true},
		{"no bounds", slo.Limits{}, request(0, 1e6*ms, 1e5*ms, 100, 10), true},
		{"TPOT bound alone", slo.Limits{TPOT: 50e6}, request(0, 1e6*ms, 51*ms, 100, 10), false},
		{"E2E at its bound", slo.Limits{E2E: 300e6}, request(0, 100*ms, 20*ms, 100, 11), true},
		{"E2E a nanosecond over", slo.Limits{E2E: 300e6 - 1}, request(0, 100*ms, 20*ms, 100, 11), false},
		{"events 50 ms apart", slo.Limits{ITL: 50e6}, drafted, true},
		{"events more than 49 ms apart", slo.Limits{ITL: 49e6}, drafted, false},
		{"tokens 20 ms apart all the same", slo.Limits{TPOT: 20e6}, drafted, true},
		{"one token has no gaps", slo.Limits{ITL: 1}, request(0, 100*ms, 0, 100, 1), true},
	} {
		if got := c.req.Met(&c.promised); got != c.met {
			t.Errorf("%s: met is %v", c.name, got)
		}
	}
}

// A request that the end of the run cuts off is judged by what it had, except that its
// end has not been seen: an E2E limit is not kept.
func TestCutRequestKeepsNoLimitOnItsEnd(t *testing.T) {
	for _, c := range []struct {
		promised slo.Limits
		good     int64
	}{{slo.Default(), 1}, {slo.Limits{TPOT: 19e6}, 0}, {slo.Limits{E2E: 3600e9}, 0}} {
		r := NewRecorder(Config{Pools: []string{"serve"}, SLO: c.promised})
		r.Arrive()
		r.Cut(request(0, 100*ms, 20*ms, 100, 11))
		if s := r.Summary(5000 * ms); s.Good != c.good || s.Measured != 1 {
			t.Errorf("%v: %d of %d good, want %d", c.promised, s.Good, s.Measured, c.good)
		}
	}
}

// Goodput and percentiles speak of the same requests: where the median TTFT is beyond a
// limit that is the same for all prompts, no more than half of them can have met it; a
// limit in proportion to the prompt is met by all that meet it as it is written.
func TestGoodputAgreesWithTheMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		written := NewRecorder(Config{Pools: []string{"serve"}, SLO: slo.Limits{TTFT: slo.TTFT{Limit: 2e9}}})
		scaled := NewRecorder(Config{Pools: []string{"serve"}, SLO: slo.Default()})
		for range rapid.IntRange(1, 30).Draw(t, "n") {
			c := request(0, des.Time(rapid.Int64Range(0, 6000).Draw(t, "ms"))*ms, ms, rapid.Int64Range(1, 40_000).Draw(t, "prompt"), 5)
			for _, r := range []*Recorder{written, scaled} {
				r.Arrive()
				r.Complete(c)
			}
		}
		w, s := written.Summary(ms), scaled.Summary(ms)
		if w.TTFT.P50 > 2e9 && 2*w.Good > w.Measured {
			t.Fatalf("%d of %d within 2 s, the median is %v ns", w.Good, w.Measured, w.TTFT.P50)
		}
		if s.Good < w.Good {
			t.Fatalf("%d within 2s/8K, %d within 2s", s.Good, w.Good)
		}
	})
}

// The share of requests within a limit can be read off the live histograms: every limit
// is a bound of its own.
func TestLimitsAreBucketBounds(t *testing.T) {
	promised := slo.Limits{TTFT: slo.TTFT{Limit: 2e9, Per: 8192}, TPOT: 35e6, ITL: 42e6, E2E: 7e9}
	r := NewRecorder(Config{Pools: []string{"serve"}, SLO: promised})
	var s Snapshot
	r.Fill(&s)
	for name, c := range map[string]struct {
		h     Histogram
		bound float64
		fixed []float64
	}{"TTFT": {s.TTFT, 2, ttftBounds}, "TPOT": {s.TPOT, 0.035, tokenBounds}, "ITL": {s.ITL, 0.042, tokenBounds}, "E2E": {s.E2E, 7, e2eBounds}} {
		if !slices.Contains(c.h.Bounds, c.bound) || len(c.h.Bounds) != len(c.fixed)+1 || len(c.h.Bounds) >= MaxBounds || !slices.IsSorted(c.h.Bounds) {
			t.Errorf("%s: bounds %v", name, c.h.Bounds)
		}
	}
	for _, at := range []des.Time{1999 * ms, 2000 * ms, 2001 * ms} {
		r.Arrive()
		r.Complete(request(0, at, 50*ms, 100, 10))
	}
	r.Fill(&s)
	within := int64(0)
	for i, bound := range s.TTFT.Bounds {
		if bound <= 2 {
			within += s.TTFT.Counts[i]
		}
	}
	if within != 2 {
		t.Errorf("%d requests within 2 s by the histogram, want 2", within)
	}
}

func TestInitialAndUnmeasuredAreLeftOutOfLatencies(t *testing.T) {
	r := testRecorder()
	r.Initial()
	initial := &Completion{Arrival: -des.Time(1e9), Finish: 5 * ms, OutputTokens: 9, Initial: true}
	r.Complete(initial)
	r.Arrive()
	warm := request(0, 10*ms, ms, 10, 10)
	warm.Measured = false
	r.Complete(warm)
	s := r.Summary(100 * ms)
	if s.TTFT.Count != 0 || s.Measured != 0 || s.Window.Completed != 2 {
		t.Errorf("measured %d, TTFT %+v, completed %d", s.Measured, s.TTFT, s.Window.Completed)
	}
	var snap Snapshot
	r.Fill(&snap)
	if snap.TTFT.Count != 1 || snap.Requests != (Counts{Initial: 1, Arrived: 1, Completed: 2}) {
		t.Errorf("live TTFT count %d, %+v", snap.TTFT.Count, snap.Requests)
	}
}

func TestSpansThatDoNotAddUpPanic(t *testing.T) {
	for name, spoil := range map[string]func(*Completion){
		"a nanosecond missing":           func(c *Completion) { c.Decode-- },
		"first token before the arrival": func(c *Completion) { c.FirstToken = c.Arrival - 1 },
		"last token before the first":    func(c *Completion) { c.FirstToken = c.Finish + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := request(0, 10*ms, ms, 10, 10)
			c.Number = 4711
			spoil(c)
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "request 4711") {
					t.Errorf("panic %q names no request", text)
				}
			}()
			testRecorder().Complete(c)
		})
	}
}

func TestWindowTakesTheDifference(t *testing.T) {
	r := testRecorder()
	step := &cost.Step{Time: 10, Flops: 100, Bytes: 10, Tau: 1, Hidden: 2}
	step.Causes[cause.Compute], step.Causes[cause.CommLatency] = 7, 3
	step.LinkBytes[1] = 5
	for range 3 { // warm-up
		r.Step(1, Decode, step, 0, 4)
		r.Gaps(50*ms, 4)
	}
	r.Idle(0, 1000)
	r.OpenWindow(100)
	for range 5 {
		r.Step(1, Decode, step, 0, 4)
		r.Gaps(20*ms, 4)
	}
	r.Step(0, Prefill, step, 512, 1)
	r.Idle(0, 30)
	r.Idle(1, 40)
	r.CloseWindow(200)
	r.Step(0, Prefill, step, 512, 1) // after it
	r.Idle(1, 1000)
	r.Gaps(80*ms, 1)

	s := r.Summary(900)
	w := s.Window
	if w.Start != 100 || w.End != 200 || w.PromptTokens != 512 || w.GenerationTokens != 21 {
		t.Errorf("window %+v", w)
	}
	prefill, decode := w.Ledgers[0], w.Ledgers[1]
	if decode.Causes[Decode][cause.Compute] != 35 || decode.Causes[Decode][cause.CommLatency] != 15 || decode.Causes[Decode][cause.Idle] != 40 ||
		decode.Tau[Decode] != 5 || decode.Hidden[Decode] != 10 || decode.Steps[Decode] != 5 ||
		decode.Flops != 500 || decode.Bytes != 50 || decode.LinkBytes[1] != 25 {
		t.Errorf("decode ledger %+v", decode)
	}
	if prefill.Causes[Prefill][cause.Idle] != 30 || prefill.Steps[Prefill] != 1 || prefill.Causes[Decode][cause.Idle] != 0 {
		t.Errorf("prefill ledger %+v", prefill)
	}
	if s.ITL.Count != 20 || s.ITL.Max != float64(20*ms) {
		t.Errorf("ITL %+v", s.ITL)
	}
	var snap Snapshot
	r.Fill(&snap)
	if snap.ITL.Count != 33 || snap.GenerationTokens != 34 || snap.Ledgers[1].Steps[Decode] != 8 {
		t.Errorf("live ITL count %d, tokens %d, steps %d", snap.ITL.Count, snap.GenerationTokens, snap.Ledgers[1].Steps[Decode])
	}
}

func TestWindowNeverClosedEndsNow(t *testing.T) {
	r := testRecorder()
	r.Step(0, Prefill, &cost.Step{}, 7, 1)
	if w := r.Window(42); w.Start != 0 || w.End != 42 || w.PromptTokens != 7 {
		t.Errorf("window %+v", w)
	}
}

func TestSnapshotIsACopy(t *testing.T) {
	r := testRecorder()
	step := &cost.Step{}
	step.Causes[cause.Host] = 5
	r.Step(0, Prefill, step, 1, 1)
	r.Arrive()
	var a Snapshot
	r.Fill(&a)
	r.Step(0, Prefill, step, 1, 1)
	r.Complete(request(0, 10*ms, ms, 10, 10))
	if a.Ledgers[0].Causes[Prefill][cause.Host] != 5 || a.TTFT.Count != 0 || a.Requests.InFlight != 1 {
		t.Errorf("a snapshot moved with its recorder: %+v", a)
	}
}

func TestLiveHistogramAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := testRecorder()
		var ttft []float64
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			// Whole milliseconds, so that values fall on the bounds too.
			v := rapid.Int64Range(0, 3_000_000).Draw(t, "ms")
			r.Arrive()
			r.Complete(request(0, des.Time(v)*ms, ms, 10, 2))
			ttft = append(ttft, float64(v)/1000)
		}
		var snap Snapshot
		r.Fill(&snap)
		if snap.TTFT.Count != int64(len(ttft)) || snap.TPOT.Count != int64(len(ttft)) {
			t.Fatalf("counts %d and %d", snap.TTFT.Count, snap.TPOT.Count)
		}
		var below int64
		for i, bound := range snap.TTFT.Bounds {
			below += snap.TTFT.Counts[i]
			var want int64
			for _, v := range ttft {
				if v <= bound {
					want++
				}
			}
			if below != want {
				t.Fatalf("%d values up to %v, want %d", below, bound, want)
			}
		}
	})
}

func TestBoundsFitAndAscend(t *testing.T) {
	for name, bounds := range map[string][]float64{"ttft": ttftBounds, "token": tokenBounds, "e2e": e2eBounds} {
		if len(bounds) >= MaxBounds || !slices.IsSorted(bounds) {
			t.Errorf("%s: %d bounds, ascending %v", name, len(bounds), slices.IsSorted(bounds))
		}
	}
}

// Whatever the order of events, requests are conserved and the goodput is the share
// that a second count finds.
func TestRecorderCountsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := testRecorder()
		var in, done, good, rejected int64
		var sum float64
		for range rapid.IntRange(0, 50).Draw(t, "events") {
			r.Arrive()
			in++
			switch rapid.IntRange(0, 3).Draw(t, "fate") {
			case 0:
				r.Reject(false)
				rejected++
			case 1:
				ttft := rapid.Int64Range(0, 4000).Draw(t, "ttft")
				tpot := rapid.Int64Range(0, 100).Draw(t, "tpot")
				out := rapid.Int64Range(1, 300).Draw(t, "out")
				r.Complete(request(0, des.Time(ttft)*ms, des.Time(tpot)*ms, 100, out))
				done++
				sum += float64(ttft)
				if ttft <= 2000 && (out == 1 || tpot <= 50) {
					good++
				}
			}
		}
		s := r.Summary(ms)
		if c := s.Requests; c.InFlight != in-done-rejected || s.Measured != done || s.Good != good {
			t.Fatalf("%+v, measured %d, good %d", c, s.Measured, s.Good)
		}
		if done > 0 && math.Abs(s.TTFT.Mean-sum/float64(done)*1e6) > 1 {
			t.Fatalf("mean TTFT %v, want %v", s.TTFT.Mean, sum/float64(done)*1e6)
		}
	})
}

func TestNothingIsAllocatedPerEvent(t *testing.T) {
	r := NewRecorder(Config{Pools: []string{"serve"}, Expect: 10_000})
	step, c := &cost.Step{}, request(0, 100*ms, ms, 10, 10)
	var snap Snapshot
	r.Fill(&snap)
	for name, f := range map[string]func(){
		"Step":     func() { r.Step(0, Decode, step, 0, 64) },
		"Gaps":     func() { r.Gaps(20*ms, 64) },
		"Complete": func() { r.Complete(c) },
		"Idle":     func() { r.Idle(0, 5) },
		"Fill":     func() { r.Fill(&snap) },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	r := testRecorder()
	step := &cost.Step{Time: 10, Flops: 1e12, Bytes: 1e9}
	step.Causes[cause.Compute] = 10
	b.ReportAllocs()
	for b.Loop() {
		r.Step(1, Decode, step, 0, 64)
	}
}

func BenchmarkGaps(b *testing.B) {
	r := testRecorder()
	b.ReportAllocs()
	for i := des.Time(0); b.Loop(); i++ {
		r.Gaps(20*ms+i&0xffff, 64)
	}
}

func BenchmarkComplete(b *testing.B) {
	for name, expect := range map[string]int64{"kept=exact": exactValues, "kept=sketch": 0} {
		b.Run(name, func(b *testing.B) {
			r := NewRecorder(Config{Pools: []string{"serve"}, Expect: expect, SLO: slo.Default()})
			if expect == 0 {
				r.ttft.startSketch()
				r.tpot.startSketch()
				r.e2e.startSketch()
			}
			c := request(0, 100*ms, 20*ms, 4000, 500)
			b.ReportAllocs()
			for i := des.Time(0); b.Loop(); i++ {
				c.FirstToken = 100*ms + i&0xfffff
				c.Queue = c.FirstToken - c.Prefill
				c.Decode = c.Finish - c.FirstToken
				r.Complete(c)
			}
		})
	}
}

func BenchmarkSummary(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		r := NewRecorder(Config{Pools: []string{"serve"}, Expect: 1_000_000})
		c := request(0, 100*ms, 20*ms, 4000, 500)
		for i := range des.Time(1_000_000) {
			c.FirstToken = 100*ms + (i*2654435761)&0xffffff
			c.Queue = c.FirstToken - c.Prefill
			c.Decode = c.Finish - c.FirstToken
			r.Complete(c)
		}
		b.StartTimer()
		r.Summary(0)
	}
	b.ReportMetric(1e6, "requests")
}
