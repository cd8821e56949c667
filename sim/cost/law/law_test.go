package law

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/topologies"
)

func chips(t testing.TB) []*topologies.Chip {
	t.Helper()
	var out []*topologies.Chip
	for _, name := range topologies.ChipNames() {
		out = append(out, load(t, name))
	}
	return out
}

func load(t testing.TB, name string) *topologies.Chip {
	t.Helper()
	c, err := topologies.LoadChip(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func compile(t testing.TB, c *topologies.Chip) *Set {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got/want-1) > tolerance {
		t.Errorf("%s: got %g, want %g", what, got, want)
	}
}

// pinned is H100 with constants of GEMM that a fit cannot move.
func pinned(t testing.TB) *topologies.Chip {
	t.Helper()
	c := load(t, "h100").Flat()
	c.Operators["gemm"]["bfloat16"] = topologies.Constants{Values: map[string]float64{"t0_us": 2.38, "ec": 0.76, "em": 0.896, "p": 2.52, "k_us": 1.24, "k_power": 0.5}}
	c.Operators["gemm"]["fp8_block"] = topologies.Constants{Values: map[string]float64{"t0_us": 3.92, "ec": 0.725, "em": 0.996, "p": 1.14, "k_us": 0.793, "k_power": 1, "eq": 0.919}}
	return c
}

func TestHugeGEMMRunsAtItsShareOfThePeak(t *testing.T) {
	s := compile(t, pinned(t))
	const m, n, k = 1 << 20, 1 << 14, 1 << 14
	near(t, "bf16", s.GEMM(BF16, m, n, k).Compute, 2.0*m*n*k/(989e12*0.76), 1e-3)
	near(t, "total", s.GEMM(BF16, m, n, k).Total(), 2.0*m*n*k/(989e12*0.76), 1e-2)
}

func TestTinyGEMMIsItsFloorAndItsWeights(t *testing.T) {
	s := compile(t, pinned(t))
	got := s.GEMM(BF16, 1, 128, 128)
	near(t, "floor", got.Launch, 2.38e-6, 1e-12)
	near(t, "total", got.Total(), 2.38e-6+1.24e-6*math.Sqrt(128.0/1024), 0.02)
	one := s.GEMM(BF16, 1, 16384, 16384)
	near(t, "weights", one.Weights, 2*16384.0*16384/(3.35e12*0.896), 1e-3)
	if one.Weights < one.Compute {
		t.Error("a matrix-vector product must be bound by its weights")
	}
}

func TestGEMMByHand(t *testing.T) {
	s := compile(t, pinned(t))
	const m, n, k = 512, 4096, 7168
	f := 2.0 * m * n * k / (1979e12 * 0.725)
	b := (1.0*n*k + 1.0*m*k + 2*m*n) / (3.35e12 * 0.996)
	core := math.Pow(math.Pow(f, 1.14)+math.Pow(b, 1.14), 1/1.14)
	want := 3.92e-6 + math.Hypot(0.793e-6*k/1024, core) + 3.0*m*k/(3.35e12*0.919)
	near(t, "fp8_block", s.GEMM(FP8Block, m, n, k).Total(), want, 1e-9)
	near(t, "fused", s.GEMMFused(FP8Block, m, n, k).Total(), want-3.0*m*k/(3.35e12*0.919)-(3.92e-6-2.38e-6), 1e-9)
}

// cuBLAS on GB200, K 6144, N 256, µs (vllm-project/vllm#47973).
func TestRouterInFP32(t *testing.T) {
	s := compile(t, load(t, "gb200"))
	for rows, us := range map[float64]float64{4: 20.2, 8: 16.7, 16: 22.3, 32: 63.2, 64: 63.3, 128: 69.3, 256: 77.8, 512: 96.8, 1024: 111} {
		if got := s.GEMM(FP32, rows, 256, 6144).Total() * 1e6; math.Abs(got/us-1) > 0.3 {
			t.Errorf("%g rows: %.1f µs, measured %.1f", rows, got, us)
		}
	}
	if fp32, bf16 := s.GEMM(FP32, 8192, 256, 3072).Total(), s.GEMM(BF16, 8192, 256, 3072).Total(); fp32 < 10*bf16 {
		t.Errorf("without tensor cores a prompt's router takes %.3g s, with them %.3g s", fp32, bf16)
	}
	bare := load(t, "h100")
	delete(bare.Operators, "gemm_fp32")
	if untimed := compile(t, bare); untimed.GEMM(FP32, 64, 256, 3072) != untimed.GEMM(BF16, 64, 256, 3072) {
		t.Error("without timings FP32 costs what BF16 does")
	}
}

func TestMoEByHand(t *testing.T) {
	s := compile(t, load(t, "h100"))
	x := MoE{Variant: FP8Block, Tokens: 1024, TopK: 8, Hidden: 4096, Inter: 1536, Pairs: 1024, Touched: 16}
	expert := 3 * 4096 * 1536.0
	f, b := 2*1024*expert/(1979e12*0.379), 16*expert/(3.35e12*0.857)
	p := math.Pow(math.Pow(f, 1.95)+math.Pow(b, 1.95), 1/1.95)
	want := 29.4e-6 + 4.79e-6*(1-math.Exp(-64)) + p + 2*8192*(2*4096+3*1536)/(3.35e12*0.636)
	near(t, "all pairs", s.MoE(x).Total(), want, 1e-9)
	x.Dispatched = true
	near(t, "dispatched", s.MoE(x).Total(), 20.73e-6+math.Hypot(2*1024*expert/(1979e12*0.6725), 16*expert/(3.35e12*0.8122)), 1e-9)
	skewed := x
	skewed.Skewed = true
	if s.MoE(skewed).Total() <= s.MoE(x).Total() {
		t.Error("uneven loads must cost")
	}
}

func TestMegaMoEIsBoundByTheSlowestOfThree(t *testing.T) {
	s := compile(t, load(t, "gb200"))
	x := MegaMoE{Tokens: 8192, TopK: 6, Hidden: 7168, Inter: 3072, Pairs: 8192 * 6, Touched: 48, EP: 8, Bandwidth: 900e9}
	got := s.MegaMoE(x)
	expert := 3 * 7168 * 3072.0
	f, b := 2*x.Pairs*expert/(5000e12*0.44), 48*expert*0.53125/(8e12*0.75)
	w := 8192 * 6 * (7.0 / 8) * 3 * 7168 / (900e9 * 0.56)
	near(t, "total", got.Total(), 77e-6+math.Pow(math.Pow(f, 4)+math.Pow(b, 4)+math.Pow(w, 4), 0.25), 1e-9)
	x.Bandwidth = 1e9
	if slow := s.MegaMoE(x); slow.Wire < 0.99*(slow.Total()-slow.Launch) {
		t.Error("over slow links the wire must bind")
	}
}

func TestDieIsHalfOfADualDiePackage(t *testing.T) {
	c := load(t, "ascend910c")
	s := compile(t, c)
	if s.bf16*2 != float64(c.Peak[topologies.BF16]) || s.hbm*2 != float64(c.Memory.Bandwidth) {
		t.Error("a rank of a 910C is one of its two dies")
	}
	near(t, "int8", s.GEMM(INT8, 1<<20, 16384, 16384).Compute, 2*(1<<20)*16384.0*16384/(752e12*0.79), 0.01)
}

func TestAscendLayerFloor(t *testing.T) {
	s := compile(t, load(t, "ascend950dt"))
	x := Decode{Batch: 1, Rows: 1, Heads: 64, Entries: 128}
	moe := s.MoE(MoE{Variant: W4A8, Tokens: 1, TopK: 6, Hidden: 1, Inter: 1, Pairs: 1, Touched: 1, Dispatched: true})
	floor := (s.CSADecode(&x).Launch+s.HCADecode(&x).Launch)/2 + moe.Launch + s.MHC(1, 1).Launch + 4*s.SmallKernel()
	if floor < 220e-6 || floor > 280e-6 {
		t.Errorf("a V4 layer's floor on Ascend is about 250 µs, got %.0f", floor*1e6)
	}
}

func TestSubstitutions(t *testing.T) {
	h100, b200, a100 := compile(t, load(t, "h100")), compile(t, load(t, "b200")), compile(t, load(t, "a100"))
	if h100.GEMM(NVFP4, 64, 4096, 4096) != h100.GEMM(W4A8, 64, 4096, 4096) {
		t.Error("FP4 on Hopper is stored in 4 bits and computed in FP8")
	}
	if b200.GEMM(NVFP4, 64, 4096, 4096) == b200.GEMM(W4A8, 64, 4096, 4096) {
		t.Error("Blackwell has FP4 units")
	}
	if a100.GEMM(FP8Block, 64, 4096, 4096) != a100.GEMM(W8A16, 64, 4096, 4096) {
		t.Error("FP8 on A100 is stored in 8 bits and computed in BF16")
	}
	if got, want := a100.GEMM(W8A16, 1, 16384, 16384).Weights, a100.GEMM(BF16, 1, 16384, 16384).Weights/2; math.Abs(got/want-1) > 0.01 {
		t.Errorf("half the weight bytes take half the time: %g, %g", got, want)
	}
}

func TestAssumptionsNameWhatIsInherited(t *testing.T) {
	if got := compile(t, load(t, "b200")).Assumptions(); len(got) != 1 || !strings.HasSuffix(got[0], ": gemm_fp32.float32") {
		t.Errorf("every class of B200 but FP32 products is timed, got %q", got)
	}
	got := strings.Join(compile(t, load(t, "ascend950dt")).Assumptions(), "\n")
	for _, want := range []string{"ascend950dt", "ascend910c", "csa_decode.all", "moe_dispatched.fp8_block"} {
		if !strings.Contains(got, want) {
			t.Errorf("assumptions do not name %s: %s", want, got)
		}
	}
	h100 := compile(t, load(t, "h100"))
	if got := h100.Assumptions("gemm", "mla_decode"); len(got) != 0 {
		t.Errorf("these are timed on H100, got %q", got)
	}
	if got := h100.Assumptions("megamoe"); len(got) != 1 || got[0] != "h100: operator constants assumed or from a vendor's figure: megamoe.w4a8" {
		t.Errorf("got %q", got)
	}
}

func TestBadConstants(t *testing.T) {
	c := load(t, "h100")
	v := c.Operators["gemm"]["fp8"].Values
	delete(v, "ec")
	v["eq"] = -1
	v["t_us"] = 3
	c.Operators["gem"] = c.Operators["gemm"]
	c.Operators["moe"]["fp8_blok/triton"] = c.Operators["moe"]["fp8_block/triton"]
	_, err := New(c)
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"operators.gemm.fp8: ec is missing", "gemm.fp8.eq: must be within", `unknown constant "t_us"`, "t0_us", `operators.gem: unknown operator class "gem"; did you mean "gemm"?`,
		`operators.moe.fp8_blok/triton: unknown variant "fp8_blok/triton"; did you mean "fp8_block/triton"?`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// A chip needs no class that nobody prices by; one that is missing has no price.
func TestMissingClasses(t *testing.T) {
	c := load(t, "h100")
	delete(c.Operators, "csa_decode")
	delete(c.Operators, "moe_dispatched")
	delete(c.Operators["moe"], "fp8_block/triton")
	s := compile(t, c)
	if got := s.CSADecode(&Decode{Batch: 1, Rows: 1}).Total(); !math.IsNaN(got) {
		t.Errorf("a block without constants costs %g s", got)
	}
	if err := s.Need(Use{Class: "hca_decode"}, Use{Class: "gemm", Variant: FP8Block}, Use{Class: "moe", Variant: BF16}, Use{Class: "gqa_decode", KV8: true}); err != nil {
		t.Error(err)
	}
	for _, u := range []struct {
		use  Use
		want string
	}{
		{Use{Class: "csa_decode"}, "chip h100: no constants for operators.csa_decode.all, and no ancestor has them"},
		{Use{Class: "moe", Variant: FP8Block}, "operators.moe.fp8_block/trtllm or fp8_block/triton"},
		{Use{Class: "moe_dispatched", Variant: FP8}, "operators.moe.fp8_block/trtllm or fp8_block/triton"},
		{Use{Class: "gemm", Variant: "fp9"}, `unknown variant of gemm "fp9"; did you mean "fp8"?`},
		{Use{Class: "csa_decod"}, `did you mean "csa_decode"?`},
		{Use{Class: "mla_decode"}, `unknown variant of mla_decode ""`},
	} {
		if err := s.Need(u.use); err == nil || !strings.Contains(err.Error(), u.want) {
			t.Errorf("%+v: %v, want %q in it", u.use, err, u.want)
		}
	}
	if err := s.Complete(); err == nil || strings.Contains(err.Error(), "hca_decode") || !strings.Contains(err.Error(), "csa_decode") {
		t.Errorf("got %v", err)
	}
	if err := compile(t, load(t, "l40s")).Complete(); err != nil {
		t.Error(err)
	}
}

func TestOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.Float64Range(1e-12, 1e3).Draw(t, "c")
		m := rapid.Float64Range(1e-12, 1e3).Draw(t, "m")
		p := rapid.SampledFrom([]float64{0.6, 1, 1.14, 2, 3.38, 4, 6}).Draw(t, "p")
		gotC, gotM := overlap(c, m, p)
		want := max(c, m) * math.Pow(1+math.Pow(min(c, m)/max(c, m), p), 1/p)
		if math.Abs((gotC+gotM)/want-1) > 1e-12 {
			t.Fatalf("norm %g, want %g", gotC+gotM, want)
		}
		if x, y := math.Pow(c, p), math.Pow(m, p); math.Abs(gotC-want*x/(x+y)) > 1e-9*want && p != 1 {
			t.Fatalf("compute's share %g, want %g", gotC, want*x/(x+y))
		}
	})
	if c, m := overlap2(0, 0); c != 0 || m != 0 {
		t.Error("nothing takes no time")
	}
	if c, m := overlap4(0, 0); c != 0 || m != 0 {
		t.Error("nothing takes no time")
	}
}

func TestTilePairs(t *testing.T) {
	for _, c := range []struct{ n, prefix, window, want int64 }{
		{1, 0, 0, 128}, {128, 0, 0, 128 * 128}, {200, 0, 0, 128*128 + 128*200}, {128, 1000, 0, 128 * 1128},
		{512, 0, 128, 128 * (128 + 256 + 256 + 256)}, {0, 5, 0, 0},
	} {
		if got := TilePairs(c.n, c.prefix, c.window); got != float64(c.want) {
			t.Errorf("TilePairs(%d, %d, %d) = %g, want %d", c.n, c.prefix, c.window, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n, prefix := rapid.Int64Range(1, 1<<16).Draw(t, "n"), rapid.Int64Range(0, 1<<16).Draw(t, "prefix")
		chunks := rapid.Int64Range(1, 8).Draw(t, "chunks")
		exact := float64(n*prefix + n*(n+1)/2)
		if got, want := PadPairs(exact, float64(n), 1), TilePairs(n, prefix, 0); math.Abs(got/want-1) > 1e-9 {
			t.Fatalf("one chunk: from sums %g, tile by tile %g", got, want)
		}
		got, want := PadPairs(exact*float64(chunks), float64(n*chunks), float64(chunks)), TilePairs(n, prefix, 0)*float64(chunks)
		// r rows in the last tile, taken as 64: (64−r)·(63.5+keys) + r(r−1)/2 − 64·63/2.
		if half := float64(chunks * ((prefix+n)*TileRows/2 + TileRows*TileRows/8)); math.Abs(got-want) > half+1e-6*want {
			t.Fatalf("%d chunks: from sums %g, tile by tile %g: more than half a tile a chunk apart", chunks, got, want)
		}
	})
}
