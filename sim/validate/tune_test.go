package validate

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
)

// An engine whose numbers were moved plays the measured system: tuning starts at the
// shipped ones and finds them again, on deployments it did not see too.
func TestTuneFindsTheNumbersOfAnEngine(t *testing.T) {
	var text strings.Builder
	text.WriteString("version: 1\ncases:\n")
	for _, in := range []int{200, 400, 800, 1600, 3200, 6400} {
		for _, clients := range []int{1, 8} {
			fmt.Fprintf(&text, `  - id: in%d-c%d
    source: synthetic
    scenario:
      version: 1
      model: llama-3.1-8b
      topology: hgx-h100
      workload: {concurrency: %d, requests: %d, input_tokens: "%d", output_tokens: "60"}
      deployment: {mode: aggregated, engine: vllm, serve: {instances: 1, tp: 1}}
    measure: {ttft_ms_mean: 1, tpot_ms_mean: 1}
`, in, clients, clients, 4*clients, in)
		}
	}
	set, err := Read("synthetic.yaml", []byte(text.String()), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	truth, err := cost.LoadEngine("vllm")
	if err != nil {
		t.Fatal(err)
	}
	truth.Fitted.HostStepUs, truth.Fitted.TTFTMs = 900, 41
	o := Options{}
	o.Run.Engine = truth
	measured, err := Run(context.Background(), []*Set{set}, o)
	if err != nil || len(measured.Rows) != 24 {
		t.Fatalf("%d rows, %v", len(measured.Rows), err)
	}
	for i := range measured.Rows {
		set.Cases[i/2].Measures[i%2].Value = measured.Rows[i].Predicted
	}

	start, err := cost.LoadEngine("vllm")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Tune(context.Background(), []*Set{set}, TuneOptions{Engine: start, Names: []string{"host_step_us", "ttft_ms"}, HeldOut: 0.4, Steps: 8})
	if err != nil {
		t.Fatal(err)
	}
	f := got.Engine.Fitted
	if math.Abs(f.HostStepUs/900-1) > 0.02 || math.Abs(f.TTFTMs/41-1) > 0.02 {
		t.Errorf("host_step_us %.1f, want 900; ttft_ms %.2f, want 41", f.HostStepUs, f.TTFTMs)
	}
	if got.Groups[0] < 1 || got.Groups[1] < 1 || got.Groups[0]+got.Groups[1] != 6 {
		t.Errorf("%v groups of 6 that differ by more than load", got.Groups)
	}
	for _, e := range got.Errors {
		if e.After.MedianAPE > 0.01 || e.Before.MedianAPE < 2*e.After.MedianAPE {
			t.Errorf("%+v", e)
		}
	}
	if start.Fitted.HostStepUs == f.HostStepUs {
		t.Error("the profile that was given must stay as it was")
	}

	_, err = Tune(context.Background(), []*Set{set}, TuneOptions{Engine: start, Names: []string{"host_us"}})
	if err == nil || !strings.Contains(err.Error(), "host_step_us") {
		t.Errorf("%v does not name the nearest", err)
	}
	start.Name = "mine"
	if _, err = Tune(context.Background(), []*Set{set}, TuneOptions{Engine: start, Names: []string{"ttft_ms"}}); err == nil || !strings.Contains(err.Error(), "no case of engine mine") {
		t.Error(err)
	}
}
