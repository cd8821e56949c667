package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/traces"
)

// The tail of a generated workload may be longer than any cache: such requests are
// rejected, said, and count against the goodput; they do not end the run. A workload
// of nothing else is an error, and so is one request of a trace.
func TestTooLongRequestsOfAWorkloadAreRejected(t *testing.T) {
	at := func(mean, p99 float64, w scenario.Workload) (*result.Result, error) {
		var in traces.Dist
		if err := in.UnmarshalText(fmt.Appendf(nil, "lognormal(mean=%g,p99=%g)", mean, p99)); err != nil {
			t.Fatal(err)
		}
		w.InputTokens = &in
		s := &scenario.Scenario{
			Version: scenario.Version, Model: "llama-3.1-8b", Topology: "rtx-4090:2", Seed: 1, Workload: &w,
			Deployment: scenario.Deployment{Mode: "aggregated", Serve: &scenario.Pool{Instances: 2, TP: 1, DP: 1, EP: 1, PP: 1, CP: 1}},
		}
		return Run(context.Background(), s, Options{})
	}
	for _, w := range []scenario.Workload{{Profile: "chat", Rate: 0.1, Requests: 1000}, {Profile: "chat", Concurrency: 3, Requests: 1000}} {
		r, err := at(4000, 30000, w)
		if err != nil {
			t.Fatal(err)
		}
		q := r.Requests
		if q.Rejected == 0 || q.Initial+q.Arrived != q.Completed+q.Rejected+q.Lost+q.InFlight {
			t.Errorf("%+v", q)
		}
		if most := float64(q.Measured) / float64(q.Measured+q.Rejected); r.Goodput.Fraction > most && w.Concurrency > 0 {
			t.Errorf("goodput %g with %d rejected of %d", r.Goodput.Fraction, q.Rejected, q.Arrived)
		}
		if !strings.Contains(strings.Join(r.Warnings, "\n"), "longer than the KV cache") {
			t.Errorf("rejections are not said: %q", r.Warnings)
		}
	}
	var long *route.TooLongError
	if _, err := at(400_000, 600_000, scenario.Workload{Profile: "chat", Rate: 0.1, Requests: 1000}); !errors.As(err, &long) {
		t.Errorf("requests of 400,000 tokens: %v", err)
	}
}

// A prompt beyond what the model was made for is served, and said.
func TestLongestRequestBeyondTheModel(t *testing.T) {
	s := &scenario.Scenario{
		Version: scenario.Version, Model: "mixtral", Topology: "hgx-h200:8", Seed: 1,
		Deployment: scenario.Deployment{Mode: "aggregated", Serve: &scenario.Pool{Instances: 1, TP: 4, DP: 1, EP: 1, PP: 1, CP: 1}},
	}
	in, out := traces.Constant(32_768), traces.Constant(2)
	s.Workload = &scenario.Workload{Profile: "chat", InputTokens: &in, OutputTokens: &out, Concurrency: 1, Requests: 1}
	r, err := Run(context.Background(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, "32770 tokens") || !strings.Contains(text, "32768 at most") {
		t.Errorf("warnings: %q", text)
	}
}
