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
)

// A Go program gets the command line's result, to the byte: for a scenario that says
// everything by sim.Run alone, for one that leaves something open by plan.Complete first.
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
			options := sim.Options{}
			if !c.complete {
				if _, err := sim.Run(t.Context(), s, options); err == nil || !strings.Contains(err.Error(), "plan.Complete") {
					t.Errorf("Run of an incomplete scenario: %v", err)
				}
				var p *plan.Plan
				if s, p, err = plan.Complete(t.Context(), s, options, plan.Options{}); err != nil {
					t.Fatal(err)
				}
				options = p.Options
			}
			r, err := sim.Run(t.Context(), s, options)
			if err != nil {
				t.Fatal(err)
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
