package cost

import (
	"maps"
	"math"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// A dense model's decode step, put together by hand from the laws and the
// topology's collectives.
func TestDenseStepByHand(t *testing.T) {
	const rows, context, tp = 48, 3000, 2
	s := newStepper(t, "llama-3.1-8b", "hgx-h100:8", Config{Role: Decode, Layout: Layout{TP: tp}})
	e := s.config.Engine.Fitted
	laws, err := law.New(s.config.Chip)
	if err != nil {
		t.Fatal(err)
	}
	gemm := func(n, k float64) float64 { return laws.GEMM(law.BF16, rows, n, k).Total() }
	small := laws.SmallKernel()
	core := laws.GQADecode(&law.Decode{
		Batch: rows, Rows: rows, Heads: 32 / tp, KVHeads: 8 / tp, HeadDim: 128,
		KVBytes: rows * context * 2 * 8 / tp * 128 * 2, CoreFlops: rows * context * 4 * 32 / tp * 128, Entries: context,
	}).Total()
	sum := s.config.Topology.AllReduce(s.comms.libs.AllReduce, tp, rows*4096*2, 1).Total()
	layer := gemm((32+2*8)*128/tp, 4096) + gemm(4096, 4096/tp) + core + gemm(2*14336/tp, 4096) + gemm(4096, 14336/tp) + 2*sum
	// Norms read and write the row and its residual; RoPE, cache and SiLU what lies
	// between the projections.
	layer += laws.SmallKernels(small*float64(s.main.attentions[0].a.SmallKernels), rows*(8*4096+4*(32+2*8)*128/tp)).Total() +
		laws.SmallKernels(small*float64(s.main.ffns[0].f.SmallKernels), rows*(8*4096+6*14336/tp)).Total()
	// Logits come together in BF16, and every rank widens and samples them: read,
	// written and read again.
	const logits = rows * 128256
	head := gemm(128256/tp, 4096) + laws.Elementwise(3, (2+4+4)*logits).Total() +
		s.config.Topology.AllGather(s.comms.libs.Collective, tp, 2*logits, 1).Total()
	host := (e.HostStepUs + e.HostSequenceUs*rows) * 1e-6
	step := s.Step(everywhere(s, decode(s, rows, context)))
	near(t, "step", step.Time.Seconds(), 32*layer+head+host, 1e-6)

	flops := 2*(8.03e9-128256*4096)*rows + 32*4*32*128*rows*context
	near(t, "model FLOPs", step.Flops, flops, 0.002)
	near(t, "bytes", step.Bytes, 2*(8.03e9-128256*4096)+rows*(context+1)*131072, 0.002)
}

// One expert-parallel layer's mean rank: pairs and experts touched in closed form.
func TestExpertsTouched(t *testing.T) {
	s := newStepper(t, "v4", "supernode8912", Config{Role: Decode, Layout: Layout{DP: 64, EP: 64}})
	e := s.main.ffns[0].moe
	for _, tokens := range []float64{1, 64, 640, 64000} {
		pairs, touched := e.share(tokens, 64)
		near(t, "pairs", pairs, tokens*6/64, 1e-12)
		near(t, "touched", touched, 6*(1-math.Pow(1-6./384, tokens)), 1e-9)
	}
}

func TestOverlapHides(t *testing.T) {
	build := func(o Overlap, engine string) *Stepper {
		return newStepper(t, "v3", "hgx-h800:32", Config{Role: Prefill, Layout: Layout{DP: 32, EP: 32, Overlap: o}, Engine: loadEngine(t, engine)})
	}
	none, two := build(NoOverlap, "vllm"), build(TwoBatch, "vllm")
	loads := everywhere(none, prefill(none, 4, 4096, 0))
	a, b := none.Step(loads), two.Step(loads)
	comm := func(s Step) float64 { return (s.Causes[cause.CommBandwidth] + s.Causes[cause.CommLatency]).Seconds() }
	if a.Hidden != 0 || b.Hidden <= 0 || b.Time >= a.Time {
		t.Errorf("two-batch hides %v and takes %v; without overlap %v", b.Hidden, b.Time, a.Time)
	}
	// Communication is the shorter side: a fraction of it goes, and cut batches send the same bytes.
	near(t, "exposed of the communication", comm(b)/(comm(b)+b.Hidden.Seconds()), 1-two.config.Engine.Fitted.OverlapFraction, 1e-6)
	tax := b.Causes[cause.Compute].Seconds() / a.Causes[cause.Compute].Seconds()
	if tax < 1.05 || tax > 1/(1-0.1515)+0.02 {
		t.Errorf("arithmetic takes %.3f times as long beside 20 of 132 cores that communicate", tax)
	}
	ideal := build(TwoBatch, "ideal")
	if c := ideal.Step(loads); comm(c) > 1e-6 {
		t.Errorf("full overlap leaves %v s of the shorter side", comm(c))
	}
	// One sequence cannot be cut in two.
	one := newStepper(t, "v3", "hgx-h800:32", Config{Role: Decode, Layout: Layout{DP: 32, EP: 32, Overlap: TwoBatch}})
	if got := one.Step(everywhere(one, decode(one, 1, 100))); got.Hidden != 0 {
		t.Errorf("a single sequence hides %v", got.Hidden)
	}
}

func TestWaveHides(t *testing.T) {
	for _, topology := range []string{"gb300-nvl72", "supernode8912"} {
		build := func(o Overlap) *Stepper {
			return newStepper(t, "v4", topology, Config{Role: Decode, Layout: Layout{DP: 16, EP: 16, Overlap: o}, MaxSequences: 1024})
		}
		none, wave := build(NoOverlap), build(Wave)
		loads := everywhere(none, decode(none, 512, 8192))
		a, b := none.Step(loads), wave.Step(loads)
		if b.Hidden <= 0 || b.Time >= a.Time {
			t.Errorf("%s: wave hides %v and takes %v; without %v", topology, b.Hidden, b.Time, a.Time)
		}
		near(t, topology+": step and what was hidden, against none", (b.Time + b.Hidden).Seconds(), a.Time.Seconds(), 0.02)
	}
}

func TestEngineChoosesLibraries(t *testing.T) {
	at := func(choice LibraryChoice) (*Stepper, error) {
		topology := loadTopology(t, "gb200-nvl72")
		e := *loadEngine(t, "vllm")
		e.Libraries = choice
		return New(Config{Model: loadModel(t, "v4", topology.Chip), Topology: topology, Engine: &e, Role: Decode, Layout: Layout{DP: 16, EP: 16}})
	}
	plain, err := at(LibraryChoice{})
	if err != nil || plain.config.Layout.Overlap != NoOverlap {
		t.Fatalf("%v, overlap %s", err, plain.config.Layout.Overlap)
	}
	loads := everywhere(plain, decode(plain, 64, 8192))
	mega, err := at(LibraryChoice{Dispatch: "megamoe"})
	if err != nil || mega.config.Layout.Overlap != Wave || mega.Step(loads).Hidden <= 0 {
		t.Errorf("a fused kernel: %v, overlap %s, %+v", err, mega.config.Layout.Overlap, mega.Step(loads))
	}
	nccl, err := at(LibraryChoice{Dispatch: "nccl", AllReduce: "nccl"})
	if err != nil || nccl.Step(loads).Causes[cause.CommLatency] == plain.Step(loads).Causes[cause.CommLatency] {
		t.Errorf("another library costs the same, %v", err)
	}
	_, err = at(LibraryChoice{Prefill: "depeep-normal"})
	says(t, err, "engine vllm", `did you mean "deepep-normal"`)
}

func TestWaveTime(t *testing.T) {
	x := law.Time{Launch: 5, Compute: 3, Weights: 2, Act: 1, KV: 1}
	got := waveTime(x, 2, 2)
	near(t, "2-norm", got.Total()-5, math.Sqrt(16+9+4), 1e-12)
	near(t, "split by squares", got.Compute/got.Wire, 9./4, 1e-12)
	near(t, "memory by its parts", got.Weights/got.Act, 2, 1e-12)
	near(t, "large p is the maximum", waveTime(x, 2, 100).Total()-5, 4, 0.01)
	if waveTime(law.Time{Launch: 1}, 0, 2) != (law.Time{Launch: 1}) {
		t.Error("nothing but a launch changed")
	}
}

func TestImbalanceOfExperts(t *testing.T) {
	at := func(r Routing, redundant int) Step {
		s := newStepper(t, "v3", "hgx-h200:32", Config{Role: Prefill, Layout: Layout{DP: 32, EP: 32, Redundant: redundant, Routing: r}})
		step := s.Step(everywhere(s, prefill(s, 4, 4096, 0)))
		sound(t, step)
		return step
	}
	law := func(a float64) Routing { return Routing{Kind: PowerLaw, Alpha: a} }
	uniform, mild, steep := at(Routing{}, 0), at(law(1.01), 0), at(law(2), 0)
	if !(uniform.Causes[cause.Imbalance] < mild.Causes[cause.Imbalance] && mild.Causes[cause.Imbalance] < steep.Causes[cause.Imbalance]) {
		t.Errorf("imbalance does not grow with skew: %v, %v, %v", uniform.Causes[cause.Imbalance], mild.Causes[cause.Imbalance], steep.Causes[cause.Imbalance])
	}
	if spread := at(law(1.01), 32); spread.Causes[cause.Imbalance] >= mild.Causes[cause.Imbalance]/2 || spread.Time >= mild.Time {
		t.Errorf("32 redundant experts bring imbalance from %v to %v", mild.Causes[cause.Imbalance], spread.Causes[cause.Imbalance])
	}
	flat := make([]float64, 256)
	for i := range flat {
		flat[i] = 3
	}
	if got := at(Routing{Kind: Histogram, Histogram: flat}, 0); got.Causes[cause.Imbalance] > 2*uniform.Causes[cause.Imbalance] {
		t.Errorf("a flat histogram is as uniform: %v and %v", got.Causes[cause.Imbalance], uniform.Causes[cause.Imbalance])
	}
}

func TestImbalanceOfAttention(t *testing.T) {
	s := newStepper(t, "v3", "hgx-h200:32", Config{Role: Decode, Layout: Layout{DP: 32, EP: 32}})
	even := everywhere(s, decode(s, 16, 20000))
	uneven := everywhere(s, decode(s, 16, 20000))
	for i := range uneven {
		context := int64(10000)
		if i%2 == 0 {
			context = 30000
		}
		uneven[i] = decode(s, 16, context)
	}
	a, b := s.Step(even), s.Step(uneven)
	if b.Causes[cause.Imbalance] <= a.Causes[cause.Imbalance] || b.Causes[cause.HBMKV] > a.Causes[cause.HBMKV]+1000 {
		t.Errorf("half the ranks with three times the context: imbalance %v → %v, KV %v → %v",
			a.Causes[cause.Imbalance], b.Causes[cause.Imbalance], a.Causes[cause.HBMKV], b.Causes[cause.HBMKV])
	}
	slowest := s.Step(everywhere(s, decode(s, 16, 30000)))
	near(t, "the slowest rank governs", b.Time.Seconds(), slowest.Time.Seconds(), 1e-3)
}

func TestDraftsAddRows(t *testing.T) {
	at := func(drafts int) (*Stepper, Step) {
		s := newStepper(t, "v4", "gb300-nvl72", Config{Role: Decode, Layout: Layout{DP: 8, EP: 8}, Drafts: drafts, MaxSequences: 256})
		return s, s.Step(everywhere(s, decode(s, 32, 20000)))
	}
	_, none := at(0)
	_, one := at(1)
	_, three := at(3)
	if !(none.Time < one.Time && one.Time < three.Time) {
		t.Errorf("drafts are not free: %v, %v, %v", none.Time, one.Time, three.Time)
	}
	// A verify row costs the FLOPs of a decoded token; a draft one window-only layer
	// with its experts (299.9 + 2.75 + 7·66.06 M), two hidden × hidden projections,
	// a window of 128 entries, mixing and a head.
	token := none.Flops / (8 * 32)
	draft := 2*(299.89e6+2.75e6+7*66.06e6+2*7168*7168+129280*7168.) + 262144*128 + 2.75e6
	near(t, "FLOPs of one draft", one.Flops/none.Flops, 2+draft/token, 1e-4)
	near(t, "FLOPs of three drafts", three.Flops/none.Flops, 4+3*draft/token, 1e-4)
	s, _ := at(3)
	csa := 0
	for i := range s.main.attentions {
		if k := &s.main.attentions[i]; k.form == csaForm {
			csa++
			for j, b := range s.config.Model.Breaks {
				want := k.readBytes[j]
				if b == 4*k.a.TopK {
					want *= 4
				}
				if k.kvBytes[j] != want {
					t.Errorf("break %d: reads %g bytes a token, want %g", b, k.kvBytes[j], want)
				}
			}
		}
	}
	if csa != 1 {
		t.Fatalf("%d CSA kinds", csa)
	}
}

func TestPipelineStages(t *testing.T) {
	one := newStepper(t, "llama-3.1-70b", "hgx-b200:16", Config{Role: Decode, Layout: Layout{TP: 4}})
	two := newStepper(t, "llama-3.1-70b", "hgx-b200:16", Config{Role: Decode, Layout: Layout{TP: 4, PP: 2}})
	if two.Ranks() != 8 || two.Chips() != 8 {
		t.Fatalf("%d ranks, %d chips", two.Ranks(), two.Chips())
	}
	// The cycle of two stages is that of half the batch, and a send.
	a, b := one.Step(everywhere(one, decode(one, 32, 4000))), two.Step(everywhere(two, decode(two, 64, 4000)))
	host := func(s Step) float64 { return s.Causes[cause.Host].Seconds() }
	extra := b.Time.Seconds() - host(b) - (a.Time.Seconds() - host(a))
	send := two.comms.send(32 * 8192 * 2 / 4.)
	near(t, "stage boundary", extra, send.total(), 0.05)
	near(t, "FLOPs", b.Flops, 2*a.Flops, 1e-6)
	// 61 layers over 4 stages: the fullest has 16, where 15.25 would be even.
	four := newStepper(t, "v3", "hgx-h200:32", Config{Role: Decode, Layout: Layout{TP: 8, EP: 8, PP: 4}})
	if step := four.Step(everywhere(four, decode(four, 32, 4000))); step.Causes[cause.Imbalance].Seconds() < 0.04*step.Time.Seconds()*0.8 {
		t.Errorf("uneven stages: imbalance %v of %v", step.Causes[cause.Imbalance], step.Time)
	}
}

func TestTensorParallelism(t *testing.T) {
	build := func(tp int) *Stepper {
		return newStepper(t, "llama-3.1-70b", "hgx-h200:8", Config{Role: Decode, Layout: Layout{TP: tp}})
	}
	one, two, eight := build(2), build(4), build(8)
	l := decode(one, 64, 4000)
	a, b, c := one.Step([]Load{l}), two.Step([]Load{l}), eight.Step([]Load{l})
	if !(c.Time < b.Time && b.Time < a.Time) || !(c.Causes[cause.CommLatency] > b.Causes[cause.CommLatency]) {
		t.Errorf("TP 2, 4, 8: %v, %v, %v", a.Time, b.Time, c.Time)
	}
	near(t, "FLOPs stay", c.Flops, a.Flops, 1e-6)
	// Two ring all-reduces a layer: 2·(n−1)/n of rows × hidden × 2 B, and the logits
	// in BF16, gathered once.
	near(t, "bytes on NVLink", c.LinkBytes[0], 8*(160*2*7/8.*64*8192*2+7/8.*64*128256*2), 1e-9)
}

func TestHostAndLaunch(t *testing.T) {
	at := func(change func(*Engine), chunk int64) Step {
		e := *loadEngine(t, "vllm")
		change(&e)
		s := newStepper(t, "llama-3.1-8b", "hgx-h100:8", Config{Role: Mixed, Engine: &e})
		l := decode(s, 50, 1000)
		if chunk > 0 {
			l = both(Load{}, prefill(s, 1, chunk, 0))
		}
		return s.Step([]Load{l})
	}
	base := at(func(*Engine) {}, 0)
	if want := int64(400_000 + 50*6000); int64(base.Causes[cause.Host]) != want {
		t.Errorf("host: %d ns, want %d", base.Causes[cause.Host], want)
	}
	if got := at(func(e *Engine) { e.HostOverlapped = true }, 0); got.Causes[cause.Host] != 0 {
		t.Errorf("a host behind a longer step shows %v", got.Causes[cause.Host])
	}
	if got := at(func(e *Engine) { e.HostOverlapped = true; e.Fitted.HostStepUs = 1e5 }, 0); (got.Time-got.Causes[cause.Host]) != base.Time-base.Causes[cause.Host] || math.Abs(got.Time.Seconds()-0.1003) > 1e-5 {
		t.Errorf("a host longer than the step: %v of %v", got.Causes[cause.Host], got.Time)
	}
	graph, eager := at(func(*Engine) {}, 16), at(func(e *Engine) { e.PrefillLaunch, e.Fitted.EagerKernelUs = Eager, 50 }, 16)
	if eager.Causes[cause.Launch] <= graph.Causes[cause.Launch] {
		t.Errorf("eager launches of a small prompt: %v, under graphs %v", eager.Causes[cause.Launch], graph.Causes[cause.Launch])
	}
	// Dependent launch hides 0.8 of 1.5 µs at each of some hundred kernels of 32 layers,
	// and leaves everything else.
	early := at(func(e *Engine) { e.DependentLaunch = true }, 0)
	if d := base.Time - early.Time; d != base.Causes[cause.Launch]-early.Causes[cause.Launch] || d < 32*8*1200 || d > 32*16*1200 {
		t.Errorf("dependent launch takes %v off %v, launches from %v to %v", d, base.Time, base.Causes[cause.Launch], early.Causes[cause.Launch])
	}
	// Three small kernels of 1.5 µs in each of 32 layers' attention and two in its FFN,
	// a little of which their bytes cover.
	fused := at(func(e *Engine) { e.FusesSmallKernels = true }, 0)
	if d := (base.Causes[cause.Launch] - fused.Causes[cause.Launch]).Seconds(); d < 32*4.5*1.5e-6 || d > 32*5*1.5e-6+10e-6 {
		t.Errorf("small kernels take %g s of launches", d)
	}
}

func TestQuantisationFused(t *testing.T) {
	x := law.Time{Launch: 5e-6, Compute: 1e-6, Act: 0.4e-6}
	near(t, "off the pass, then off the floor", fuse(x).Total(), x.Total()-1e-6, 1e-12)
	if got := fuse(x); got.Act != 0 {
		t.Errorf("the pass stays: %+v", got)
	}
	if got := fuse(law.Time{Launch: 1e-7}); got.Launch != 0 || got.Total() < 0 {
		t.Errorf("below nothing: %+v", got)
	}
}

func TestTablesForgetNothingButTime(t *testing.T) {
	var x table[int64]
	for i := range int64(100000) {
		a, b := i*i%5003, i%7
		v, ok := x.at(a, b)
		if ok && *v != a*10+b {
			t.Fatalf("(%d,%d) holds %d", a, b, *v)
		}
		*v = a*10 + b
	}
	if len(x.slots) != tableMax {
		t.Errorf("%d slots after many misses, want %d", len(x.slots), tableMax)
	}
}

// Better hardware is never slower, in any case and phase.
func TestMoreIsNeverSlower(t *testing.T) {
	changes := map[string]func(*topologies.Topology, *topologies.Chip){
		"HBM bandwidth": func(_ *topologies.Topology, c *topologies.Chip) { c.Memory.Bandwidth *= 2 },
		"peaks":         func(_ *topologies.Topology, c *topologies.Chip) { doublePeaks(c) },
		"link bandwidth": func(x *topologies.Topology, _ *topologies.Chip) {
			eachTier(x, func(t *topologies.Tier) { t.Bandwidth *= 2 })
		},
		"no delay": func(x *topologies.Topology, _ *topologies.Chip) {
			eachTier(x, func(t *topologies.Tier) { t.Tau = topologies.Tau{Hops: make([]topologies.Hop, len(t.Tau.Hops))} })
		},
	}
	for _, c := range cases {
		base := newStepper(t, c.model, c.topology, c.config)
		for name, change := range changes {
			x, chip := *base.config.Topology, *base.config.Chip
			x.Tiers = append([]topologies.Tier{}, x.Tiers...)
			better := base.config
			better.Libraries = nil
			change(&x, &chip)
			better.Topology, better.Chip = x.WithChip(&chip), &chip
			s := newStepper(t, c.model, c.topology, better)
			for _, n := range []int64{1, 30} {
				loads := everywhere(base, decode(base, n, 9000))
				if base.config.Role == Prefill {
					loads = everywhere(base, prefill(base, 1, n*100, 500))
				}
				a, b := base.Step(loads), s.Step(loads)
				if b.Time > a.Time+1 {
					t.Errorf("%s on %s, %d a rank: twice the %s takes %v, not %v", c.model, c.topology, n, name, b.Time, a.Time)
				}
				if name == "no delay" && b.Tau != 0 {
					t.Errorf("%s on %s: %v of delay without any", c.model, c.topology, b.Tau)
				}
			}
		}
	}
}

func doublePeaks(c *topologies.Chip) {
	c.Peak = maps.Clone(c.Peak)
	for p := range c.Peak {
		c.Peak[p] *= 2
	}
}

func eachTier(t *topologies.Topology, change func(*topologies.Tier)) {
	for i := range t.Tiers {
		change(&t.Tiers[i])
	}
}

// Twice the expert-parallel ranks at the same load a rank: no rank works more.
func TestMoreRanksNeverWorkMore(t *testing.T) {
	var before Step
	for _, n := range []int{16, 32, 64, 128} {
		s := newStepper(t, "v4", "supernode8912", Config{Role: Decode, Layout: Layout{DP: n, EP: n}})
		step := s.Step(everywhere(s, decode(s, 64, 8192)))
		if n > 16 && (step.Flops/float64(n) > before.Flops/float64(n/2)*(1+1e-9) || step.Bytes/float64(n) > before.Bytes/float64(n/2)) {
			t.Errorf("EP %d: %g FLOPs and %g bytes a rank, half the ranks %g and %g", n,
				step.Flops/float64(n), step.Bytes/float64(n), before.Flops/float64(n/2), before.Bytes/float64(n/2))
		}
		before = step
	}
}

// More work is never quicker: sequences, context, prompt tokens, prefix.
func TestMoreWorkIsNeverQuicker(t *testing.T) {
	for _, c := range cases {
		s := newStepper(t, c.model, c.topology, c.config)
		rising := func(what string, load func(int64) Load) {
			last := Step{}
			for _, n := range []int64{1, 2, 5, 20, 100, 300} {
				step := s.Step(everywhere(s, load(n)))
				// Where the two halves of a cut batch no longer differ the step may fall by a hair.
				if step.Time.Seconds() < last.Time.Seconds()*0.999 {
					t.Errorf("%s on %s: %d %s take %v, fewer %v", c.model, c.topology, n, what, step.Time, last.Time)
				}
				last = step
			}
		}
		if s.config.Role != Prefill {
			rising("sequences", func(n int64) Load { return decode(s, n, 5000) })
			rising("tokens of context", func(n int64) Load { return decode(s, 16, n*300) })
		}
		if s.config.Role != Decode {
			rising("prompt tokens", func(n int64) Load { return prefill(s, 1, n*20, 0) })
			rising("tokens of prefix", func(n int64) Load { return prefill(s, 1, 1000, n*100) })
		}
	}
}

func TestUncompressedCostsMore(t *testing.T) {
	topology := loadTopology(t, "supernode8912")
	m, err := models.Load("v4")
	if err != nil {
		t.Fatal(err)
	}
	full, err := m.Compress(models.Compression{Uncompressed: true})
	if err != nil {
		t.Fatal(err)
	}
	at := func(m *models.Model) *Stepper {
		m, _, err := Substitute(m, topology.Chip)
		if err != nil {
			t.Fatal(err)
		}
		return newStepper(t, "", "", Config{Model: m, Topology: topology, Role: Decode, Layout: Layout{DP: 64, EP: 64}})
	}
	a, b := at(m), at(full)
	if r := b.Step(everywhere(b, decode(b, 8, 100000))).Time.Seconds() / a.Step(everywhere(a, decode(a, 8, 100000))).Time.Seconds(); r < 1.5 {
		t.Errorf("dense attention over 100K tokens takes %.2f times as long", r)
	}
	ma, mb := a.Memory(), b.Memory()
	if r := float64(mb.SequenceBytes(1<<20)) / float64(ma.SequenceBytes(1<<20)); r < 6 {
		t.Errorf("and holds %.2f times as much", r)
	}
}

// FLOPs, and with them MFU, are of the tokens that there are: neither of the rows
// that shorter ranks are padded to, nor of those that rounding up a pipeline's
// micro-batches adds.
func TestFlopsAreOfTokensOnly(t *testing.T) {
	for _, c := range []struct{ model, topology string }{
		{"v3", "hgx-h200:16"}, {"v4", "supernode8912"}, {"v3.2", "cloudmatrix384"}, {"qwen3-235b-a22b", "hgx-h200:16"}, {"qwen3-next", "hgx-b200:16"},
	} {
		s := newStepper(t, c.model, c.topology, Config{Role: Mixed, Layout: Layout{DP: 16, EP: 16}, MaxSequences: 64, MaxTokens: 4096})
		one := func(l Load) float64 { return s.Step(everywhere(s, l)).Flops / 16 }
		long, short, prompt := decode(s, 48, 9000), decode(s, 2, 700), both(decode(s, 4, 3000), prefill(s, 2, 1500, 500))
		loads := everywhere(s, short)
		loads[3], loads[7] = long, prompt
		near(t, c.model+": FLOPs of unequal ranks", s.Step(loads).Flops, one(long)+one(prompt)+14*one(short), 1e-6)
	}
	flat := newStepper(t, "llama-3.1-70b", "hgx-b200:32", Config{Role: Decode, Layout: Layout{TP: 4}})
	deep := newStepper(t, "llama-3.1-70b", "hgx-b200:32", Config{Role: Decode, Layout: Layout{TP: 4, PP: 8}})
	for _, n := range []int64{1, 3, 8, 9, 80} {
		a, b := flat.Step(everywhere(flat, decode(flat, n, 4000))), deep.Step(everywhere(deep, decode(deep, n, 4000)))
		near(t, "FLOPs of eight stages", b.Flops, a.Flops, 1e-6)
	}
	a, b := flat.Step(everywhere(flat, decode(flat, 1, 4000))), deep.Step(everywhere(deep, decode(deep, 1, 4000)))
	near(t, "one sequence reads each stage's weights once", b.Bytes, a.Bytes, 1e-6)
}

// Two streams hide the launch floors of one half behind the other's work: what two
// batches cost beyond one where floors are long (Ascend) is mostly that.
func TestTwoStreamsHideFloors(t *testing.T) {
	time := func(overlap Overlap, streams int) Step {
		e := *loadEngine(t, "cann")
		e.OverlapStreams = streams
		s := newStepper(t, "v3", "cloudmatrix384", Config{
			Role: Decode, Engine: &e, Drafts: 1, Layout: Layout{DP: 320, EP: 320, Redundant: 64, Overlap: overlap},
		})
		return s.Step(everywhere(s, decode(s, 64, 1536)))
	}
	one, two, none := time(TwoBatch, 1), time(TwoBatch, 2), time(NoOverlap, 2)
	saved := (one.Causes[cause.Launch] - two.Causes[cause.Launch]).Seconds()
	hidden := loadEngine(t, "cann").Fitted.OverlapFraction / 2
	near(t, "launches left", two.Causes[cause.Launch].Seconds()/one.Causes[cause.Launch].Seconds(), 1-hidden, 0.02)
	near(t, "time saved", (one.Time - two.Time).Seconds(), saved, 1e-6)
	near(t, "said to be hidden", (two.Hidden - one.Hidden).Seconds(), saved, 1e-6)
	if !(two.Time < none.Time && none.Time < one.Time) {
		t.Errorf("one batch %v, two in one stream %v, two in two %v", none.Time, one.Time, two.Time)
	}
}
