package sim

import (
	"context"
	"testing"

	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

// No more requests decode at a stationary start than the prefill pool can have sent
// there: a system offered ten times what it can do does not look, in the measured
// window, as if it did more than one offered just that.
func TestOverloadDoesNotRaiseThroughput(t *testing.T) {
	at := func(rate float64) *result.Result {
		s := &scenario.Scenario{
			Version: scenario.Version, Model: "v4-flash", Topology: "hgx-b200:32", Seed: 1,
			Deployment: scenario.Deployment{
				Mode:    "disaggregated",
				Prefill: &scenario.Pool{Instances: 5, TP: 1, DP: 4, EP: 4, PP: 1, CP: 1},
				Decode:  &scenario.Pool{Instances: 3, TP: 1, DP: 4, EP: 4, PP: 1, CP: 1},
			},
			Workload: &scenario.Workload{Profile: "chat", Rate: rate, Requests: 2000, Start: "stationary"},
		}
		r, err := Run(context.Background(), s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	full, over := at(200), at(2000)
	// Three times the TTFT of 2 s that is promised to a mean prompt below 8,192 tokens.
	if full.Window.StartS != 6 {
		t.Errorf("warm-up of %v s", full.Window.StartS)
	}
	if a, b := full.Throughput.OutputTokensPerS, over.Throughput.OutputTokensPerS; b > 1.1*a {
		t.Errorf("output tokens/s: %.0f at 200 requests/s, %.0f at 2,000", a, b)
	}
	if a, b := full.Requests.Initial, over.Requests.Initial; b > a+a/10 {
		t.Errorf("requests decoding at the start: %d at 200 requests/s, %d at 2,000", a, b)
	}
}

// An overload of a thousand times ends, in bounded memory: once the measured requests
// have arrived, a backlog that the system cannot work off is load enough.
func TestOverloadIsBounded(t *testing.T) {
	s := &scenario.Scenario{
		Version: scenario.Version, Model: "llama-3.1-8b", Topology: "hgx-h100:8", Seed: 1,
		Deployment: scenario.Deployment{Mode: "aggregated", Serve: &scenario.Pool{Instances: 1, TP: 1, DP: 1, EP: 1, PP: 1, CP: 1}},
		Workload:   &scenario.Workload{Profile: "chat", Rate: 50_000, Requests: 500, Start: "stationary"},
	}
	r, err := Run(context.Background(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if q := r.Requests; q.Measured != 500 || q.InFlight > 2*(q.Initial+q.Measured)+spare || q.InFlight < q.Initial+q.Measured {
		t.Errorf("%+v", q)
	}
}
