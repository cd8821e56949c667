package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
)

// FuzzRun plans and runs any scenario that can be read, of a small model on eight chips
// and up to a number of events: it may be refused, but what comes out is a result.
func FuzzRun(f *testing.F) {
	files, err := filepath.Glob("testdata/scenarios/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, rest := range []string{
		"workload: {profile: chat, rate: 1000000000, requests: 20}", "workload: {profile: chat, concurrency: 5, requests: 20}",
		"workload: {input_tokens: 5, output_tokens: 1, arrivals: burst, requests: 20}", "workload: {profile: agent, rate: 0.000001, requests: 3}",
		"patches: {topology.tiers.node.bandwidth: 1B/s}\nworkload: {profile: chat, rate: 5, requests: 20}\ndeployment: {mode: disaggregated}",
	} {
		f.Add([]byte("version: 1\nmodel: llama-3.1-8b\ntopology: hgx-h100:8\n" + rest + "\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := plant.Read("fuzz.yaml", data)
		if err != nil {
			return
		}
		s.Model, s.Topology, s.Trace, s.KVCompress, s.Limits.Events = "llama-3.1-8b", "hgx-h100:8", nil, models.Compression{}, 20_000
		if s.Workload != nil {
			s.Workload.Requests = max(1, min(s.Workload.Requests, 50))
		}
		s, p, err := plan.Complete(t.Context(), s, sim.Options{}, plan.Options{})
		if err != nil {
			return
		}
		r, err := sim.Run(t.Context(), s, p.Options)
		if err != nil {
			return
		}
		checkResult(t, r)
	})
}

// checkResult holds a result to what every one satisfies.
func checkResult(t *testing.T, r *result.Result) {
	t.Helper()
	if err := conserved("result", &r.Requests); err != nil {
		t.Error(err)
	}
	for name, d := range map[string]*result.Distribution{"TTFT": &r.Latency.TTFT, "TPOT": &r.Latency.TPOT, "ITL": &r.Latency.ITL, "E2E": &r.Latency.E2E} {
		if at := []float64{0, d.P50, d.P90, d.P95, d.P99, d.Max}; !slices.IsSorted(at) {
			t.Errorf("%s is not ordered: %v", name, at)
		}
	}
	for _, shares := range []result.Shares{r.Causes.Prefill, r.Causes.Decode} {
		sum := 0.0
		for _, v := range shares {
			sum += v
		}
		if sum != 0 && math.Abs(sum-1) > 1e-6 {
			t.Errorf("causes sum to %g", sum)
		}
	}
	if g := r.Goodput.Fraction; !(g >= 0 && g <= 1) {
		t.Errorf("goodput %g", g)
	}
}
