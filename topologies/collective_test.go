package topologies

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func within(t *testing.T, what string, got, want, pct float64) {
	t.Helper()
	if math.Abs(got/want-1)*100 > pct {
		t.Errorf("%s: %.4g, want %.4g within %v %%", what, got, want, pct)
	}
}

const µs = 1e6

// DeepSeek shapes: hidden 7168, top-8, 128 tokens a rank.
func decodeMoE(ranks, experts int, bytes float64) MoE {
	return MoE{Ranks: ranks, Tokens: 128, TopK: 8, Experts: experts, BytesPerCopy: bytes}
}

// CANN on CloudMatrix384, arXiv:2506.12708v2 table 7: µs by EP in dies.
func TestCANNTable(t *testing.T) {
	x := system(t, "cloudmatrix384")
	l := library(t, x, "cann")
	for _, r := range []struct {
		ep                int
		dispatch, combine float64
	}{{8, 116, 118}, {16, 131, 132}, {32, 133, 146}, {64, 141, 150}, {128, 152, 150}, {256, 152, 149}} {
		within(t, fmt.Sprintf("dispatch EP%d", r.ep), x.Dispatch(l, decodeMoE(r.ep, 256, 7168)).Total()*µs, r.dispatch, 2.8)
		within(t, fmt.Sprintf("combine EP%d", r.ep), x.Combine(l, decodeMoE(r.ep, 256, 14336)).Total()*µs, r.combine, 4.4)
	}
}

// The extrapolation to EP320: what the fitted law says on other fabrics.
func TestExtrapolationToEP320(t *testing.T) {
	for _, r := range []struct {
		ref               string
		dispatch, combine float64
		alphaShare        float64
	}{
		{"cloudmatrix384", 155, 156, 0.13},
		{"atlas950-8192-flat", 44, 48, 0.43},
		{"atlas950-8192", 111, 117, 0.175},
		{"supernode8912", 111, 117, 0.175},
		{"supernode8912-flat", 44, 48, 0.43},
	} {
		x := system(t, r.ref)
		l := library(t, x, "cann")
		d, c := x.Dispatch(l, decodeMoE(320, 320, 7168)), x.Combine(l, decodeMoE(320, 320, 14336))
		within(t, r.ref+" dispatch", d.Total()*µs, r.dispatch, 3)
		within(t, r.ref+" combine", c.Total()*µs, r.combine, 3)
		if share := (d.Latency + c.Latency) / (d.Total() + c.Total()); math.Abs(share-r.alphaShare) > 0.04 {
			t.Errorf("%s: α is %.3f of the time, want %.3f", r.ref, share, r.alphaShare)
		}
	}
	// One flow class capped at nine ports: 504 GB/s.
	x := *system(t, "atlas950-8192-flat")
	x.Tiers = append([]Tier(nil), x.Tiers...)
	for i := range x.Tiers {
		x.Tiers[i].Bandwidth = 504e9
	}
	l := library(t, &x, "cann")
	within(t, "504 GB/s dispatch", x.Dispatch(l, decodeMoE(320, 320, 7168)).Total()*µs, 69, 3)
	within(t, "504 GB/s combine", x.Combine(l, decodeMoE(320, 320, 14336)).Total()*µs, 75, 3)
}

// DeepEP legacy on H800 (deepseek-ai/DeepEP@0297fc8 docs/legacy.md), blind: the
// law was fitted on the H100. Signed errors in percent are those stated for it.
func TestDeepEPLowLatencyOnH800(t *testing.T) {
	for _, r := range []struct {
		ep                int
		dispatch, combine float64
		errD, errC        float64
	}{{16, 118, 195, -15.5, -6.0}, {32, 155, 273, -7.7, -3.7}, {64, 173, 314, -3.6, -3.4}, {128, 192, 369, -5.9, -12.1}, {256, 194, 360, -2.3, -6.8}} {
		x := system(t, fmt.Sprintf("hgx-h800:%d", r.ep))
		l := library(t, x, "deepep-ll")
		d := x.Dispatch(l, decodeMoE(r.ep, 256, 7168+224)).Total() * µs
		c := x.Combine(l, decodeMoE(r.ep, 256, 14336)).Total() * µs
		if e := 100 * (d/r.dispatch - 1); math.Abs(e-r.errD) > 1 {
			t.Errorf("EP%d dispatch %.1f µs is %.1f %% off, stated %.1f", r.ep, d, e, r.errD)
		}
		if e := 100 * (c/r.combine - 1); math.Abs(e-r.errC) > 1 {
			t.Errorf("EP%d combine %.1f µs is %.1f %% off, stated %.1f", r.ep, c, e, r.errC)
		}
	}
}

// TensorRT-LLM two-sided on GB200, FP8 dispatch (prepare beside it) and BF16 combine.
func TestTRTLLMTable(t *testing.T) {
	x := system(t, "nvl72")
	l := library(t, x, "trtllm-alltoall")
	for _, r := range []struct {
		ep                         int
		dispatch, prepare, combine float64
	}{{8, 23, 15, 37}, {16, 25, 15, 39}, {32, 27, 15, 42}, {64, 28, 17, 43}} {
		m := decodeMoE(r.ep, 256, 7168)
		m.Balanced = true
		within(t, fmt.Sprintf("dispatch EP%d", r.ep), x.Dispatch(l, m).Total()*µs, r.dispatch+r.prepare, 6)
		m.BytesPerCopy = 14336
		within(t, fmt.Sprintf("combine EP%d", r.ep), x.Combine(l, m).Total()*µs, r.combine, 10)
	}
}

// DeepEP normal between nodes: published rates in GB/s of node-deduplicated
// copies (legacy: H800, 4096 tokens; V2: 8192 tokens), FP8 there, BF16 back.
func TestDeepEPNormalRates(t *testing.T) {
	for _, r := range []struct {
		ref             string
		ep, groups      int
		tokens          float64
		there, back, by float64
	}{
		{"hgx-h800:16", 16, 4, 4096, 43, 43, 5}, {"hgx-h800:32", 32, 4, 4096, 58, 57, 6}, {"hgx-h800:64", 64, 4, 4096, 51, 50, 5},
		{"hgx-h100:16", 16, 0, 8192, 90, 81, 12}, {"hgx-b200:16", 16, 0, 8192, 90, 91, 5}, {"hgx-h100:32", 32, 0, 8192, 61, 61, 5},
	} {
		x := system(t, r.ref)
		l := library(t, x, "deepep-normal")
		// Its test makes a node a group, of which a token goes to four at most.
		nodes := r.ep / 8
		m := MoE{Ranks: r.ep, Tokens: r.tokens, TopK: 8, Experts: 256, Groups: min(nodes, r.groups), ExpertGroups: nodes}
		copies := distinct(float64(nodes), 8)
		if r.groups > 0 {
			copies = distinct(float64(min(nodes, r.groups)), 8)
		}
		for i, want := range []float64{r.there, r.back} {
			m.BytesPerCopy = []float64{7168 + 224, 14336}[i]
			c := x.Dispatch(l, m)
			if i == 1 {
				c = x.Combine(l, m)
			}
			within(t, fmt.Sprintf("%s %s", r.ref, []string{"dispatch", "combine"}[i]), m.Tokens*copies*m.BytesPerCopy/c.Bandwidth/1e9, want, r.by)
		}
	}
}

// HIXL on the A3 (xiaojia151/Hixl@875da07), per die: µs and GB/s.
func TestTransferTable(t *testing.T) {
	x := system(t, "cloudmatrix384")
	l := library(t, x, "cann")
	for _, r := range []struct {
		tier      int
		write     bool
		alpha, bw float64
	}{{0, false, 1.56, 152.5}, {1, false, 3.07, 150.8}, {0, true, 1.56, 126}, {1, true, 3.05, 125.5}} {
		move := x.Transfer
		if r.write {
			move = x.TransferWrite
		}
		c := move(l, r.tier, 8e6)
		within(t, "α", c.Latency*µs, r.alpha, 0.1)
		within(t, "rate", 8e6/c.Bandwidth/1e9, r.bw, 0.6)
		traversals := 2.0
		if r.write {
			traversals = 1
		}
		within(t, "τ", c.Tau, traversals*x.Tiers[r.tier].Tau.Path().Seconds(), 0.1)
	}
}

// Megabyte counts of the one- and two-shot crossover, and the closed form of each.
func TestAllReduceClosedForm(t *testing.T) {
	x := system(t, "hgx-h100")
	l := library(t, x, "custom-allreduce")
	one := func(s float64) float64 { return 2.4 + 0.125*7 + 7*s/(0.63*450e3) }
	two := func(s float64) float64 { return 2.4 + 7.6 + 0.125*7 + 2*7/8.0*s/(0.71*450e3) }
	for _, s := range []float64{256, 16384, 131072, 1 << 20, 8 << 20} {
		within(t, fmt.Sprintf("%g B", s), x.AllReduce(l, 8, s, 1).Total()*µs, min(one(s), two(s)), 0.01)
	}
	if c := x.AllReduce(l, 8, 256, 1); math.Abs(c.Tau-0.4e-6) > 1e-9 {
		t.Errorf("one-shot τ %g s, want one NVLink traversal", c.Tau)
	}
	if c := x.AllReduce(l, 8, 8<<20, 1); math.Abs(c.Tau-0.8e-6) > 1e-9 {
		t.Errorf("two-shot τ %g s, want two NVLink traversals", c.Tau)
	}
	if c := x.AllReduce(l, 1, 1e6, 1); c != (Comm{}) {
		t.Errorf("one rank has nothing to send, got %+v", c)
	}
}

// A ring across nodes: NCCL's step count, 2(n−1) of which 2(nodes−1) leave a node.
func TestRingAcrossNodes(t *testing.T) {
	x := system(t, "hgx-h100:64")
	l := library(t, x, "nccl")
	g := x.meet(64, 1)
	c := l.flat(&g, 1e3, 2)
	wantTau := (2*(63-7))*0.4e-6 + 2*7*2.7e-6
	wantA := 4.8e-6 + 126*0.37e-6 + wantTau
	within(t, "τ share of α", c.Tau/c.Latency, wantTau/wantA, 0.1)
	if best := x.AllReduce(l, 64, 1e3, 1); best.Total() > c.Total() {
		t.Errorf("all-reduce %g s is slower than its ring %g", best.Total(), c.Total())
	}
}

// Where the timings end, at eight ranks of a domain, more ranks are not faster.
func TestBeyondEightRanks(t *testing.T) {
	for _, ref := range []string{"nvl72", "cloudmatrix384", "atlas950-8192-flat"} {
		x := system(t, ref)
		ls, err := x.DefaultLibraries()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []*Library{ls.AllReduce, ls.Collective} {
			for n := 8; n < min(64, x.Tiers[0].Size*x.Chip.Dies); n++ {
				for name, price := range map[string]func(n int) Comm{
					"all-reduce": func(n int) Comm { return x.AllReduce(l, n, 1e4, 1) },
					"all-gather": func(n int) Comm { return x.AllGather(l, n, 1e4, 1) },
				} {
					if a, b := price(n), price(n+1); b.Latency < a.Latency*(1-1e-3) {
						t.Errorf("%s %s of %s: %d ranks start in %g s, %d in %g", ref, l.Name, name, n, a.Latency, n+1, b.Latency)
					}
				}
			}
		}
	}
}

func TestDiesAreRanks(t *testing.T) {
	x := system(t, "cloudmatrix384")
	l := library(t, x, "cann")
	pair := x.AllReduce(l, 2, 100e6, 1)
	if rate := 100e6 / pair.Bandwidth; rate < 0.6*270e9*0.9 || rate > 270e9 {
		t.Errorf("two dies of a package reduce at %.3g B/s, their link has 270e9", rate)
	}
	apart := x.AllReduce(l, 2, 100e6, 2)
	if apart.Bandwidth <= pair.Bandwidth {
		t.Error("dies of two packages must be slower than of one")
	}
	if g := x.meet(16, 1); g.n != 1 || g.outer() != 1 {
		t.Errorf("16 dies are one node, got %d levels, %v domains", g.n, g.outer())
	}
	if g := x.meet(32, 1); g.outer() != 2 {
		t.Errorf("32 dies are two nodes, got %v", g.outer())
	}
}

func TestCheckEP(t *testing.T) {
	if (MoE{Ranks: 320, Experts: 320}).CheckEP() != nil {
		t.Error("EP 320 of 320 slots must do")
	}
	if (MoE{Ranks: 321, Experts: 320}).CheckEP() == nil {
		t.Error("EP 321 of 320 slots must be refused")
	}
}

// every prices one of each operation.
func every(x *Topology, ls Libraries, ranks, stride int, bytes float64, m MoE) map[string]Comm {
	m.Ranks = ranks
	return map[string]Comm{
		"all-reduce":     x.AllReduce(ls.AllReduce, ranks, bytes, stride),
		"nccl":           x.AllReduce(ls.Collective, ranks, bytes, stride),
		"all-gather":     x.AllGather(ls.Collective, ranks, bytes, stride),
		"reduce-scatter": x.ReduceScatter(ls.Collective, ranks, bytes, stride),
		"all-to-all":     x.AllToAll(ls.Collective, ranks, bytes, stride),
		"dispatch":       x.Dispatch(ls.Decode, m),
		"combine":        x.Combine(ls.Decode, m),
		"prefill":        x.Dispatch(ls.Prefill, m),
		"transfer":       x.Transfer(ls.Transfer, len(x.Tiers)-1, bytes),
		"send":           x.SendRecv(ls.Collective, 0, bytes),
	}
}

// bench is a system with its libraries.
type bench struct {
	x  *Topology
	ls Libraries
}

func benches(t *testing.T) []bench {
	var out []bench
	for _, ref := range []string{"supernode8912", "cloudmatrix384", "hgx-h100:512", "nvl72:144", "nvl576", "ub-mesh",
		"tpu-v5p-pod", "hgx-mi300x:64", "l40s:16", "atlas950-8192-flat"} {
		x := system(t, ref)
		ls, err := x.DefaultLibraries()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bench{x, ls})
	}
	return out
}

func drawSystem(t *rapid.T, all []bench) (*Topology, Libraries) {
	b := all[rapid.IntRange(0, len(all)-1).Draw(t, "system")]
	return b.x, b.ls
}

func drawWork(t *rapid.T, x *Topology) (ranks, stride int, bytes float64, m MoE) {
	ranks = rapid.IntRange(1, min(512, x.Chips)).Draw(t, "ranks")
	stride = rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t, "stride")
	if ranks*stride > x.Chips {
		stride = 1
	}
	bytes = math.Exp(rapid.Float64Range(0, 20).Draw(t, "log bytes"))
	m = MoE{Tokens: math.Exp(rapid.Float64Range(0, 9).Draw(t, "log tokens")), TopK: rapid.IntRange(1, 8).Draw(t, "topk"), Experts: 512, BytesPerCopy: 7168, Stride: stride}
	return
}

// What every price keeps to: finite, α holds its τ, the bytes take at least
// their time at the fastest link's line rate.
func TestNothingBeatsTheLinks(t *testing.T) {
	all := benches(t)
	rapid.Check(t, func(t *rapid.T) {
		x, ls := drawSystem(t, all)
		ranks, stride, bytes, m := drawWork(t, x)
		line := 0.0
		for i := range x.Tiers {
			line = max(line, float64(x.Tiers[i].Bandwidth))
		}
		line = max(line, float64(x.Chip.DieLink.Bandwidth))
		n := float64(ranks)
		least := map[string]float64{
			"all-reduce": bytes, "nccl": bytes, "all-gather": bytes * (n - 1) / n, "reduce-scatter": bytes * (n - 1) / n,
			"all-to-all": bytes * (n - 1) / n, "transfer": bytes, "send": bytes,
			"dispatch": m.Tokens * m.BytesPerCopy * distinct(n, float64(m.TopK)) * (n - 1) / n / 1.0001,
		}
		for name, c := range every(x, ls, ranks, stride, bytes, m) {
			if !(c.Latency >= 0 && c.Bandwidth >= 0 && c.Tau >= 0 && c.Tau <= c.Latency*(1+1e-12)) || math.IsInf(c.Total(), 0) {
				t.Fatalf("%s on %s: %+v", name, x.Name, c)
			}
			if ranks > 1 && c.Bandwidth < least[name]/line {
				t.Fatalf("%s of %g B over %d ranks takes %g s, the links allow %g", name, bytes, ranks, c.Bandwidth, least[name]/line)
			}
		}
	})
}

func TestMoreBandwidthAndLessDelayNeverSlower(t *testing.T) {
	all := benches(t)
	rapid.Check(t, func(t *rapid.T) {
		x, ls := drawSystem(t, all)
		ranks, stride, bytes, m := drawWork(t, x)
		before := every(x, ls, ranks, stride, bytes, m)
		wide, far := *x, *x
		wide.Tiers, far.Tiers = append([]Tier(nil), x.Tiers...), append([]Tier(nil), x.Tiers...)
		i := rapid.IntRange(0, len(x.Tiers)-1).Draw(t, "tier")
		wide.Tiers[i].Bandwidth *= 2
		far.Tiers[i].Tau.Endpoint += 1000
		wider, farther := every(&wide, ls, ranks, stride, bytes, m), every(&far, ls, ranks, stride, bytes, m)
		for name, c := range before {
			if wider[name].Total() > c.Total()*(1+1e-12) {
				t.Fatalf("%s on %s: twice the bandwidth of %s takes %g s, not %g", name, x.Name, x.Tiers[i].Name, wider[name].Total(), c.Total())
			}
			if farther[name].Total() < c.Total()*(1-1e-12) {
				t.Fatalf("%s on %s: 1 µs more in %s takes %g s, less than %g", name, x.Name, x.Tiers[i].Name, farther[name].Total(), c.Total())
			}
		}
	})
}

// At fixed tokens a rank, more ranks never send less, out of a domain or in all,
// and more tokens or more bytes never take less time.
func TestMoreWorkNeverLess(t *testing.T) {
	all := benches(t)
	rapid.Check(t, func(t *rapid.T) {
		x, ls := drawSystem(t, all)
		ranks, stride, bytes, m := drawWork(t, x)
		g, h := x.meet(ranks, stride), x.meet(min(ranks*2, x.Chips/stride), stride)
		remote := func(g *group) (all, out float64) {
			for i := range g.n {
				b := g.bytesAt(i)
				all += b
				if !g.levels[i].inner {
					out += b
				}
			}
			return
		}
		a, o := remote(&g)
		b, p := remote(&h)
		if b < a-1e-9 || p < o-1e-9 {
			t.Fatalf("%s, %d ranks: %g of the bytes leave the rank and %g the domain; with twice as many %g and %g", x.Name, ranks, a, o, b, p)
		}
		before := every(x, ls, ranks, stride, bytes, m)
		m.Tokens *= 2
		for name, c := range every(x, ls, ranks, stride, bytes*2, m) {
			if c.Total() < before[name].Total()*(1-1e-12) && !math.IsNaN(c.Total()) {
				// Two laws meet where the kernel in a graph gives way to the ring, and the ring to the switch.
				if name == "all-reduce" && bytes <= 16e6 && bytes*2 > 16e6 || name == "nccl" && bytes <= 1e6 && bytes*2 > 1e6 {
					continue
				}
				t.Fatalf("%s on %s: twice the work takes %g s, not %g", name, x.Name, c.Total(), before[name].Total())
			}
		}
	})
}

func BenchmarkDispatch(b *testing.B) {
	x := system(b, "supernode8912")
	l := library(b, x, "cann")
	b.ReportAllocs()
	for b.Loop() {
		x.Dispatch(l, decodeMoE(320, 320, 7168))
	}
}

func TestPricesDoNotAllocate(t *testing.T) {
	x := system(t, "supernode8912")
	l := library(t, x, "cann")
	if n := testing.AllocsPerRun(100, func() {
		x.Dispatch(l, decodeMoE(320, 320, 7168))
		x.AllReduce(l, 8, 1e5, 1)
		x.Transfer(l, 1, 1e6)
	}); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// Spread against throwing: a token chooses t of g groups and k experts in them.
func TestSpreadIsWhatDrawingGives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ n, k, groups, of int }{{2, 8, 4, 8}, {4, 8, 4, 8}, {8, 8, 4, 8}, {16, 8, 4, 8}, {32, 8, 4, 8}, {4, 6, 2, 4}, {32, 8, 0, 0}} {
		const experts, draws = 256, 20000
		of, chosen := max(1, c.of), c.groups
		if chosen == 0 {
			chosen = of
		}
		sum := 0
		for range draws {
			groups := rng.Perm(of)[:chosen]
			hit := map[int]bool{}
			for range c.k {
				e := groups[rng.IntN(chosen)]*(experts/of) + rng.IntN(experts/of)
				hit[e*c.n/experts] = true
			}
			sum += len(hit)
		}
		m := MoE{TopK: c.k, Groups: c.groups, ExpertGroups: c.of}
		within(t, fmt.Sprintf("%+v", c), m.Spread(float64(c.n)), float64(sum)/draws, 2)
	}
	// Fewer groups never reach more places, and no more than there are.
	for n := 1.0; n <= 64; n++ {
		last := 0.0
		for groups := 1; groups <= 8; groups++ {
			s := MoE{TopK: 8, Groups: groups, ExpertGroups: 8}.Spread(n)
			if s < last-1e-9 || s > n+1e-9 || s > 8+1e-9 {
				t.Errorf("%v places, %d groups: %v, before %v", n, groups, s, last)
			}
			last = s
		}
	}
}
