package sim

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/traces"
)

// A closed loop whose clients' mean requests are more than the cache holds is told so; one
// whose requests fit, or whose engine would not take as many, is not.
func TestShortCachesAreSaid(t *testing.T) {
	said := func(clients int, pool scenario.Pool) (text string) {
		in, out := traces.Constant(8192), traces.Constant(8)
		pool.Instances, pool.TP, pool.DP, pool.EP, pool.PP, pool.CP = 1, 1, 1, 1, 1, 1
		sc := &scenario.Scenario{
			Version: scenario.Version, Model: "llama-3.1-8b", Topology: "hgx-h100:1", Seed: 1,
			Workload:   &scenario.Workload{InputTokens: &in, OutputTokens: &out, Concurrency: clients, Requests: int64(clients)},
			Deployment: scenario.Deployment{Mode: "aggregated", Engine: "vllm", Serve: &pool},
		}
		r, err := Run(context.Background(), sc, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range r.Warnings {
			if strings.Contains(w, "requests of the mean length") {
				text = w
			}
		}
		k := r.KV.Pools["serve"]
		if k.Tokens != k.TokensPerRank || k.TokensPerRank != k.BytesPerRank/(16*131_072)*16 {
			t.Errorf("%+v: want pages of 16 tokens of 131,072 B", k)
		}
		if got, want := k.MaxConcurrency[131_072], float64(k.BytesPerRank)/131_072/131_080; math.Abs(got/want-1) > 1e-6 {
			t.Errorf("%g requests of 131,072 tokens at most, want %g", got, want)
		}
		if !strings.Contains(text, fmt.Sprintf("8200 tokens, for %d clients", clients)) && text != "" {
			t.Errorf("%q", text)
		}
		return text
	}
	if text := said(50, scenario.Pool{}); text != "" {
		t.Error(text)
	}
	if text := said(56, scenario.Pool{}); !strings.Contains(text, "pool serve holds 55.") {
		t.Errorf("56 clients: %q", text)
	}
	if text := said(56, scenario.Pool{MaxSequences: 32}); text != "" {
		t.Error(text)
	}
}
