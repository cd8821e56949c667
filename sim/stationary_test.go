package sim_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/clustersim/clustersim/sim"
)

// A stationary start finds as many requests decoding as Little's law says the run goes
// on with: arrivals a second times the seconds that an answer takes, whatever a step
// of drafts yields. Decode pools alone: where prompts run in the same steps, their
// length depends on how arrivals fall on the ranks.
func TestStationaryStartIsLittlesLaw(t *testing.T) {
	const answer = 600
	for _, x := range []struct {
		deployment string
		rate       float64
	}{
		{"{mode: disaggregated, prefill: {instances: 2, dp: 8, ep: 8}, decode: {instances: 1, dp: 16, ep: 16}}", 30},
		{"{mode: disaggregated, prefill: {instances: 2, dp: 8, ep: 8}, decode: {instances: 1, dp: 16, ep: 16}, mtp: {drafts: 1}}", 30},
		{"{mode: disaggregated, prefill: {instances: 1, dp: 8, ep: 8}, decode: {instances: 2, dp: 8, ep: 8}, mtp: {drafts: 1}}", 12},
	} {
		s := read(t, fmt.Sprintf(`
version: 1
model: v4-flash
topology: hgx-h200:64
deployment: %s
workload: {rate: %g, requests: 400, input_tokens: "900", output_tokens: "%d"}
seed: 3
`, x.deployment, x.rate, answer))
		r, err := sim.Run(context.Background(), s, sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := x.rate * (answer - 1) * r.Latency.TPOT.Mean / 1000
		// Poisson arrivals let the step's length, and so the number in flight, wander.
		if got := float64(r.Requests.Initial); got < 0.85*want || got > 1.15*want {
			t.Errorf("%s: %g requests decode at the start; %g requests/s for %.4g ms a token go on with %.4g", x.deployment, got, x.rate, r.Latency.TPOT.Mean, want)
		}
	}
}

// In flight when the measured window opens are as many as Little's law has for the run,
// arrivals a second times the mean time from arrival to last token: where prompts run in the
// same steps, dense (a prompt is dear beside a step) and mixtures (its first tokens are dear),
// with drafts, and where most of a request's life is its prompt. By chance it is the root
// of that number more or fewer; three seeds have a tenth.
func TestStationaryStartIsInFlight(t *testing.T) {
	for _, x := range []struct{ model, topology, deployment, workload string }{
		{"llama-3.1-8b", "hgx-h100:8", "{mode: aggregated, serve: {instances: 8, tp: 1}}", "{profile: chat, rate: 24, requests: 700}"},
		{"gpt-oss-120b", "hgx-b200", "{mode: aggregated, serve: {instances: 8, tp: 1}}", "{profile: chat, rate: 90, requests: 1500}"},
		{"v3", "hgx-h200:32", "{mode: aggregated, serve: {instances: 2, tp: 16}}", "{profile: chat, rate: 3, requests: 500}"},
		{"v4-flash", "hgx-h200:8", "{mode: aggregated, serve: {instances: 1, dp: 8, ep: 8}, mtp: {drafts: 1}}", "{rate: 10, requests: 500, input_tokens: 2000, output_tokens: 800}"},
		{"llama-3.1-8b", "hgx-h100:512", "{mode: disaggregated, prefill: {instances: 400, tp: 1}, decode: {instances: 64, tp: 1}}", "{rate: 400, requests: 2000, input_tokens: 10000, output_tokens: 40}"},
	} {
		initial, inFlight := 0.0, 0.0
		for seed := 1; seed <= 3; seed++ {
			s := read(t, fmt.Sprintf("version: 1\nmodel: %s\ntopology: %q\ndeployment: %s\nworkload: %s\nseed: %d\n", x.model, x.topology, x.deployment, x.workload, seed))
			r, err := sim.Run(context.Background(), s, sim.Options{})
			if err != nil {
				t.Fatal(err)
			}
			initial += float64(r.Requests.Initial)
			inFlight += s.Workload.Rate * r.Latency.E2E.Mean / 1000
		}
		if d := initial/inFlight - 1; d < -0.1 || d > 0.1 {
			t.Errorf("%s %s: %.1f in flight at the start, %.1f by Little's law", x.model, x.deployment, initial/3, inFlight/3)
		}
	}
}

// However many would decode by Little's law, a stationary start has no more than a
// cache holds beside the hundredth that admission leaves free.
func TestStationaryStartIsHeld(t *testing.T) {
	s := read(t, `
version: 1
model: llama-3.1-8b
topology: hgx-h100:8
deployment: {mode: disaggregated, prefill: {instances: 7, tp: 1}, decode: {instances: 1, tp: 1, max_sequences: 4096}}
workload: {rate: 80, requests: 200, input_tokens: "900", output_tokens: "600"}
seed: 3
`)
	r, err := sim.Run(context.Background(), s, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Found at a uniform age an answer is half there; keys and values of 8 heads of 128 in
	// BF16, 32 layers, and half a page of 16 tokens.
	const sequence = (900 + 600./2 + 16/2) * 2 * 8 * 128 * 2 * 32
	got := float64(r.Requests.Initial) * sequence / float64(r.KV.CapacityBytes)
	if got < 0.983 || got > 0.993 {
		t.Errorf("%d requests decode at the start, %.4f of the cache", r.Requests.Initial, got)
	}
}
