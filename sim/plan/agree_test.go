package plan

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/sim/work"
	"github.com/clustersim/clustersim/traces"
)

// grid is what layouts are drawn over: models, systems, and the longest prompt.
var grid = []struct {
	model      string
	topologies []string
	longest    int
}{
	{"llama-3.1-8b", []string{"hgx-h100:8", "l40s:4", "atlas-800-a2:8"}, 131072},
	{"llama-3.1-70b", []string{"hgx-h100:8", "hgx-b200:16"}, 131072},
	{"qwen3-32b", []string{"hgx-h200:8", "hgx-mi300x:8"}, 40960},
	{"qwen3-30b-a3b", []string{"hgx-h100:8", "rtx-pro-6000:4"}, 40960},
	{"gpt-oss-120b", []string{"hgx-h100:8", "hgx-b200:8"}, 131072},
	{"v3", []string{"hgx-h200:16", "cloudmatrix384:32", "gb200-nvl72:32"}, 131072},
	{"v3.2", []string{"hgx-h200:16", "gb300-nvl72:36"}, 131072},
	{"v4-flash", []string{"hgx-h200:16", "supernode8912:128", "hgx-b200:8"}, 1 << 20},
	{"v4", []string{"supernode8912:128", "gb300-nvl72:36"}, 1 << 20},
	{"qwen3-next", []string{"hgx-h100:8"}, 262144},
	{"minimax-m2", []string{"hgx-h200:8"}, 131072},
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// drawCase draws the n-th layout with a workload and an SLO, the same every time.
func drawCase(n int) (*scenario.Scenario, string) {
	for try := uint64(0); ; try++ {
		r := rand.New(rand.NewPCG(uint64(n), try))
		if s := drawOnce(r); s != nil {
			w := s.Workload
			d := &s.Deployment
			text := fmt.Sprintf("%s %s %s in %s out %s %s", s.Model, s.Topology, d.Engine, w.InputTokens, w.OutputTokens, s.SLO)
			for _, p := range []struct {
				n string
				p *scenario.Pool
			}{{"serve", d.Serve}, {"prefill", d.Prefill}, {"decode", d.Decode}} {
				if p.p != nil {
					text += fmt.Sprintf(" %s %d×%s/%d", p.n, p.p.Instances, poolText(p.p), p.p.MaxTokens)
				}
			}
			return s, text
		}
	}
}

// drawLengths gives a scenario constant lengths or ones with a heavy tail.
func drawLengths(r *rand.Rand, s *scenario.Scenario, longest int) (in, out int) {
	in = int(math.Exp2(10 + r.Float64()*(math.Log2(float64(longest))-10)))
	if r.IntN(2) == 0 {
		in = min(in, 8000)
	}
	in = min(in, longest-2048)
	out = int(math.Exp2(5 + r.Float64()*6))
	var di, do traces.Dist
	it, ot := strconv.Itoa(in), strconv.Itoa(out)
	if r.IntN(2) == 0 && in*8 < longest {
		it = fmt.Sprintf("lognormal(mean=%d,p99=%d)", in, 5*in)
		ot = fmt.Sprintf("lognormal(mean=%d,p99=%d)", out, 5*out)
	}
	if di.UnmarshalText([]byte(it)) != nil || do.UnmarshalText([]byte(ot)) != nil {
		panic(it)
	}
	s.Workload = &scenario.Workload{InputTokens: &di, OutputTokens: &do}
	return in, out
}

func drawOnce(r *rand.Rand) *scenario.Scenario {
	g := pick(r, grid)
	s := asked(g.model, pick(r, g.topologies))
	in, out := drawLengths(r, s, g.longest)
	s.SLO = slo.Default()
	switch r.IntN(3) {
	case 0:
		s.SLO.TPOT *= 2
	case 1:
		s.SLO.TPOT /= 2
		s.SLO.TTFT.Limit *= 2
	}
	s.Deployment.Mode = pick(r, []string{"aggregated", "disaggregated"})
	s.Defaults()
	inputs, err := plant.Load(s, sim.Options{}.Source)
	if err != nil {
		panic(err)
	}
	if inputs.Engine.Name != "cann" {
		s.Deployment.Engine = pick(r, []string{"vllm", "sglang", "trtllm"})
	}
	all := shapes(inputs.Model, inputs.Topology, &scenario.Pool{}, sharing{most: 1})
	budget := pick(r, []int{0, 0, 0, 1024, 2048, 4096, 16384})
	draw := func(role cost.Role, of int) *scenario.Pool {
		p := pick(r, all)
		p.MaxTokens = budget
		if role == cost.Decode {
			p.MaxTokens = 0
		}
		if max(1, p.TP)*max(1, p.DP)*max(1, p.PP) > 64 {
			return nil
		}
		st, err := inputs.Stepper(s, &p, role)
		if err != nil || !sim.Fits(st, int64(10*in+5*out)) {
			return nil
		}
		most := of / st.Chips()
		if most < 1 {
			return nil
		}
		p.Instances = 1 + r.IntN(min(most, 4))
		return &p
	}
	d := &s.Deployment
	if d.Mode == "aggregated" {
		if d.Serve = draw(cost.Mixed, inputs.Topology.Chips); d.Serve == nil {
			return nil
		}
		return s
	}
	if d.Prefill = draw(cost.Prefill, inputs.Topology.Chips); d.Prefill == nil {
		return nil
	}
	if d.Decode = draw(cost.Decode, inputs.Topology.Chips*2/3); d.Decode == nil {
		return nil
	}
	if _, _, err := Complete(context.Background(), s, sim.Options{}, Options{LayoutOnly: true}); err != nil {
		return nil
	}
	return s
}

// agreement is what the estimate and runs say of one layout.
type agreement struct {
	text                         string
	ttft, runTTFT, tpot, runTPOT float64 // ms, of a request alone
	estimate, found              float64 // requests a second
	meets                        bool
}

func agree(n int) (a agreement, err error) {
	s, text := drawCase(n)
	a.text = text
	_, p, err := Complete(context.Background(), s, sim.Options{}, Options{LayoutOnly: true})
	if err != nil {
		return a, err
	}
	c := &p.Candidates[0]
	a.meets, a.estimate, a.ttft, a.tpot = c.MeetsSLO, p.CapacityRequestsPerS, c.AloneTTFTMs, c.AloneTPOTMs
	one := s.Clone()
	one.Workload.Concurrency, one.Workload.Requests, one.Workload.Start = 1, 100, ""
	r, err := sim.Run(context.Background(), one, sim.Options{})
	if err != nil {
		return a, err
	}
	a.runTTFT, a.runTPOT = r.Latency.TTFT.Mean, r.Latency.TPOT.Mean
	if _, p, err = Complete(context.Background(), s, sim.Options{}, Options{FindCapacity: true, Workers: 1}); err != nil {
		return a, err
	}
	a.found = p.Capacity.RequestsPerS
	return a, nil
}

// Over layouts that are drawn, of all models and sizes, on one rank and many, with prompts
// of 1K to 1M tokens: a request alone has in the estimate what it has in a run of one
// client, and the estimated capacity is near what bisected runs find. A few are compared
// at every test, as many as CLUSTERSIM_GRID says when it is given, with a table of them.
func TestEstimatesAgreeWithRuns(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("CLUSTERSIM_GRID"))
	table := n > 0
	n = max(n, 4)
	all := make([]agreement, n)
	for _, err := range work.Each(t.Context(), n, runtime.GOMAXPROCS(0), func(i int) (err error) {
		all[i], err = agree(i)
		return err
	}, nil) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var off []float64
	for i, a := range all {
		if table {
			fmt.Printf("%3d capacity %8.4g / %8.4g = %5.2f, alone TTFT %8.0f / %8.0f, TPOT %6.2f / %6.2f ms  %s\n",
				i, a.estimate, a.found, a.estimate/a.found, a.ttft, a.runTTFT, a.tpot, a.runTPOT, a.text)
		}
		// a hundred lengths of a heavy tail have another mean than the workload
		if math.Abs(a.ttft/a.runTTFT-1) > 0.08 || math.Abs(a.tpot/a.runTPOT-1) > 0.08 {
			t.Errorf("alone: TTFT %.4g ms, in a run %.4g; TPOT %.4g and %.4g: %s", a.ttft, a.runTTFT, a.tpot, a.runTPOT, a.text)
		}
		switch {
		case a.meets != (a.found > 0):
			t.Errorf("meets the SLO: %v; found %g requests/s: %s", a.meets, a.found, a.text)
		case a.found > 0:
			off = append(off, math.Abs(math.Log(a.estimate/a.found)))
		}
	}
	slices.Sort(off)
	within := func(part float64) float64 {
		k, _ := slices.BinarySearch(off, math.Log1p(part))
		return float64(k) / float64(len(off))
	}
	t.Logf("%d capacities: %.0f %% within a tenth, %.0f %% within a quarter, worst by a factor of %.2f", len(off), 100*within(0.1), 100*within(0.25), math.Exp(off[len(off)-1]))
	if within(0.25) < 0.75 || math.Exp(off[len(off)*9/10]) > 2 {
		t.Error("the estimates are off")
	}
}
