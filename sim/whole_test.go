package sim_test

import (
	"strconv"
	"testing"

	"github.com/clustersim/clustersim/sim"
)

// An engine that does not cut prompts has room for one of any length: throughput falls
// evenly as the prompt passes the budget of a step (8192), where a prompt of just that
// many would else wait until nothing decodes.
func TestPromptsAroundTheBudget(t *testing.T) {
	var last float64
	for i, tokens := range []int{8000, 8191, 8192, 8193, 10000} {
		s := read(t, `
version: 1
model: llama-3.1-70b
topology: hgx-h200
workload: {concurrency: 32, requests: 96, input_tokens: "8000", output_tokens: "200"}
deployment: {mode: aggregated, serve: {instances: 1, tp: 8}, engine: trtllm}
`)
		if err := s.Set("workload.input_tokens", strconv.Itoa(tokens)); err != nil {
			t.Fatal(err)
		}
		_, r := run(t, s, sim.Options{})
		out := r.Throughput.OutputTokensPerS
		if r.Requests.Rejected > 0 || i > 0 && (out > 1.01*last || out < 0.75*last || tokens < 8200 && out < 0.95*last) {
			t.Errorf("%d tokens: %.0f tokens/s, %.0f before, %d rejected", tokens, out, last, r.Requests.Rejected)
		}
		last = out
	}
}

// TensorRT-LLM's data-parallel ranks gather while there are no more expert ranks than a
// token has experts, and dispatch beyond; what a deployment says goes first.
func TestExchangeIsTheEngines(t *testing.T) {
	for _, x := range []struct{ topology, layout, engine, want string }{
		{"hgx-h200", "dp: 8, ep: 8", "trtllm", "gather"},
		{"hgx-h200", "dp: 8", "trtllm", "gather"},
		{"hgx-h200:16", "dp: 16, ep: 16", "trtllm", "dispatch"},
		{"hgx-h200", "dp: 8, ep: 8, experts: {exchange: dispatch}", "trtllm", "dispatch"},
		{"hgx-h200", "tp: 8, ep: 8", "trtllm", "dispatch"},
		{"hgx-h200", "dp: 8, ep: 8", "vllm", "dispatch"},
	} {
		_, r := run(t, read(t, `
version: 1
model: v3
topology: "`+x.topology+`"
workload: {concurrency: 8, requests: 16, input_tokens: "500", output_tokens: "20"}
deployment: {mode: aggregated, serve: {instances: 1, `+x.layout+`}, engine: `+x.engine+`}
`), sim.Options{})
		if got := r.Scenario.Deployment.Serve.Experts.Exchange; got != x.want {
			t.Errorf("%s, %s on %s: %s, want %s", x.engine, x.layout, x.topology, got, x.want)
		}
	}
}
