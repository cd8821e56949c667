package sim_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
)

// A run is named after what it read: another trace on standard input is another run.
func TestRunIDsFollowTheInput(t *testing.T) {
	const text = `
version: 1
model: llama-3.1-8b
topology: hgx-h100:8
trace: {file: "-"}
deployment: {mode: aggregated, serve: {instances: 1, tp: 1}}
`
	id := func(stdin string) (string, []scenario.Input) {
		_, r := run(t, read(t, text), sim.Options{Stdin: strings.NewReader(stdin)})
		return r.RunID, r.Inputs
	}
	const one = `{"arrival_s": 0, "input_tokens": 100, "output_tokens": 10}` + "\n"
	first, inputs := id(one)
	if again, _ := id(one); again != first {
		t.Errorf("%s and again %s", first, again)
	}
	for _, other := range []string{strings.Replace(one, "100", "101", 1), strings.Replace(one, "10}", "11}", 1), strings.Replace(one, `_s": 0`, `_s": 1`, 1), one + one} {
		if id, _ := id(other); id == first {
			t.Errorf("%s has the identifier of %s", other, one)
		}
	}
	kinds := ""
	for _, in := range inputs {
		kinds += in.Kind + " "
	}
	if kinds != "model topology engine libraries trace " {
		t.Errorf("inputs: %s", kinds)
	}
}

// What a scenario reads is known before it runs: as a run reports it, and where that has
// no name for a file, the file too.
func TestInputsAreTheRuns(t *testing.T) {
	dir := t.TempDir()
	trace := filepath.Join(dir, "t.jsonl")
	if err := os.WriteFile(trace, []byte(`{"arrival_s": 0, "input_tokens": 100, "output_tokens": 10}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	s := read(t, `{version: 1, model: llama-3.1-8b, topology: "hgx-h100:8", trace: {file: "`+trace+`"}, deployment: {mode: aggregated, serve: {instances: 1, tp: 1}}}`)
	_, r := run(t, s, sim.Options{})
	got, err := sim.Inputs(s, plant.Source{})
	if err != nil || !slices.Equal(got, r.Inputs) {
		t.Errorf("%v\n%v, the run has\n%v", err, got, r.Inputs)
	}
	s.Deployment.Serve.Chip = "h200"
	s.Trace, s.Workload = nil, &scenario.Workload{Profile: "chat", Rate: 3}
	kinds := ""
	got, err = sim.Inputs(s, plant.Source{})
	for _, in := range got {
		kinds += in.Kind + " "
	}
	if err != nil || kinds != "model topology engine libraries chip workload " {
		t.Errorf("%v, %s", err, kinds)
	}
	s.Trace, s.Workload = &scenario.Trace{File: filepath.Join(dir, "none")}, nil
	if _, err := sim.Inputs(s, plant.Source{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a trace that is not there: %v", err)
	}
}
