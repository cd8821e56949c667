package sim_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/result"
)

// Conversations at a moderate load: eighty at a time on eight instances.
const (
	sessions = `
name: conversations
description: Each turn sends the conversation so far and some more.
input_tokens: lognormal(mean=600,p99=3000)
output_tokens: uniform(50,150)
arrivals: poisson
sessions: {shared_tokens: 512, turns: 10, turn_gap: 10s, block_tokens: 64}
`
	conversations = `
version: 1
model: llama-3.1-8b
topology: hgx-h100:8
workload: {profile: chat, rate: 8, requests: 1500, start: empty}
deployment: {mode: aggregated, serve: {instances: 8, tp: 1}, engine: vllm}
`
)

// Routers that keep a conversation together, or go where its past is, compute less of it again
// than one that goes by load, and first tokens are out sooner; without a weight nothing changes.
func TestAffinityPaysForConversations(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.yaml")
	if err := os.WriteFile(file, []byte(sessions), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(set ...string) *result.Result {
		t.Helper()
		s := read(t, conversations)
		s.Workload.Profile = file
		for _, x := range set {
			path, value, _ := strings.Cut(x, "=")
			if err := s.Set(path, value); err != nil {
				t.Fatal(err)
			}
		}
		r, err := sim.Run(t.Context(), s, sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	base := run()
	t.Logf("least-loaded: %.3f of blocks hit, TTFT %.1f ms", base.KV.PrefixHitRate, ttft(base))
	for _, set := range [][]string{
		{"router.policy=session-sticky"},
		{"router.policy=prefix-aware"}, // with its own weight
		{"router.policy=prefix-aware", "router.weight=8"},
	} {
		r := run(set...)
		t.Logf("%v: %.3f of blocks hit, TTFT %.1f ms", set, r.KV.PrefixHitRate, ttft(r))
		if r.KV.PrefixHitRate < base.KV.PrefixHitRate+0.05 || ttft(r) > ttft(base) {
			t.Errorf("%v: %.3f of blocks hit, TTFT %.1f ms; least-loaded %.3f, %.1f", set, r.KV.PrefixHitRate, ttft(r), base.KV.PrefixHitRate, ttft(base))
		}
	}
	weightless := run("router.policy=prefix-aware", "router.weight=0")
	weightless.Scenario, weightless.RunID = base.Scenario, base.RunID
	if !reflect.DeepEqual(weightless, base) {
		t.Error("a weight of 0 changes the result")
	}
}
