package law

import "testing"

func BenchmarkDecode(b *testing.B) {
	s := compile(b, load(b, "h100"))
	x := Decode{
		Batch: 64, Rows: 128, Heads: 128, KVHeads: 8, HeadDim: 128, KVBytes: 1e9, CoreFlops: 1e10, Entries: 2048, Keys: 32768,
		IndexBytes: 1e8, TopKActive: true, Linear: Linears{Variant: FP8Block, Bytes: 1e8, Flops8: 1e10, Flops16: 1e9},
	}
	for _, c := range []struct {
		name string
		f    func(*Decode) Time
	}{{"gqa", s.GQADecode}, {"mla", s.MLADecode}, {"dsa", s.DSADecode}, {"csa", s.CSADecode}, {"hca", s.HCADecode}} {
		b.Run("kind="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			sum := 0.0
			for b.Loop() {
				x.Entries++
				sum += c.f(&x).KV
			}
			_ = sum
		})
	}
}

func BenchmarkGEMM(b *testing.B) {
	s := compile(b, load(b, "h100"))
	for _, v := range []Variant{BF16, FP8Block} {
		b.Run("variant="+string(v), func(b *testing.B) {
			b.ReportAllocs()
			m := 1.0
			for b.Loop() {
				m++
				_ = s.GEMM(v, m, 4096, 7168)
			}
		})
	}
}

func BenchmarkMoE(b *testing.B) {
	s := compile(b, load(b, "b200"))
	x := MoE{Variant: NVFP4, Tokens: 64, TopK: 8, Hidden: 7168, Inter: 2048, Pairs: 512, Touched: 64}
	b.ReportAllocs()
	for b.Loop() {
		x.Tokens++
		_ = s.MoE(x)
	}
}
