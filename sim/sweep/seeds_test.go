package sweep

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/plant"
)

// Points draw from the same seeds: those that differ in nothing that a run depends on have
// the same figures, seed by seed and in the mean, and other seeds are another grid.
func TestPointsShareTheirSeeds(t *testing.T) {
	base, err := plant.Read("s.yaml", []byte(`{version: 1, model: llama-3.1-8b, topology: "hgx-h100:1", seed: 3,
  workload: {profile: chat, rate: 3, requests: 150}, deployment: {mode: aggregated, engine: vllm, serve: {instances: 1, tp: 1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	axes := []Axis{{Path: "slo.tpot", Values: []string{"50ms", "80ms"}}, {Path: "workload.rate", Values: []string{"3", "2"}}}
	points, err := Grid(base, axes)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Seeds: 3}
	out := Run(t.Context(), points, o)
	for i := range out {
		if out[i].Err != nil || out[i].Result.Seeds == nil || out[i].Result.Seeds.N != 3 {
			t.Fatalf("point %d: %v, %+v", i, out[i].Err, out[i].Result)
		}
	}
	same := func(a, b int) bool {
		x, y := out[a].Result, out[b].Result
		return x.Latency == y.Latency && reflect.DeepEqual(x.Seeds.Figures["ttft_ms_p99"], y.Seeds.Figures["ttft_ms_p99"])
	}
	if !same(0, 2) || !same(1, 3) || same(0, 1) {
		t.Error("points that differ in their SLO alone have other latencies, or those at other rates the same")
	}
	var table, csv bytes.Buffer
	s := &Sweep{Points: out}
	if err := Table(&table, s); err != nil || !strings.Contains(table.String(), " ± ") {
		t.Errorf("%v: %s", err, &table)
	}
	if err := CSV(&csv, s); err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(csv.String()), "\n") {
		if got, want := strings.Count(line, ","), strings.Count(strings.SplitN(csv.String(), "\n", 2)[0], ","); i > 0 && got < want {
			t.Errorf("row %d has %d commas, the heading %d", i, got, want)
		}
	}
	one, err := NewManifest(base, axes, points, &o, "v")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewManifest(base, axes, points, &Options{Seeds: 4}, "v")
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Same(other); err == nil || !strings.Contains(err.Error(), "--seeds: 4 there, 3 here") {
		t.Errorf("four seeds are taken for three: %v", err)
	}
}

// Where the seed is an axis, the points that differ in it alone are summed up.
func TestSeedsAsAnAxis(t *testing.T) {
	base, err := plant.Read("s.yaml", []byte(`{version: 1, model: llama-3.1-8b, topology: "hgx-h100:1", seed: 3,
  workload: {profile: chat, rate: 3, requests: 50}, deployment: {mode: aggregated, engine: vllm, serve: {instances: 1, tp: 1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	points, err := Grid(base, []Axis{{Path: "workload.rate", Values: []string{"3", "2"}}, {Path: "seed", Values: []string{"1", "2", "3"}}})
	if err != nil {
		t.Fatal(err)
	}
	sums := overSeeds(Run(t.Context(), points, Options{}))
	if len(sums) != 2 || sums[0].set()["workload.rate"] != "3" || sums[1].set()["seed"] != "all" || sums[1].Result.Seeds.N != 3 {
		t.Errorf("%+v", sums)
	}
}
