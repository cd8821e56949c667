package sim_test

import (
	"fmt"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
)

func runText(t *testing.T, text string, sets ...[2]string) *result.Result {
	t.Helper()
	s, err := plant.Read("s.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		if err := s.Set(set[0], set[1]); err != nil {
			t.Fatal(err)
		}
	}
	r, err := sim.Run(t.Context(), s, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a tier's links carry is a share of what oversubscription leaves: the more of it
// there is, the fuller they are, and never beyond 1.
func TestOversubscribedLinksAreFuller(t *testing.T) {
	const wide = `{version: 1, model: v4-flash, topology: "hgx-h200:16", seed: 1,
  workload: {concurrency: 256, requests: 512, input_tokens: "500", output_tokens: "20"},
  deployment: {mode: aggregated, engine: sglang, serve: {instances: 1, tp: 1, dp: 16, ep: 16}}}`
	before := 0.0
	for _, over := range []float64{1, 10, 100, 1000} {
		r := runText(t, wide, [2]string{"topology.tiers.leaf.oversubscription", fmt.Sprint(over)})
		u := r.Utilisation.Links["leaf"]
		if !(u.Mean > before && u.Mean <= u.Busiest && u.Busiest <= 1) {
			t.Errorf("oversubscription %g: %+v after %g", over, u, before)
		}
		before = u.Mean
	}
	if before < 0.3 {
		t.Errorf("links that nearly all time is spent on carry %g of what they can", before)
	}
}

// A hand-over over slow links fills them, and caches that have not gone over are not
// counted: the links of eight prefill instances are idler than those of the one that
// decodes what they send.
func TestHandoverFillsTheLinksItTakes(t *testing.T) {
	r := runText(t, `{version: 1, model: llama-3.1-70b, topology: "hgx-h100:64", seed: 1,
  workload: {rate: 8, requests: 100, input_tokens: "16000", output_tokens: "50"},
  deployment: {mode: disaggregated, prefill: {instances: 7, tp: 8}, decode: {instances: 1, tp: 8}}}`,
		[2]string{"topology.tiers.leaf.bandwidth", "1GB/s"})
	u := r.Utilisation.Links["leaf"]
	const engine = 0.37 // of line rate is what the engine that moves caches reaches
	if !(u.Busiest > 0.97*engine && u.Busiest <= engine && u.Mean < u.Busiest/4) {
		t.Errorf("%+v", u)
	}
	// What has come in is what the links could carry, of all that was to be sent.
	if r.Causes.Request.KVTransfer < 0.5 {
		t.Errorf("requests spend %.2f of their time on the way", r.Causes.Request.KVTransfer)
	}
}
