package plan

import (
	"context"
	"math"
	"strconv"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/traces"
)

// What a plan says of a request alone is what a run with one client shows: for prompts of
// 1K to 1M tokens, in one chunk and in hundreds, on one rank and on many, in stages, with
// drafts, in one pool and in two.
func TestAloneIsOneClient(t *testing.T) {
	pool := func(instances, tp, dp, ep, pp, tokens int) *scenario.Pool {
		return &scenario.Pool{Instances: instances, TP: tp, DP: dp, EP: ep, PP: pp, MaxTokens: tokens}
	}
	for _, c := range []struct {
		model, topology, engine string
		in, out, drafts         int
		serve, prefill, decode  *scenario.Pool
	}{
		{"llama-3.1-8b", "hgx-h100:8", "vllm", 100_000, 64, 0, pool(1, 1, 1, 1, 1, 0), nil, nil},
		{"llama-3.1-8b", "hgx-h100:8", "vllm", 100_000, 64, 0, pool(1, 1, 1, 1, 1, 512), nil, nil},
		{"llama-3.1-70b", "hgx-b200:16", "trtllm", 1905, 79, 0, nil, pool(1, 8, 1, 1, 1, 1024), pool(1, 4, 1, 1, 1, 0)},
		{"llama-3.1-70b", "hgx-h100:8", "sglang", 30_000, 200, 0, pool(2, 1, 1, 1, 4, 4096), nil, nil},
		{"v3", "hgx-h200:32", "sglang", 8000, 500, 1, nil, pool(1, 1, 16, 16, 1, 0), pool(1, 1, 16, 16, 1, 0)},
		{"v4-flash", "hgx-h200:16", "vllm", 600_000, 300, 0, pool(2, 1, 8, 8, 1, 16384), nil, nil},
		{"v4", "supernode8912:256", "cann", 1_000_000, 100, 1, nil, pool(1, 2, 32, 64, 1, 0), pool(1, 1, 64, 64, 1, 0)},
		{"gpt-oss-120b", "hgx-h100:8", "trtllm", 1024, 2000, 0, pool(4, 2, 1, 1, 1, 0), nil, nil},
	} {
		s := asked(c.model, c.topology)
		s.Workload = &scenario.Workload{InputTokens: constant(t, c.in), OutputTokens: constant(t, c.out)}
		s.Deployment = scenario.Deployment{Engine: c.engine, Serve: c.serve, Prefill: c.prefill, Decode: c.decode, MTP: scenario.MTP{Drafts: c.drafts}}
		_, p := complete(t, s, Options{LayoutOnly: true})
		s.Workload.Concurrency, s.Workload.Requests = 1, 3
		r, err := sim.Run(context.Background(), s, sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := &p.Candidates[0]
		for _, x := range []struct {
			what      string
			plan, run float64
		}{{"TTFT", got.AloneTTFTMs, r.Latency.TTFT.Mean}, {"TPOT", got.AloneTPOTMs, r.Latency.TPOT.Mean}} {
			if math.Abs(x.plan/x.run-1) > 0.03 {
				t.Errorf("%s on %s, %d tokens, %s: %s %.5g ms in the plan, %.5g ms in a run of one client", c.model, c.topology, c.in, got.Text, x.what, x.plan, x.run)
			}
		}
	}
}

func constant(t *testing.T, n int) *traces.Dist {
	t.Helper()
	var d traces.Dist
	if err := d.UnmarshalText([]byte(strconv.Itoa(n))); err != nil {
		t.Fatal(err)
	}
	return &d
}
