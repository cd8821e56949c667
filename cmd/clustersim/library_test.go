package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/report"
	"github.com/clustersim/clustersim/sim/result"
)

// A Go program gets the command line's result, to the byte, by plan.Complete and sim.Run.
// For a scenario that says everything sim.Run alone does, but for what a plan knows to
// limit the deployment.
func TestLibraryIsTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		name, text string
		complete   bool
	}{
		{"a layout of one's own", `{version: 1, model: qwen3-32b, topology: "hgx-h100:8", workload: {profile: chat, rate: 4, requests: 300},
  deployment: {mode: aggregated, engine: vllm, serve: {instances: 4, tp: 2}}, seed: 1}`, true},
		{"two pools", `{version: 1, model: v4-flash, topology: "hgx-h200:16", workload: {profile: chat, rate: 3, requests: 100, start: empty},
  deployment: {mode: disaggregated, prefill: {instances: 1, tp: 1, dp: 8, ep: 8}, decode: {instances: 1, dp: 8}}, seed: 2}`, true},
		{"a closed loop", `{version: 1, model: llama-3.1-8b, topology: "hgx-h100:8", workload: {input_tokens: 1000, output_tokens: 100, concurrency: 8, requests: 100},
  deployment: {serve: {instances: 1, tp: 8}}, seed: 0}`, true},
		{"a layout to be searched for", `{version: 1, model: llama-3.1-8b, topology: "hgx-h100:8", workload: {profile: chat, rate: 20, requests: 300}, seed: 1}`, false},
		{"a rate to be searched for", `{version: 1, model: llama-3.1-8b, topology: "hgx-h100:8", workload: {profile: chat, requests: 300}, deployment: {serve: {instances: 8, tp: 1}}, seed: 1}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "scenario.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			var command, faults bytes.Buffer
			if code := run([]string{"run", file, "--output", "json"}, strings.NewReader(""), &command, &faults); code != exitDone {
				t.Fatalf("exit code %d: %s", code, faults.String())
			}
			s, err := plant.Read(file, []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			alone, err := sim.Run(t.Context(), s, sim.Options{})
			if !c.complete && (err == nil || !strings.Contains(err.Error(), "plan.Complete")) || c.complete && err != nil {
				t.Fatalf("Run by itself: %v", err)
			}
			ready, p, err := plan.Complete(t.Context(), s, sim.Options{}, plan.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := sim.Run(t.Context(), ready, p.Options)
			if err != nil {
				t.Fatal(err)
			}
			if r.Bottleneck == nil || r.Bottleneck.Sentence == "" {
				t.Error("nothing is said to limit the deployment")
			}
			if c.complete {
				alone.Bottleneck = r.Bottleneck
				same(t, alone, r)
			}
			var library bytes.Buffer
			if err := report.JSON(&library, r); err != nil {
				t.Fatal(err)
			}
			if library.String() != command.String() {
				t.Errorf("the library's result is not the command line's:\n%s\n%s", library.String(), command.String())
			}
		})
	}
}

func same(t *testing.T, a, b *result.Result) {
	t.Helper()
	var texts [2]bytes.Buffer
	for i, r := range []*result.Result{a, b} {
		if err := report.JSON(&texts[i], r); err != nil {
			t.Fatal(err)
		}
	}
	if texts[0].String() != texts[1].String() {
		t.Errorf("sim.Run alone gives\n%s\nand after a plan\n%s", &texts[0], &texts[1])
	}
}
