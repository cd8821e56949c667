package cost

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/models"
)

// V4-Pro as published: a checkpoint of 864.70 GB with its draft module, 835.53 GB
// of it routed experts, so 29.17 GB that data-parallel attention replicates; an
// expert is 35.09 MB.
func TestWeightsOfV4Pro(t *testing.T) {
	for _, ep := range []int{16, 64, 128} {
		s := newStepper(t, "v4", "supernode8912", Config{Role: Decode, Layout: Layout{DP: ep, EP: ep}, Drafts: 1, Engine: unsharedHead(t)})
		m := s.Memory()
		routed, rest := int64(0), int64(0)
		for _, w := range m.Weights {
			switch w.Name {
			case "routed experts":
				routed += w.Bytes
			case "draft module":
				// One layer's experts are in the draft module's line.
				routed += 384 / int64(ep) * 35_094_528
				rest += w.Bytes - 384/int64(ep)*35_094_528
			default:
				rest += w.Bytes
			}
		}
		if want := 384 / int64(ep) * 62 * 35_094_528; routed != want {
			t.Errorf("EP %d: routed experts %d bytes, want %d of 62 layers", ep, routed, want)
		}
		near(t, "what every rank replicates", float64(rest), 864_704_792_696-835_530_522_624, 1e-4)
		addsUp(t, &m)
	}
}

// addsUp holds an account to its sum.
func addsUp(t *testing.T, m *Memory) {
	t.Helper()
	sum := m.Free
	for _, i := range m.Items() {
		sum += i.Bytes
	}
	if sum != m.Capacity || m.Reserve < 0 {
		t.Errorf("the account sums to %d of %d, reserve %d: %v", sum, m.Capacity, m.Reserve, m.Items())
	}
}

// unsharedHead is an engine whose LM head every rank holds whole.
func unsharedHead(t testing.TB) *Engine {
	e := *loadEngine(t, "cann")
	e.HeadRanks = 0
	return &e
}

func TestWeightsUnderTensorAndPipelineParallelism(t *testing.T) {
	whole := newStepper(t, "llama-3.1-70b", "hgx-b300:8", Config{}).Memory().WeightBytes
	near(t, "llama-3.1-70b", float64(whole), 141.1e9, 0.002)
	tp := newStepper(t, "llama-3.1-70b", "hgx-b300:8", Config{Layout: Layout{TP: 8}}).Memory().WeightBytes
	near(t, "TP 8", float64(tp), float64(whole)/8, 0.001)
	pp := newStepper(t, "llama-3.1-70b", "hgx-b300:8", Config{Layout: Layout{PP: 8}}).Memory().WeightBytes
	// Ten layers of eighty, and embedding or head on the outer stages.
	near(t, "PP 8", float64(pp), (float64(whole)-2*128256*8192*2)/8+128256*8192*2, 0.001)
	redundant := newStepper(t, "v3", "hgx-h200:32", Config{Layout: Layout{DP: 32, EP: 32, Redundant: 32}}).Memory()
	plain := newStepper(t, "v3", "hgx-h200:32", Config{Layout: Layout{DP: 32, EP: 32}}).Memory()
	near(t, "one more expert a layer", float64(redundant.WeightBytes-plain.WeightBytes), 58*3*7168*2048*(1+4.0/128/128), 1e-6)
}

// KV bytes of one sequence against the published closed forms (continuous: less
// than an entry a layer above the integers), on an engine whose pool pads nothing.
func TestSequenceBytes(t *testing.T) {
	exactly := *loadEngine(t, "cann")
	exactly.Memory = Keeping{}
	pages := func(s *Stepper, perToken float64) float64 { return float64(s.config.PageTokens) / 2 * perToken }
	pro := newStepper(t, "v4", "gb300-nvl72", Config{Layout: Layout{DP: 8, EP: 8}, Engine: &exactly})
	m := pro.Memory()
	for _, l := range []float64{128, 8192, 131072, 1 << 20} {
		// 30 CSA layers of 652 B per 4 tokens, 31 HCA layers of 584 B per 128,
		// 61 windows, 18,710,528 B of compressor state.
		perToken := 30*652/4. + 31*584/128.
		want := l*perToken + 61*128*584 + 18_710_528
		near(t, "V4-Pro held", float64(m.SequenceBytes(int64(l))), want+pages(pro, perToken), 1e-9)
		near(t, "V4-Pro moved", float64(m.TransferBytes(int64(l))), want, 1e-9)
		near(t, "V4-Pro by its own figures", float64(m.ExactBytes(int64(l))), want, 1e-9)
	}
	near(t, "P→D of 8K", float64(m.TransferBytes(8192)), 64.5e6, 0.005)
	near(t, "P→D of 1M", float64(m.TransferBytes(1<<20)), 5.30e9, 0.005)

	v3 := newStepper(t, "v3", "hgx-h200:32", Config{Layout: Layout{DP: 32, EP: 32}, Engine: &exactly})
	mv := v3.Memory()
	near(t, "V3", float64(mv.SequenceBytes(4096)), 40016*(4096+float64(v3.config.PageTokens)/2), 1e-9)
	// vLLM's FP8 latents have 576 elements of a byte, in pages of 64.
	plain := newStepper(t, "v3", "hgx-h200:32", Config{Layout: Layout{DP: 32, EP: 32}, Engine: loadEngine(t, "vllm")}).Memory()
	near(t, "V3 in vLLM", float64(plain.SequenceBytes(4096)), 61*576*(4096+32), 1e-9)
	near(t, "V3 by its own figures", float64(plain.ExactBytes(4096)), 40016*4096, 1e-9)

	// GQA: 8 KV heads of 128 in 80 layers, keys and values in BF16; TP 4 holds two
	// heads of each layer, TP 16 still one whole head.
	token := 80 * 2 * 8 * 128 * 2.
	for tp, share := range map[int]float64{1: 1, 4: 4, 16: 8} {
		s := newStepper(t, "llama-3.1-70b", "gb300-nvl72", Config{Layout: Layout{TP: tp}})
		mg := s.Memory()
		near(t, "llama-3.1-70b", float64(mg.SequenceBytes(1000)), token/share*(1000+float64(s.config.PageTokens)/2), 1e-9)
		near(t, "llama-3.1-70b moved", float64(mg.TransferBytes(1000)), token*1000, 1e-9)
	}
}

// KVBytes is additive up to rounding and equals exact rational arithmetic.
func TestKVBytesExactly(t *testing.T) {
	s := newStepper(t, "v4", "gb300-nvl72", Config{Layout: Layout{DP: 8, EP: 8}})
	m := s.Memory()
	rapid.Check(t, func(r *rapid.T) {
		var context [models.MaxBreaks]int64
		want := new(big.Int)
		for j := range s.config.Model.Breaks {
			context[j] = rapid.Int64Range(0, 1<<50).Draw(r, "context")
			want.Add(want, new(big.Int).Mul(big.NewInt(context[j]), big.NewInt(m.cache.unit[j])))
		}
		n := rapid.Int64Range(0, 10000).Draw(r, "sequences")
		by := big.NewInt(m.cache.scale << ContextShift)
		want.Add(want, new(big.Int).Sub(by, big.NewInt(1))).Div(want, by)
		want.Add(want, big.NewInt(n*m.cache.fixed))
		if got := m.KVBytes(context, n); want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("got %d, want %s", got, want)
		}
	})
}

func TestMemoryGrowsWithWhatItHolds(t *testing.T) {
	s := newStepper(t, "v4", "gb300-nvl72", Config{Layout: Layout{DP: 8, EP: 8}})
	wide := newStepper(t, "v4", "gb300-nvl72", Config{Layout: Layout{DP: 8, EP: 8}, MaxTokens: 65536})
	if a, b := s.Memory(), wide.Memory(); b.Activations <= a.Activations || b.Free >= a.Free {
		t.Errorf("8 times the prompt tokens a step: activations %d → %d, free %d → %d", a.Activations, b.Activations, a.Free, b.Free)
	}
	drafts := newStepper(t, "v4", "gb300-nvl72", Config{Layout: Layout{DP: 8, EP: 8}, Drafts: 1})
	a, b := s.Memory(), drafts.Memory()
	if d := b.ExactBytes(1000) - a.ExactBytes(1000); d != 128*584 {
		t.Errorf("a draft layer's window adds %d bytes, want %d", d, 128*584)
	}
}

// What an engine's memory fraction f is a share of decides on the cache: with capacity C,
// weights W, activations A, graphs G, kernels' own K, and B of context and communicators
// before all of them, vLLM's is f·C − W − A − G − K, SGLang's f·(C − B) − W while A, G and
// K fit the rest, TensorRT-LLM's f·(C − B − W − A − K).
func TestMemoryFractionsMeanWhatEnginesMean(t *testing.T) {
	for _, share := range []MemoryShare{"", ShareOfAll, ShareStatic, ShareOfFree} {
		e := *loadEngine(t, "vllm")
		e.MemoryFraction, e.MemoryShareOf = 0.8, share
		m := newStepper(t, "llama-3.1-8b", "hgx-h100", Config{Engine: &e, Layout: Layout{TP: 2}}).Memory()
		b, w, a, g, k := m.Context+m.Communicators, m.WeightBytes, m.Activations, m.Graphs, m.Kernels
		if m.Context != 420<<20 || m.Communicators != 2<<30 || k != 960<<20 {
			t.Fatalf("context %d, communicators %d, kernels %d", m.Context, m.Communicators, k)
		}
		c := float64(m.Capacity)
		all := 0.8*c - float64(w+a+g+k)
		want := map[MemoryShare]float64{"": all, ShareOfAll: all, ShareStatic: 0.8*(c-float64(b)) - float64(w), ShareOfFree: 0.8 * (c - float64(b+w+a+k))}[share]
		near(t, "cache of share "+string(share), float64(m.Free), want, 1e-9)
		addsUp(t, &m)
	}
	// Activations beyond the rest come off the cache.
	e := *loadEngine(t, "sglang")
	e.MemoryFraction = 0.999
	m := newStepper(t, "llama-3.1-8b", "hgx-h100", Config{Engine: &e}).Memory()
	if m.Reserve != 0 || m.Free <= 0 {
		t.Errorf("reserve %d, free %d of %d", m.Reserve, m.Free, m.Capacity)
	}
	addsUp(t, &m)
	// A rank alone has no communicators, and what stands before the engine looks is never
	// handed out twice.
	e = *loadEngine(t, "vllm")
	e.MemoryFraction = 1
	m = newStepper(t, "llama-3.1-8b", "hgx-h100", Config{Engine: &e}).Memory()
	if m.Communicators != 0 || m.Kernels != 260<<20 || m.Reserve != 0 {
		t.Errorf("communicators %d, kernels %d, reserve %d", m.Communicators, m.Kernels, m.Reserve)
	}
	addsUp(t, &m)
	_, err := parseEngine("mine.yaml", []byte("name: x\nmemory_share_of: fre\n"), nil)
	says(t, err, "mine.yaml:2:18: memory_share_of", `did you mean "free"?`)
}
