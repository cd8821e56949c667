package validate

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// shipped reads a shipped list; data is its text.
func shipped(t *testing.T, name string) (set *Set, data []byte) {
	t.Helper()
	file, data, err := Shipped(name)
	if err != nil {
		t.Fatal(err)
	}
	if set, err = Read(file, data, ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	return set, data
}

// Every shipped list reads, every case of it resolves, and no case has an identity
// that another list has.
func TestShippedLists(t *testing.T) {
	seen := map[string]string{}
	cases := 0
	for _, name := range ShippedNames() {
		set, data := shipped(t, name)
		if stated := strings.Count(string(data), ", why: "); len(set.Skipped) != stated {
			t.Errorf("%s: %d skipped, the file states %d: %+v", name, len(set.Skipped), stated, set.Skipped)
		}
		for _, c := range set.Cases {
			if seen[c.ID] != "" {
				t.Errorf("%s: case %q is in %s too", name, c.ID, seen[c.ID])
			}
			seen[c.ID] = name
		}
		cases += len(set.Cases)
	}
	if cases < 60 {
		t.Errorf("%d cases ship, want 60 at least", cases)
	}
	if _, _, err := Shipped("larg-ep"); err == nil || !strings.Contains(err.Error(), `did you mean "large-ep"`) {
		t.Errorf("unknown list: %v", err)
	}
}

const pointText = `version: 1
cases:
  - id: sweep
    source: "a page"
    scenario:
      model: llama-3.1-8b
      topology: hgx-h100
      workload: {concurrency: 1, requests: 4, input_tokens: 128, output_tokens: 16}
      deployment: {serve: {instances: 1, tp: 1}}
    points:
      - {id: c1, measure: {tpot_ms_mean: 7}}
      - {id: c2, set: {workload.concurrency: "2"}, measure: {tpot_ms_mean: 8}, note: odd}
    assumed: [the lengths]
skipped:
  - {id: other, why: states nothing}
`

func TestPoints(t *testing.T) {
	set, err := Read("cases.yaml", []byte(pointText), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Cases) != 2 || len(set.Skipped) != 1 {
		t.Fatalf("%+v", set)
	}
	a, b := set.Cases[0], set.Cases[1]
	if a.ID != "sweep/c1" || b.ID != "sweep/c2" || a.Scenario.Workload.Concurrency != 1 || b.Scenario.Workload.Concurrency != 2 {
		t.Errorf("%+v\n%+v", a, b)
	}
	if a.Note != "" || b.Note != "odd" || fmt.Sprint(b.Assumed) != "[the lengths]" {
		t.Errorf("%+v\n%+v", a, b)
	}
	for _, x := range []struct{ from, to, want string }{
		{"id: c2", "id: c1", `"sweep/c1" is given twice`},
		{"workload.concurrency", "workload.concurency", "did you mean workload.concurrency"},
		{"    points:", "    measure: {tpot_ms_mean: 1}\n    points:", "stands beside points"},
		{"why: states nothing", "why: ''", "must have an id and why"},
		{"id: other", "id: sweep/c1", `"sweep/c1" is given twice`},
		{"    assumed:", "    steady: {sequences: 1, context: 10}\n    assumed:", "needs phase: prefill or decode"},
		{"    assumed:", "    inferencex: {framework: vlm, precision: fp8, spec: eagle, isl: 0, osl: 1}\n    assumed:", `unknown spec "eagle"`},
	} {
		text := strings.Replace(pointText, x.from, x.to, 1)
		if text == pointText {
			t.Fatalf("%q is not in the text", x.from)
		}
		if _, err := Read("cases.yaml", []byte(text), ReadOptions{}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%q: %v\nwant %q", x.to, err, x.want)
		}
	}
}

const steadyText = `version: 1
cases:
  - id: steady
    source: "a page"
    scenario:
      model: llama-3.1-8b
      topology: hgx-h100
      deployment: {decode: {instances: 1, tp: 1, max_sequences: 32}}
    phase: decode
    steady: {sequences: 32, context: 4128}
    measure: {tpot_ms_mean: 7, output_tokens_per_s_per_chip: 4000}
  - id: run
    source: "a page"
    scenario:
      model: llama-3.1-8b
      topology: hgx-h100
      workload: {concurrency: 32, requests: 32, input_tokens: 4096, output_tokens: 64}
      deployment: {serve: {instances: 1, tp: 1, max_tokens: 131072, max_sequences: 32}}
    measure: {itl_ms_p50: 7}
  - id: prefill
    source: "a page"
    scenario:
      model: deepseek-v3
      topology: hgx-h100:32
      deployment: {prefill: {instances: 1, dp: 32, ep: 32}, engine: sglang}
    phase: prefill
    steady: {prompts: 4, context: 4096}
    measure: {prefill_tokens_per_s_per_chip: 6000}
`

// A steady state is what a run settles to: the gap between tokens of as many
// sequences, once all prompts are in, is the step.
func TestSteadyIsWhatARunSettlesTo(t *testing.T) {
	set, err := Read("cases.yaml", []byte(steadyText), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), []*Set{set}, Options{})
	if err != nil || len(r.Rows) != 4 {
		t.Fatalf("%v, %+v", err, r)
	}
	of := map[string]float64{}
	for _, row := range r.Rows {
		of[row.ID+" "+row.Metric] = row.Predicted
		if row.ID == "prefill" && (row.Mode != "disaggregated" || row.Regime != Knee || row.Family != "deepseek-v3/r1") {
			t.Errorf("%+v", row)
		}
	}
	step, run := of["steady tpot_ms_mean"], of["run itl_ms_p50"]
	if math.Abs(step/run-1) > 0.02 {
		t.Errorf("steady step %.3f ms, in a run %.3f ms", step, run)
	}
	if rate := of["steady output_tokens_per_s_per_chip"]; math.Abs(rate*step/1e3-32) > 1e-9 {
		t.Errorf("%v tokens/s at %v ms are not 32 sequences (Little)", rate, step)
	}
	// 671 B parameters, 37 B active: 2 FLOP each at most at 1,979 dense FP8 TFLOPS.
	if rate := of["prefill prefill_tokens_per_s_per_chip"]; !(rate > 1000 && rate < 1979e12/(2*37e9)) {
		t.Errorf("prefill of %v tokens/s a chip", rate)
	}
}

func TestSteadyFaults(t *testing.T) {
	for _, x := range []struct{ from, to, want string }{
		{"{sequences: 32, context: 4128}", "{prompts: 1, context: 4128}", "sequences: must be from 1"},
		{"{sequences: 32, context: 4128}", "{sequences: 32, context: 4128, prompts: 2}", "belongs to phase: prefill"},
		{"{sequences: 32, context: 4128}", "{sequences: 32}", "context: must be from 1"},
		{"{prompts: 4, context: 4096}", "{prompts: 4, context: 4096, chunk: 5000}", "chunk: must be from 0"},
		{"{tpot_ms_mean: 7, ", "{ttft_ms_mean: 7, ", "is not a figure of a steady state"},
		{"deployment: {decode:", "deployment: {prefill:", "needs deployment.decode or deployment.serve"},
	} {
		text := strings.Replace(steadyText, x.from, x.to, 1)
		if text == steadyText {
			t.Fatalf("%q is not in the text", x.from)
		}
		if _, err := Read("cases.yaml", []byte(text), ReadOptions{}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%q: %v\nwant %q", x.to, err, x.want)
		}
	}
}
