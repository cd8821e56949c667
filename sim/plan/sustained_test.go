package plan

import (
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
)

// A limit that no request of a short run can miss does not make a capacity of a rate at
// which the queue grows: what is sustained is no more than the largest closed loop has, but
// for the step of the search and the noise of a probe.
func TestWideLimitsHideNoQueue(t *testing.T) {
	s := asked("llama-3.1-8b", "hgx-h100:8")
	s.Deployment.Mode, s.Deployment.Serve = "aggregated", &scenario.Pool{Instances: 8, TP: 1}
	for _, wide := range []slo.Limits{{E2E: 1e15}, {TTFT: slo.TTFT{Limit: 1e15}}} {
		s.SLO = wide
		planned, p := complete(t, s, Options{FindCapacity: true})
		planned.Workload = &scenario.Workload{Profile: "chat", Concurrency: 2000, Requests: 1}
		r, err := sim.Run(t.Context(), planned, sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		most := r.Throughput.RequestsPerS
		if got := p.Capacity.RequestsPerS; got < 0.9*most || got > 1.08*most {
			t.Errorf("within %v: %v requests/s, but 2,000 clients get %.2f", wide, got, most)
		}
	}
}
