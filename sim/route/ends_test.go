package route_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/traces"
)

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func conserved(t *testing.T, c metrics.Counts) {
	t.Helper()
	if c.Initial+c.Arrived != c.Completed+c.Rejected+c.Lost+c.InFlight {
		t.Errorf("not conserved: %+v", c)
	}
}

func TestRequestThatNeverFits(t *testing.T) {
	for _, cfg := range []route.Config{aggregated(t, 6, 1, nil), disaggregated(t, 6, 1, 1)} {
		requests := append(evenly(3, 1000, 100, 10), traces.Request{Arrival: 5000, InputTokens: 2_000_000_000, OutputTokens: 7})
		cfg.Source = &fixedSource{requests: requests}
		_, err := route.NewCluster(cfg, recorder(&cfg)).Run(t.Context())
		var long *route.TooLongError
		if !errors.As(err, &long) {
			t.Fatalf("got %v, want a TooLongError", err)
		}
		s := cfg.Pools[0].Spec
		want := route.TooLongError{
			Number: 3, Input: 2_000_000_000, Output: 7, Pool: cfg.Pools[0].Name,
			Need: s.Memory.SequenceBytes(2_000_000_007), Have: s.Memory.Free - s.Watermark,
		}
		if *long != want || !strings.Contains(err.Error(), "request 4: 2000000000 prompt and 7 output tokens") {
			t.Errorf("got %+v (%v), want %+v", *long, err, want)
		}
	}
}

// The longest request that is let in is served, also when it has to share.
func TestLongestRequestThatFits(t *testing.T) {
	for _, cfg := range []route.Config{aggregated(t, 0, 1, nil), disaggregated(t, 0, 1, 1)} {
		for i := range cfg.Pools {
			s := cfg.Pools[i].Spec
			s.Memory.Free = s.Memory.SequenceBytes(300) + s.StepGrowth()
			s.Watermark = s.StepGrowth()
		}
		last := int64(300)
		for cfg.Pools[len(cfg.Pools)-1].Spec.Fits(last + 1) {
			last++
		}
		cfg.Source = &fixedSource{requests: evenly(5, 0, int32(last-200), 200)}
		got, sum := simulate(t, cfg)
		if len(got) != 5 {
			t.Errorf("%d of 5 requests of %d tokens completed", len(got), last)
		}
		conserved(t, sum.Requests)
	}
}

func TestCancelledRunIsPartial(t *testing.T) {
	for _, cfg := range []route.Config{aggregated(t, 1, 2, nil), disaggregated(t, 1, 1, 2)} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Source = &fixedSource{requests: busy(20_000, 1e5, 16)}
		completed := 0
		cfg.OnRequest = func(*metrics.Completion) {
			if completed++; completed == 100 {
				cancel()
			}
		}
		rec := recorder(&cfg)
		c := route.NewCluster(cfg, rec)
		partial, err := c.Run(ctx)
		sum := rec.Summary(c.Now())
		if !partial || err != nil || completed < 100 || completed > 5000 || c.InFlight() == 0 || int64(completed) != sum.Requests.Completed {
			t.Errorf("partial %v, error %v, %d completed, %d in flight, %+v", partial, err, completed, c.InFlight(), sum.Requests)
		}
		if sum.Requests.InFlight != c.InFlight() {
			t.Errorf("%d in flight, the recorder has %d", c.InFlight(), sum.Requests.InFlight)
		}
		conserved(t, sum.Requests)
	}
}

func TestObserverStopsARun(t *testing.T) {
	cfg := disaggregated(t, 1, 1, 2)
	cfg.Source = &fixedSource{requests: busy(2000, 1e6, 16)}
	cfg.ObserveEvents = 10
	looks := 0
	var last metrics.Snapshot
	cfg.Observe = func(s *metrics.Snapshot) bool {
		looks++
		conserved(t, s.Requests)
		if s.Now < last.Now || s.Events != int64(looks)*10 || len(s.Instances) != 3 {
			t.Errorf("look %d: %d ns after %d, event %d, %d instances", looks, s.Now, last.Now, s.Events, len(s.Instances))
		}
		for _, in := range s.Instances {
			if in.Running < 0 || in.Waiting < 0 || in.KVUsed < 0 || in.KVUsed > in.KVCapacity {
				t.Errorf("look %d: %+v", looks, in)
			}
		}
		last = *s
		return looks == 50
	}
	rec := recorder(&cfg)
	c := route.NewCluster(cfg, rec)
	if partial, err := c.Run(t.Context()); !partial || err != nil || looks != 50 || c.Events() != 500 {
		t.Errorf("partial %v, error %v, %d looks, %d events", partial, err, looks, c.Events())
	}
	conserved(t, rec.Summary(c.Now()).Requests)
}

func TestEmptySource(t *testing.T) {
	for _, cfg := range []route.Config{aggregated(t, 0, 2, nil), disaggregated(t, 0, 1, 1)} {
		cfg.Source = &fixedSource{}
		got, sum := simulate(t, cfg)
		if len(got) != 0 || sum.Window.End != 0 || sum.Requests != (metrics.Counts{}) {
			t.Errorf("%d completed, %+v", len(got), sum)
		}
	}
}

// failing is a source that breaks.
type failing struct {
	fixedSource
	after int
}

var errBroken = errors.New("line 3: broken")

func (f *failing) Next() (traces.Request, error) {
	if f.at == f.after {
		return traces.Request{}, errBroken
	}
	return f.fixedSource.Next()
}

func TestBrokenSource(t *testing.T) {
	for after := range 3 {
		cfg := aggregated(t, 0, 1, nil)
		cfg.Source = &failing{fixedSource{requests: evenly(5, 100, 10, 3)}, after}
		if _, err := route.NewCluster(cfg, recorder(&cfg)).Run(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("after %d requests: %v, want the source's error", after, err)
		}
	}
	if _, err := (&fixedSource{}).Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Answers of one token come out of the prefill: nothing decodes, nothing is handed
// over.
func TestAnswersOfOneToken(t *testing.T) {
	for _, cfg := range []route.Config{aggregated(t, 1, 2, nil), disaggregated(t, 1, 2, 2)} {
		cfg.Source = &fixedSource{requests: evenly(200, 100_000, 50, 1)}
		got, sum := simulate(t, cfg)
		for i := range got {
			if c := &got[i]; c.FirstToken != c.Finish || c.Decode != 0 || c.KVTransfer != 0 {
				t.Fatal(describe(c))
			}
		}
		if w := sum.Window; len(got) != 200 || w.GenerationTokens != 200 || w.PromptTokens != 200*50 || sum.ITL.Count != 0 {
			t.Errorf("%d completed, %+v", len(got), w)
		}
		for i, l := range sum.Window.Ledgers {
			if l.Steps[metrics.Decode] != 0 {
				t.Errorf("pool %d: %d decode steps", i, l.Steps[metrics.Decode])
			}
		}
	}
}

// The smallest deployment there is: one rank, one row a step, one place.
func TestOneOfEverything(t *testing.T) {
	small := func(s *serve.Spec) { s.MaxTokens, s.MaxSequences = 1, 1 }
	one, two := aggregated(t, 0, 1, small), disaggregated(t, 0, 1, 1)
	small(two.Pools[0].Spec)
	small(two.Pools[1].Spec)
	for _, cfg := range []route.Config{one, two} {
		cfg.Source = &fixedSource{requests: evenly(20, 10, 5, 4)}
		got, sum := simulate(t, cfg)
		for i := range got {
			if got[i].Number != uint64(i) {
				t.Errorf("request %d was completion %d", got[i].Number, i)
			}
		}
		if w := sum.Window; len(got) != 20 || w.PromptTokens != 100 || w.GenerationTokens != 80 {
			t.Errorf("%d completed, %+v", len(got), w)
		}
		if n := sum.Window.Ledgers[0].Steps[metrics.Prefill]; n != 100 {
			t.Errorf("%d prefill steps of one row, want 100", n)
		}
	}
}

// The loop of events allocates nothing for a request: twice as many, no more.
func TestRequestsDoNotAllocate(t *testing.T) {
	length, err := traces.Uniform(1, 60)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []route.Config{aggregated(t, 1, 2, nil), disaggregated(t, 1, 1, 2)} {
		cfg.OnRequest = func(*metrics.Completion) {}
		allocations := func(n int64) uint64 {
			cfg.Loop = &traces.ClosedLoop{Concurrency: 40, Requests: n, Input: length, Output: length, Seed: 1}
			rec := metrics.NewRecorder(metrics.Config{Pools: []string{"prefill", "decode"}, Expect: 40_000})
			c := route.NewCluster(cfg, rec)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if partial, err := c.Run(context.Background()); partial || err != nil {
				t.Fatal(partial, err)
			}
			runtime.ReadMemStats(&after)
			return after.Mallocs - before.Mallocs
		}
		allocations(20_000) // fills the tables of the cost model
		few, many := allocations(20_000), allocations(40_000)
		if many > few+200 {
			t.Errorf("%d pools: %d allocations for 20,000 requests, %d for 40,000", len(cfg.Pools), few, many)
		}
	}
}
