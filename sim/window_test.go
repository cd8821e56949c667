package sim_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

// windowed are small systems, full at a few dozen requests, and answers of a few dozen
// tokens. The engine has no front end, so that what is in flight is what the clients wait
// for.
var windowed = []string{
	`{version: 1, model: llama-3.1-8b, topology: hgx-h100, deployment: {mode: aggregated, engine: ideal, serve: {instances: 1, tp: 1, max_sequences: 24}}, workload: %s}`,
	`{version: 1, model: llama-3.1-8b, topology: hgx-h100, deployment: {mode: disaggregated, engine: ideal, prefill: {instances: 1, tp: 1}, decode: {instances: 2, tp: 1, max_sequences: 16}}, workload: %s}`,
	`{version: 1, model: v4-flash, topology: hgx-h200, deployment: {mode: aggregated, engine: ideal, serve: {instances: 1, dp: 8, ep: 8, max_sequences: 6}, mtp: {drafts: 1}}, workload: %s}`,
	`{version: 1, model: v4-flash, topology: "hgx-h200:16", deployment: {mode: disaggregated, engine: ideal, prefill: {instances: 1, dp: 8, ep: 8}, decode: {instances: 1, dp: 8, ep: 8, max_sequences: 6}}, workload: %s}`,
}

var windowedLengths = []string{
	"input_tokens: 700, output_tokens: 60",
	"input_tokens: 'lognormal(mean=700,p99=2800)', output_tokens: 'lognormal(mean=60,p99=300)'",
}

type windowedKey struct{ system, lengths int }

// windowedRun runs a workload on one of the systems, and is told how many are in flight
// every so often.
func windowedRun(t *testing.T, k windowedKey, workload string, look func(at float64, inFlight int64)) *result.Result {
	var opt sim.Options
	if look != nil {
		opt.ObserveEvents, opt.ObserveInterval = math.MaxInt64, 47_000_003
		opt.Observe = func(s *metrics.Snapshot) bool {
			look(s.Now.Seconds(), s.Requests.InFlight)
			return false
		}
	}
	s, err := scenario.Read("w.yaml", fmt.Appendf(nil, windowed[k.system], "{"+windowedLengths[k.lengths]+", "+workload+"}"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := sim.Run(context.Background(), s, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Rates are of a window in which the system is as it goes on being. Closed loops of any
// number of clients: clients are the rate times the time from one request of a client to its
// next. Open loops: the time-mean of what is in flight in the window is the rate times the
// mean time there. And no run of either kind, nor of an overload however large, has more
// than 1.05 times what the largest closed loop has; 1.2 times with answers of one length,
// of which a closed loop makes waves of prompts and waves of tokens.
func TestRatesAreOfTheWindow(t *testing.T) {
	for system := range windowed {
		for lengths := range windowedLengths {
			k := windowedKey{system, lengths}
			draw := rand.New(rand.NewPCG(14+uint64(system), uint64(lengths)))
			most := windowedRun(t, k, "concurrency: 150, requests: 1", nil).Throughput.RequestsPerS
			closedLoop(t, k, most, draw)
			openLoop(t, k, most, draw)
			overload(t, k, most, draw)
		}
	}
}

// is reports a figure that is not what it should be.
func (k windowedKey) is(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if d := got/want - 1; !(math.Abs(d) <= tolerance) {
		t.Errorf("%+v, %s: %.4g, want %.4g within %g: off by %.3f", k, what, got, want, tolerance, d)
	}
}

func (k windowedKey) within(t *testing.T, what string, r *result.Result, of result.WindowOf, sustained bool, most float64) {
	t.Helper()
	if r.Window.Of != of || r.Window.Sustained != sustained {
		t.Errorf("%+v, %s: %+v", k, what, r.Window)
	}
	above := []float64{1.2, 1.05}[k.lengths]
	if x := r.Throughput.RequestsPerS; x > above*most {
		t.Errorf("%+v, %s: %.4g requests/s, but saturated %.4g", k, what, x, most)
	}
}

func closedLoop(t *testing.T, k windowedKey, most float64, draw *rand.Rand) {
	clients, think := 1+draw.IntN(100), 250*draw.IntN(2)
	what := fmt.Sprintf("concurrency: %d, think_time: %dms, requests: 1000", clients, think)
	r := windowedRun(t, k, what, nil)
	k.is(t, what, r.Throughput.RequestsPerS*(r.Latency.E2E.Mean+float64(think))/1000, float64(clients), 0.05)
	k.within(t, what, r, result.WindowSteady, true, most)
}

func openLoop(t *testing.T, k windowedKey, most float64, draw *rand.Rand) {
	rate := most * (0.1 + 0.7*draw.Float64())
	var at, inFlight []float64
	what := fmt.Sprintf("rate: %.4g, requests: 1500", rate)
	r := windowedRun(t, k, what, func(now float64, n int64) {
		at, inFlight = append(at, now), append(inFlight, float64(n))
	})
	sum, looks := 0.0, 0.0
	for i := range at {
		if at[i] > r.Window.StartS && at[i] <= r.Window.EndS {
			sum, looks = sum+inFlight[i], looks+1
		}
	}
	k.is(t, what, r.Throughput.RequestsPerS*r.Latency.E2E.Mean/1000, sum/looks, 0.05)
	k.is(t, what, r.Throughput.RequestsPerS, rate, 0.1)
	k.within(t, what, r, result.WindowArrivals, true, most)
}

func overload(t *testing.T, k windowedKey, most float64, draw *rand.Rand) {
	what := fmt.Sprintf("rate: %.4g, requests: 800", min(1e9, most*math.Pow(10, 0.3+9*draw.Float64())))
	r := windowedRun(t, k, what, nil)
	k.is(t, what, r.Throughput.RequestsPerS, most, 0.15)
	k.within(t, what, r, result.WindowAll, false, most)
}

// What is served grows with what is offered, up to what the largest closed loop has, and no
// further; and a closed loop has the same rate however many requests are asked for.
func TestRateIsMonotoneAndBounded(t *testing.T) {
	k := windowedKey{0, 1}
	most := windowedRun(t, k, "concurrency: 200, requests: 5000", nil).Throughput.RequestsPerS
	before := 0.0
	for _, load := range []float64{0.25, 0.5, 0.75, 1, 1.5, 10, 1e4, 1e7} {
		what := fmt.Sprintf("rate: %.6g, requests: 2000", load*most)
		r := windowedRun(t, k, what, nil)
		if load >= 1.5 {
			k.within(t, what, r, result.WindowAll, false, most)
		}
		x := r.Throughput.RequestsPerS
		if x < 0.95*before || x > 1.05*most || load >= 1.5 && x < 0.95*most {
			t.Errorf("%s: %.4g requests/s after %.4g; saturated %.4g", what, x, before, most)
		}
		before = max(before, x)
	}
	few := windowedRun(t, k, "concurrency: 64, requests: 1", nil).Throughput.RequestsPerS
	many := windowedRun(t, k, "concurrency: 64, requests: 6000", nil).Throughput.RequestsPerS
	k.is(t, "64 clients", few, many, 0.06)
}

// What is not what a window needs is refused, or answered in words.
func TestRunsEnd(t *testing.T) {
	k := windowedKey{0, 1}
	for _, x := range []struct {
		workload, reason string
		of               result.WindowOf
	}{
		{"rate: 1000000000, requests: 500", "", result.WindowAll},
		{"arrivals: burst, requests: 500", "", result.WindowAll},
		{"concurrency: 20, requests: 500, window: all", "", result.WindowAll},
		{"rate: 200, requests: 500}, limits: {simulated: 5s", "the limit of 5s of simulated time is reached", result.WindowAll},
		{"concurrency: 20, requests: 500}, limits: {events: 2000", "the limit of 2000 events is reached", result.WindowSteady},
	} {
		r := windowedRun(t, k, x.workload, nil)
		if r.Window.Of != x.of || r.Partial != (x.reason != "") || r.Reason != x.reason {
			t.Errorf("%s: window of %s, partial %v %q, want %s, %q", x.workload, r.Window.Of, r.Partial, r.Reason, x.of, x.reason)
		}
		if q := r.Requests; x.reason == "" && q.Measured != 500 && x.of != result.WindowSteady {
			t.Errorf("%s: %+v", x.workload, q)
		}
	}
}
