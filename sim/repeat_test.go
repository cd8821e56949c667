package sim_test

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

func repeated(t *testing.T) *scenario.Scenario {
	t.Helper()
	s, err := plant.Read("s.yaml", []byte(`{version: 1, model: llama-3.1-8b, topology: "hgx-h100:2", seed: 5,
  workload: {profile: chat, rate: 3, requests: 200}, deployment: {mode: aggregated, engine: vllm, serve: {instances: 2, tp: 1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func text(t *testing.T, r *result.Result) string {
	t.Helper()
	out, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// What several seeds give is what runs of each seed by themselves give, on any number of
// goroutines; all else is the first seed's.
func TestRepeatIsRunsOfEachSeed(t *testing.T) {
	s := repeated(t)
	const n = 4
	got, err := sim.Repeat(t.Context(), s, sim.Options{}, n, 3)
	if err != nil {
		t.Fatal(err)
	}
	var runs []*result.Result
	for i := range n {
		own := s.Clone()
		own.Seed += uint64(i)
		r, err := sim.Run(t.Context(), own, sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	if want := result.OverSeeds(runs); !reflect.DeepEqual(got.Seeds, want) || got.Seeds.N != n {
		t.Errorf("%+v\nwant %+v", got.Seeds, want)
	}
	sum := 0.0
	for _, r := range runs {
		sum += r.Latency.TTFT.P99
	}
	if mean := got.Seeds.Figures["ttft_ms_p99"].Mean; math.Abs(mean-sum/n) > 1e-9*mean || runs[0].Latency.TTFT.P99 == runs[1].Latency.TTFT.P99 {
		t.Errorf("p99 TTFT %g in the mean, want %g", mean, sum/n)
	}
	again, err := sim.Repeat(t.Context(), s, sim.Options{}, n, 1)
	if err != nil || text(t, again) != text(t, got) {
		t.Errorf("one goroutine gives another result (%v)", err)
	}
	if got.Seeds = nil; text(t, got) != text(t, runs[0]) {
		t.Error("beside the seeds, the result is not that of the first")
	}
}

// countdown is a context that ends when it has been asked so often whether it has.
type countdown struct {
	context.Context
	left *atomic.Int64
}

func (c countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// When it is interrupted, the seeds that have finished are kept, and how many is said.
func TestInterruptedRepeatKeepsWhatFinished(t *testing.T) {
	s := repeated(t)
	const plenty = 1 << 40
	asked := &atomic.Int64{}
	asked.Store(plenty)
	if _, err := sim.Repeat(countdown{t.Context(), asked}, s, sim.Options{}, 3, 1); err != nil {
		t.Fatal(err)
	}
	all := plenty - asked.Load()
	asked.Store(all * 5 / 6) // in the third run
	r, err := sim.Repeat(countdown{t.Context(), asked}, s, sim.Options{}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Partial || r.Seeds == nil || r.Seeds.N != 2 || !strings.Contains(r.Reason, "2 of 3 seeds") {
		t.Errorf("partial %v (%s), %+v", r.Partial, r.Reason, r.Seeds)
	}
}
