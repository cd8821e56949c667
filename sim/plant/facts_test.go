package plant

import (
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/scenario"
)

func TestFacts(t *testing.T) {
	read := func(text string) *scenario.Scenario {
		t.Helper()
		s, err := Read("scenario.yaml", []byte("version: 1\nmodel: r1\ntopology: hgx-h200\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	m, err := models.Load("r1")
	if err != nil {
		t.Fatal(err)
	}
	s := read(`workload: {concurrency: 32, input_tokens: "uniform(819,1024)", output_tokens: "lognormal(mean=100,p99=400)"}
deployment: {serve: {instances: 1, dp: 8}, mtp: {drafts: 2, accepted_length: 2}}
`)
	want := recipe.Facts{
		Spec: "mtp", Precision: "fp8", Mode: "aggregated", Model: "deepseek-r1", Clients: 32, Input: 1024, Drafts: 2, // answers have no longest
		Serve: recipe.Pool{Instances: 1, Ranks: 8, TP: 1, DP: 8, EP: 8},
	}
	if f := Facts(s, m); f != want {
		t.Errorf("%+v\nwant %+v", f, want)
	}
	// A layout that is to be searched states nothing, nor does a mode.
	if f := Facts(read("deployment: {mode: auto}"), m); f != (recipe.Facts{Model: "deepseek-r1", Precision: "fp8", Spec: "none"}) {
		t.Errorf("%+v", f)
	}
	if f := Facts(read("deployment: {prefill: {instances: 1, tp: 8}, decode: {instances: 2, tp: 4}}"), m); f.Mode != "disaggregated" || f.Decode.Ranks != 4 || f.Decode.EP != 1 {
		t.Errorf("%+v", f)
	}
}
