package plan

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/topologies"
)

func shaped(t *testing.T, model, system string, want scenario.Pool, share sharing) []scenario.Pool {
	t.Helper()
	m, err := models.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	x, err := topologies.Load(system)
	if err != nil {
		t.Fatal(err)
	}
	found := shapes(m, x, &want, share)
	if len(found) == 0 {
		t.Fatalf("%s on %s, %+v: no layout is tried", model, system, want)
	}
	for i, p := range found {
		if slices.ContainsFunc(found[:i], func(q scenario.Pool) bool { return q == p }) {
			t.Errorf("%s on %s: %+v is tried twice", model, system, p)
		}
	}
	return found
}

// Ranks that share prompts are taken from those that have prompts of their own: the
// experts lie on as many as before, in instances of the same sizes, and those layouts that
// share nothing are the ones that are tried without sharing.
func TestSharingShapes(t *testing.T) {
	apart := shaped(t, "v4", "supernode8912", scenario.Pool{}, sharing{most: 1})
	both := shaped(t, "v4", "supernode8912", scenario.Pool{}, sharing{most: 50, budget: 16384})
	degrees := map[int]bool{}
	for _, p := range both {
		degrees[p.CP] = true
		if p.CP == 1 {
			if !slices.Contains(apart, p) {
				t.Errorf("%+v is only tried beside layouts that share", p)
			}
			continue
		}
		if p.TP != 1 || p.PP != 1 || p.EP != p.DP*p.CP {
			t.Errorf("%+v shares", p)
		}
		want := 0 // left to the engine's budget, which is 1,024 tokens of 16 ranks
		if p.CP > 16 {
			want = 1024 * p.CP
		}
		if p.MaxTokens != want {
			t.Errorf("CP %d: a step takes %d tokens, want %d", p.CP, p.MaxTokens, want)
		}
	}
	if len(degrees) != 6 || !degrees[32] {
		t.Errorf("degrees %v up to 50", degrees)
	}
	for _, p := range shaped(t, "v3", "hgx-h200:64", scenario.Pool{CP: 4}, sharing{most: 1}) {
		if p.CP != 4 || p.EP != p.TP*p.DP*4 {
			t.Errorf("CP 4 was asked for, %+v tried", p)
		}
	}
	for _, p := range shaped(t, "v3", "hgx-h200:64", scenario.Pool{DP: 2, MaxTokens: 9000}, sharing{most: 64, budget: 8192}) {
		if p.DP != 2 || p.EP != p.TP*2*p.CP || p.MaxTokens != 9000 {
			t.Errorf("DP 2 and 9,000 tokens were asked for, %+v tried", p)
		}
	}
	for _, p := range shaped(t, "llama-3.1-70b", "hgx-h100", scenario.Pool{}, sharing{most: 16, budget: 8192}) {
		if p.TP*p.DP*p.PP*p.CP > 8 || p.CP > 1 && p.PP > 1 {
			t.Errorf("eight chips hold %+v", p)
		}
	}
}

// Sharing is tried where prompts run by themselves, the engine cuts them and they are long
// enough, and no layer passes a state from one rank's block to the next.
func TestSharing(t *testing.T) {
	for _, x := range []struct {
		model, engine string
		prompt        int64
		role          cost.Role
		most          int
	}{
		{"v4-flash", "cann", 65536, cost.Prefill, 64},
		{"v4-flash", "cann", 1000000, cost.Prefill, widestCP},
		{"v4-flash", "cann", 4095, cost.Prefill, 3},
		{"v4-flash", "cann", 1000, cost.Prefill, 1},
		{"v4-flash", "cann", 65536, cost.Decode, 1},
		{"v4-flash", "cann", 65536, cost.Mixed, 1},
		{"v3", "trtllm", 65536, cost.Prefill, 1},
		{"qwen3-next", "sglang", 65536, cost.Prefill, 1},
	} {
		s := asked(x.model, "hgx-h200:64")
		s.Deployment.Engine = x.engine
		in, err := plant.Load(s, plant.Source{})
		if err != nil {
			t.Fatal(err)
		}
		q := &query{pricer: &pricer{demand: demand{inP90: x.prompt}}, inputs: in}
		if got := q.sharing(x.role).most; got != x.most {
			t.Errorf("%+v: at most %d ranks share", x, got)
		}
	}
}

// What the estimate says of a request alone is what one client has, hand-over included,
// however many ranks share its prompt.
func TestSharingAlone(t *testing.T) {
	for _, x := range []struct {
		model, topology, prompt string
		tp, dp, cp              int
	}{
		{"v4-flash", "supernode8912", "4000", 1, 2, 8}, {"v4-flash", "supernode8912", "500000", 1, 1, 16}, {"v4-flash", "supernode8912", "60000", 2, 2, 4},
		{"v3.2", "gb200-nvl72", "130000", 1, 1, 8}, {"llama-3.1-70b", "hgx-h200:16", "100000", 2, 1, 4},
	} {
		s := asked(x.model, x.topology)
		for path, value := range map[string]string{
			"workload.input_tokens": x.prompt, "workload.output_tokens": "20", "workload.concurrency": "1", "workload.requests": "5",
			"deployment.mode": "disaggregated", "deployment.decode.instances": "1", "deployment.decode.tp": "8", "deployment.prefill.instances": "1",
			"deployment.prefill.tp": strconv.Itoa(x.tp), "deployment.prefill.dp": strconv.Itoa(x.dp), "deployment.prefill.cp": strconv.Itoa(x.cp),
		} {
			if err := s.Set(path, value); err != nil {
				t.Fatal(err)
			}
		}
		ready, p := complete(t, s, Options{})
		r, err := sim.Run(t.Context(), ready, p.Options)
		if err != nil {
			t.Fatal(err)
		}
		got, want := p.Candidates[0].AloneTTFTMs, r.Latency.TTFT.Mean
		if ready.Deployment.Prefill.CP != x.cp || math.Abs(got/want-1) > 0.02 {
			t.Errorf("%+v: TTFT %.1f ms alone, a run has %.1f", x, got, want)
		}
	}
}

// The search shares a prompt of a million tokens: a request alone has its first token in a
// fraction of the time that the best layout which shares nothing needs.
func TestMillionTokens(t *testing.T) {
	alone := func(cp string) (*scenario.Scenario, float64) {
		s := asked("v4", "supernode8912:512")
		for path, value := range map[string]string{
			"workload.input_tokens": "1000000", "workload.output_tokens": "1000", "workload.concurrency": "1", "deployment.mode": "disaggregated", "deployment.prefill.cp": cp,
		} {
			if err := s.Set(path, value); err != nil {
				t.Fatal(err)
			}
		}
		ready, p := complete(t, s, Options{LayoutOnly: true})
		return ready, p.Candidates[0].AloneTTFTMs
	}
	_, apart := alone("1")
	ready, shared := alone("0")
	if ready.Deployment.Prefill.CP < 16 || shared > 20_000 || shared > apart/5 {
		t.Errorf("CP %d: %.0f ms, without sharing %.0f", ready.Deployment.Prefill.CP, shared, apart)
	}
}
