package sim_test

import (
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
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
