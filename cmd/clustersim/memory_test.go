package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/result"
)

// Items of a rank's memory and its cache are the whole of it, weights are their parts, and
// a pool's cache is what explain, plan and run say it is.
func TestMemoryAddsUp(t *testing.T) {
	say := func(into any, args ...string) {
		var out bytes.Buffer
		c := newRootCommand()
		c.SetArgs(append(args, "--output", "json"))
		c.SetOut(&out)
		c.SetErr(&bytes.Buffer{})
		if err := c.Execute(); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), into); err != nil {
			t.Fatal(err)
		}
	}
	of := strings.Fields("--model gpt-oss-120b --topo hgx-b200:8 --engine vllm --mode aggregated --tp 2 --dp 1 --ep 1")
	type caches struct {
		Pools map[string]result.KVPool `json:"pools"`
	}
	var x struct {
		Memory rankMemory `json:"memory"`
		KV     caches     `json:"kv"`
	}
	say(&x, append([]string{"explain", "--phase", "decode", "--batch", "8", "--context", "4096"}, of...)...)
	sum, parts, weights := x.Memory.CacheBytes, int64(0), int64(0)
	for _, i := range x.Memory.Items {
		sum += i.Bytes
		if i.Name == "weights" {
			weights = i.Bytes
		}
	}
	for _, w := range x.Memory.Weights {
		parts += w.Bytes
	}
	if m := x.Memory; sum != m.CapacityBytes || parts != weights || m.CacheBytes <= 0 || m.BatchBytes <= 0 {
		t.Errorf("items and cache are %d B of %d, parts %d of %d B of weights", sum, m.CapacityBytes, parts, weights)
	}
	var planned struct {
		Candidates []struct {
			KV caches `json:"kv"`
		} `json:"candidates"`
	}
	var run struct {
		KV caches `json:"kv"`
	}
	say(&planned, append([]string{"plan"}, of...)...)
	say(&run, append([]string{"run", "--rate", "1", "--requests", "3"}, of...)...)
	one, all, ran := x.KV.Pools["serve"], planned.Candidates[0].KV.Pools["serve"], run.KV.Pools["serve"]
	for name, k := range map[string]result.KVPool{"plan": all, "run": ran} {
		if k.BytesPerRank != x.Memory.CacheBytes || k.BytesPerRank != one.BytesPerRank || k.TokensPerRank != one.TokensPerRank || k.Tokens != k.TokensPerRank*int64(k.Ranks) || k.Ranks < 2 {
			t.Errorf("%s says %+v, explain %+v of an instance", name, k, one)
		}
		for tokens, n := range one.MaxConcurrency {
			if got := k.MaxConcurrency[tokens] / float64(k.Ranks); math.Abs(got-n) > 0.01 {
				t.Errorf("%s: a rank holds %g requests of %d tokens, explain says %g", name, got, tokens, n)
			}
		}
	}
}
