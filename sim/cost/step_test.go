package cost

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/des"
)

// cases are instances of every attention design, parallelism and overlap.
var cases = []struct {
	model, topology string
	config          Config
}{
	{"v4", "supernode8912", Config{Role: Decode, Layout: Layout{DP: 128, EP: 128}}},
	{"v4", "supernode8912", Config{Role: Prefill, Layout: Layout{DP: 32, EP: 32, Overlap: TwoBatch}}},
	{"v4", "gb300-nvl72", Config{Role: Mixed, Layout: Layout{DP: 8, EP: 8, Overlap: Wave}, Drafts: 1}},
	{"v4-flash", "hgx-h200:8", Config{Role: Mixed, Layout: Layout{TP: 8, EP: 8}, Drafts: 3}},
	{"v4-flash", "cloudmatrix384", Config{Role: Decode, Layout: Layout{DP: 64, EP: 64}, Drafts: 1}},
	{"v3", "hgx-h800:144", Config{Role: Decode, Layout: Layout{DP: 144, EP: 144, Redundant: 32, Overlap: TwoBatch}}},
	{"v3", "hgx-h200:16", Config{Role: Mixed, Layout: Layout{TP: 8, PP: 2, EP: 8}}},
	{"v3.2", "gb200-nvl72", Config{Role: Mixed, Layout: Layout{DP: 8, EP: 16, TP: 2}, Drafts: 1}},
	{"llama-3.1-8b", "hgx-h100:8", Config{Role: Mixed}},
	{"llama-3.1-70b", "hgx-b200:8", Config{Role: Mixed, Layout: Layout{TP: 4, PP: 2}}},
	{"gpt-oss-120b", "hgx-h100:8", Config{Role: Mixed, Layout: Layout{TP: 2}}},
	{"qwen3-next-80b-a3b", "hgx-h100:8", Config{Role: Mixed, Layout: Layout{DP: 8, EP: 8}}},
	{"mixtral-8x7b", "hgx-a100:8", Config{Role: Mixed, Layout: Layout{TP: 4, EP: 4}}},
	{"kimi-k2", "cloudmatrix384", Config{Role: Decode, Layout: Layout{DP: 128, EP: 128}}},
	{"qwen3-235b-a22b", "ironwood-9216", Config{Role: Decode, Layout: Layout{DP: 16, EP: 16}}},
	{"v4", "hgx-mi355x:8", Config{Role: Mixed, Layout: Layout{DP: 8, EP: 8}}},
}

func TestLedgerOfRandomSteps(t *testing.T) {
	for i, c := range cases {
		t.Run(fmt.Sprintf("%d-%s-%s", i, c.model, c.topology), func(t *testing.T) {
			s := newStepper(t, c.model, c.topology, c.config)
			loads := make([]Load, s.config.Layout.DP)
			rapid.Check(t, func(r *rapid.T) {
				chunked := s.config.Role != Decode && rapid.Bool().Draw(r, "chunked")
				for i := range loads {
					l := Load{}
					if s.config.Role != Prefill {
						l = decode(s, rapid.Int64Range(0, 256).Draw(r, "sequences"), rapid.Int64Range(1, 200000).Draw(r, "context"))
					}
					if chunked {
						l = both(l, prefill(s, rapid.Int64Range(0, 4).Draw(r, "chunks"), rapid.Int64Range(1, 2048).Draw(r, "chunk"), rapid.Int64Range(0, 100000).Draw(r, "prefix")))
					}
					loads[i] = l
				}
				step := s.Step(loads)
				sound(t, step)
				x := s.Explain(loads)
				total := int64(0)
				for _, o := range x.Operators {
					if o.Ns < 0 {
						t.Fatalf("negative row: %+v", o)
					}
					total += o.Ns
				}
				if total != x.StepNs || x.StepNs != int64(step.Time) || x.HiddenNs != int64(step.Hidden) || x.TauNs != int64(step.Tau) {
					t.Fatalf("rows sum to %d, explained step %d, hidden %d, tau %d; the step is %+v", total, x.StepNs, x.HiddenNs, x.TauNs, step)
				}
				for c, v := range step.Causes {
					if x.CausesNs[cause.Names[c]] != int64(v) {
						t.Fatalf("%s: explained %d, step %d", cause.Names[c], x.CausesNs[cause.Names[c]], v)
					}
				}
			})
		})
	}
}

func TestEmptyStepTakesNoTime(t *testing.T) {
	s := newStepper(t, "v4", "supernode8912", Config{Role: Decode, Layout: Layout{DP: 128, EP: 128}})
	if got := s.Step(make([]Load, 128)); got != (Step{}) {
		t.Errorf("got %+v", got)
	}
}

// Steps do not depend on what was priced before: tables that evict and scratch
// space must not show.
func TestStepsArePure(t *testing.T) {
	a := newStepper(t, "v4", "gb300-nvl72", Config{Role: Mixed, Layout: Layout{DP: 8, EP: 8}, Drafts: 1})
	b := newStepper(t, "v4", "gb300-nvl72", Config{Role: Mixed, Layout: Layout{DP: 8, EP: 8}, Drafts: 1})
	key := des.NewKey(1, "loads")
	draw := func(i int) []Load {
		loads := make([]Load, 8)
		for r := range loads {
			loads[r] = decode(a, int64(300*key.Uniform(uint64(i), uint64(r))), 1+int64(1e5*key.Uniform(uint64(i), uint64(r+8))))
			if i%5 == 0 {
				loads[r] = both(loads[r], prefill(a, 1, 1+int64(4000*key.Uniform(uint64(i), uint64(r+16))), 0))
			}
		}
		return loads
	}
	want := make([]Step, 9000)
	for i := range want {
		want[i] = a.Step(draw(i))
	}
	for i := len(want) - 1; i >= 0; i -= 7 {
		if got := b.Step(draw(i)); got != want[i] {
			t.Fatalf("step %d differs when priced in another order:\n%+v\n%+v", i, want[i], got)
		}
	}
}

func TestRanksAreInterchangeable(t *testing.T) {
	s := newStepper(t, "v4", "supernode8912", Config{Role: Decode, Layout: Layout{DP: 16, EP: 16}})
	loads := everywhere(s, decode(s, 20, 5000))
	loads[3] = decode(s, 60, 90000)
	want := s.Step(loads)
	loads[3], loads[12] = loads[12], loads[3]
	if got := s.Step(loads); got.Time != want.Time {
		t.Errorf("moving a load to another rank changed the step from %d to %d", want.Time, got.Time)
	}
}

func TestNoAllocationsInSteadyState(t *testing.T) {
	for _, c := range cases {
		s := newStepper(t, c.model, c.topology, c.config)
		loads := everywhere(s, decode(s, 33, 5000))
		if s.config.Role == Prefill {
			loads = everywhere(s, prefill(s, 2, 500, 0))
		}
		s.Step(loads)
		if n := testing.AllocsPerRun(50, func() { s.Step(loads) }); n != 0 {
			t.Errorf("%s on %s: %g allocations a step", c.model, c.topology, n)
		}
	}
}

func TestPairSum(t *testing.T) {
	for _, limit := range []int64{1, 3, 128, 4096, models.Unlimited} {
		for _, prefix := range []int64{0, 1, 127, 5000} {
			want, sum := []int64{}, int64(0)
			for n := int64(1); n < 300; n++ {
				sum += min(prefix+n, limit)
				want = append(want, sum)
			}
			got := []int64{}
			for n := int64(1); n < 300; n++ {
				got = append(got, PairSum(prefix, n, limit))
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("limit %d, prefix %d", limit, prefix)
			}
		}
	}
}

func BenchmarkDecodeStep(b *testing.B) {
	for _, ranks := range []int{4, 16, 128} {
		b.Run(fmt.Sprintf("model=v4/ranks=%d", ranks), func(b *testing.B) {
			layout := Layout{DP: ranks, EP: ranks}
			topology := "supernode8912"
			s := newStepper(b, map[bool]string{true: "v4-flash", false: "v4"}[ranks < 16], topology, Config{Role: Decode, Layout: layout, MaxSequences: 64})
			loads := make([]Load, ranks)
			for i := range loads {
				loads[i] = decode(s, int64(56+i%8), int64(20000+i*100))
			}
			b.ReportAllocs()
			for b.Loop() {
				for i := range loads {
					loads[i].Context[0] += loads[i].Sequences << ContextShift
				}
				s.Step(loads)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*ranks), "ns/rank")
		})
	}
}

func BenchmarkNew(b *testing.B) {
	t := loadTopology(b, "supernode8912")
	m := loadModel(b, "v4", t.Chip)
	engine := loadEngine(b, "cann")
	libs, err := LoadLibraries(t, engine)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := New(Config{Model: m, Topology: t, Engine: engine, Libraries: &libs, Role: Decode, Layout: Layout{DP: 128, EP: 128}}); err != nil {
			b.Fatal(err)
		}
	}
}
