package plan

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
)

func asked(model, topology string) *scenario.Scenario {
	return &scenario.Scenario{Version: scenario.Version, Model: model, Topology: topology, Seed: 1}
}

func complete(t testing.TB, s *scenario.Scenario, o Options) (*scenario.Scenario, *Plan) {
	t.Helper()
	out, p, err := Complete(context.Background(), s, sim.Options{}, o)
	if err != nil {
		t.Fatal(err)
	}
	return out, p
}

// laid fixes the layout that is best by estimate, so that probes have one to measure.
func laid(t testing.TB, s *scenario.Scenario) *scenario.Scenario {
	t.Helper()
	out, _ := complete(t, s, Options{LayoutOnly: true})
	fixed := s.Clone()
	fixed.Deployment = out.Deployment
	return fixed
}

// Systems of every kind find a layout within the SLO, the same one on one and on
// several goroutines.
func TestSearchIsDeterministic(t *testing.T) {
	for _, c := range []struct{ model, topology string }{
		{"llama-3.1-8b", "hgx-h100:8"}, {"v3", "cloudmatrix384"}, {"v4-flash", "hgx-h200:16"}, {"v4", "supernode8912"},
	} {
		t.Run(c.model+" "+c.topology, func(t *testing.T) {
			one, p1 := complete(t, asked(c.model, c.topology), Options{LayoutOnly: true, Workers: 1})
			two, p2 := complete(t, asked(c.model, c.topology), Options{LayoutOnly: true, Workers: 4})
			if !reflect.DeepEqual(one, two) || !reflect.DeepEqual(p1.Candidates, p2.Candidates) {
				t.Error("the plan depends on the number of goroutines")
			}
			if best := p1.Candidates[0]; !best.Fits || !best.MeetsSLO || best.CapacityRequestsPerS <= 0 || best.TPOTMs > 50 || best.TTFTMs > 2000 {
				t.Errorf("the best candidate: %+v", best)
			}
			for i := 1; i < len(p1.Candidates); i++ {
				a, b := p1.Candidates[i-1], p1.Candidates[i]
				if a.MeetsSLO && b.MeetsSLO && b.CapacityRequestsPerS > a.CapacityRequestsPerS*(1+2*sameCapacity) {
					t.Errorf("candidate %d has a higher capacity than the one before: %g > %g", i, b.CapacityRequestsPerS, a.CapacityRequestsPerS)
				}
			}
		})
	}
}

// What the plan says fits is accepted by a run, which places instances by itself, and
// its caches hold what the plan says.
func TestCandidatesRun(t *testing.T) {
	for _, c := range []struct{ model, topology string }{{"llama-3.1-8b", "hgx-h100:8"}, {"v4-flash", "hgx-h200:24"}, {"v3", "cloudmatrix384"}} {
		s, p := complete(t, asked(c.model, c.topology), Options{LayoutOnly: true})
		s.Workload.Rate, s.Workload.Requests, s.Workload.Start = 1, 1, "empty"
		for i, cand := range p.Candidates {
			if !cand.Fits || i >= 20 {
				break
			}
			s.Deployment = cand.Layout
			r, err := sim.Run(context.Background(), s, sim.Options{})
			if err != nil {
				t.Errorf("%s on %s, %s: %v", c.model, c.topology, cand.Text, err)
			} else if !reflect.DeepEqual(r.KV.Pools, cand.KV.Pools) {
				t.Errorf("%s on %s, %s: the plan says caches of %v, the run of %v", c.model, c.topology, cand.Text, cand.KV.Pools, r.KV.Pools)
			}
		}
	}
}

// The search without simulation agrees with a bisection of runs.
func TestCapacityAgainstRuns(t *testing.T) {
	for _, c := range []struct {
		model, topology, mode string
		tolerance             float64
	}{
		{"llama-3.1-8b", "hgx-h100:8", "aggregated", 0.15},
		{"llama-3.1-8b", "hgx-h100:8", "disaggregated", 0.15},
		// Seven decode layouts tie at what prefill sustains; runs of the first are at
		// the edge of their TPOT.
		{"v3", "cloudmatrix384", "disaggregated", 0.25},
		{"v3", "cloudmatrix384", "aggregated", 0.25},
	} {
		s := asked(c.model, c.topology)
		s.Deployment.Mode = c.mode
		_, estimated := complete(t, s, Options{LayoutOnly: true})
		_, found := complete(t, laid(t, s), Options{FindCapacity: true})
		ratio := estimated.CapacityRequestsPerS / found.CapacityRequestsPerS
		t.Logf("%s on %s, %s: %s: estimated %.4g, found %.4g requests/s", c.model, c.topology, c.mode, found.Candidates[0].Text, estimated.CapacityRequestsPerS, found.CapacityRequestsPerS)
		if math.Abs(math.Log(ratio)) > c.tolerance {
			t.Errorf("%s on %s, %s: the estimate is %.2f of what runs sustain", c.model, c.topology, c.mode, ratio)
		}
	}
}

// A completed scenario is complete: planning it again changes nothing.
func TestCompleteTwice(t *testing.T) {
	once, _ := complete(t, asked("qwen3-32b", "l40s:4"), Options{})
	text, err := once.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := plant.Read("printed", text)
	if err != nil {
		t.Fatal(err)
	}
	twice, _ := complete(t, read, Options{})
	if !reflect.DeepEqual(once, twice) {
		again, _ := twice.Marshal()
		t.Errorf("planned once:\n%s\nand twice:\n%s", text, again)
	}
}

func TestWhatIsFixedStays(t *testing.T) {
	s := asked("v4-flash", "hgx-h200:16")
	s.Deployment.Mode = "disaggregated"
	s.Deployment.Decode = &scenario.Pool{TP: 2, MaxSequences: 24}
	s.Deployment.Prefill = &scenario.Pool{Instances: 1}
	out, p := complete(t, s, Options{LayoutOnly: true})
	if d := out.Deployment; d.Decode.TP != 2 || d.Decode.MaxSequences != 24 || d.Prefill.Instances != 1 || d.Why == "" {
		t.Errorf("decode %+v, prefill %+v, why %q", d.Decode, d.Prefill, d.Why)
	}
	for _, c := range p.Candidates {
		if c.Layout.Serve != nil {
			t.Errorf("an aggregated candidate where pools are fixed: %s", c.Text)
		}
	}
	s.Deployment = scenario.Deployment{Overlap: "two-batch", Routing: "power-law(1.01)", Engine: "sglang",
		MTP: scenario.MTP{Drafts: 1}, Precision: scenario.Precision{KV: "bf16"}}
	out, _ = complete(t, s, Options{LayoutOnly: true})
	got := out.Deployment
	got.Mode, got.Prefill, got.Decode, got.Serve, got.Why = "", nil, nil, nil, ""
	if !reflect.DeepEqual(got, s.Deployment) {
		t.Errorf("beside the layout, %+v became %+v", s.Deployment, got)
	}
	whole := &scenario.Pool{Instances: 2, TP: 4}
	s.Deployment = scenario.Deployment{Serve: whole}
	out, _ = complete(t, s, Options{LayoutOnly: true})
	if got := out.Deployment.Serve; got.Instances != 2 || got.TP != 4 || got.DP != 1 || got.EP != 1 || out.Deployment.Why != "" {
		t.Errorf("a pool described in full became %+v, why %q", got, out.Deployment.Why)
	}
	if whole.DP != 0 {
		t.Error("the given scenario was changed")
	}
}

func TestNothingFits(t *testing.T) {
	_, _, err := Complete(context.Background(), asked("v4", "rtx-4090"), sim.Options{}, Options{})
	if !errors.Is(err, ErrNoLayout) || !strings.Contains(err.Error(), "weights") || !strings.Contains(err.Error(), "GB") {
		t.Errorf("want the arithmetic of what does not fit, got: %v", err)
	}
	s := asked("llama-3.1-8b", "hgx-h100:8")
	s.Deployment.Serve = &scenario.Pool{Instances: 9, TP: 1}
	if _, _, err := Complete(context.Background(), s, sim.Options{}, Options{}); !errors.Is(err, ErrNoLayout) || !strings.Contains(err.Error(), "8 chips") {
		t.Errorf("nine instances on eight chips: %v", err)
	}
}

// An SLO out of reach: the least violation, flagged.
func TestLeastViolation(t *testing.T) {
	s := asked("llama-3.1-8b", "hgx-h100:8")
	s.SLO.TPOT = 1_000_000
	_, p := complete(t, s, Options{LayoutOnly: true})
	if len(p.Warnings) == 0 || p.Candidates[0].MeetsSLO {
		t.Fatalf("warnings %v, best %+v", p.Warnings, p.Candidates[0])
	}
	best := p.Candidates[0].TPOTMs
	for _, c := range p.Candidates {
		if c.Fits && c.TPOTMs < best/1.3 {
			t.Errorf("%s misses TPOT by less: %g ms against %g ms", c.Text, c.TPOTMs, best)
		}
	}
}

// A trace on standard input is read whole by the run, though the plan has looked at it.
func TestStandardInputIsPutBack(t *testing.T) {
	var text strings.Builder
	text.WriteString("TIMESTAMP,ContextTokens,GeneratedTokens\n")
	for i := range sampled + 5 {
		text.WriteString("2023-11-16 18:17:03.000" + string(rune('0'+i*10/(sampled+5))) + "00,100,10\n")
	}
	s := asked("llama-3.1-8b", "hgx-h100:8")
	s.Trace = &scenario.Trace{File: "-"}
	_, p, err := Complete(context.Background(), s, sim.Options{Stdin: strings.NewReader(text.String())}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(p.Options.Stdin)
	if err != nil || !bytes.Equal(got, []byte(text.String())) {
		t.Errorf("%d bytes are left of %d, %v", len(got), text.Len(), err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Complete(ctx, asked("llama-3.1-8b", "hgx-h100:8"), sim.Options{}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkSearch(b *testing.B) {
	for _, c := range []struct{ model, topology string }{
		{"llama-3.1-8b", "hgx-h100:8"}, {"v3", "cloudmatrix384"}, {"v4", "supernode8912"},
	} {
		b.Run("model="+c.model+"/topology="+c.topology, func(b *testing.B) {
			for b.Loop() {
				complete(b, asked(c.model, c.topology), Options{LayoutOnly: true})
			}
		})
	}
}
