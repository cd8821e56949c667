package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/golden"
	"github.com/clustersim/clustersim/sim/result"
)

// Scenario files of every form that has been written go on giving the figures that
// they gave: each stands in testdata/scenarios beside what it measured then.
func TestScenariosGiveWhatTheyGave(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			var out, faults bytes.Buffer
			if code := run([]string{file, "--output", "json"}, strings.NewReader(""), &out, &faults); code != exitDone {
				t.Fatalf("exit code %d: %s", code, faults.String())
			}
			got := figures(t, out.Bytes())
			golden.Equal(t, strings.TrimSuffix(file, ".yaml")+".json", got)
		})
	}
}

// figures are what a result has measured, without what it says of its input.
func figures(t *testing.T, text []byte) []byte {
	var r result.Result
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(struct {
		Requests    result.Requests    `json:"requests"`
		SimulatedS  float64            `json:"simulated_s"`
		Throughput  result.Throughput  `json:"throughput"`
		Latency     result.Latency     `json:"latency"`
		Causes      result.CausesNS    `json:"causes_ns"`
		Utilisation result.Utilisation `json:"utilisation"`
		KV          result.KV          `json:"kv"`
	}{r.Requests, r.SimulatedS, r.Throughput, r.Latency, r.Causes.NS, r.Utilisation, r.KV}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}
