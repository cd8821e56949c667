package cost

import (
	"testing"
)

// Steps against published measurements, each within 40 %: the structure must put
// them there before any calibration to the deployments themselves.
func TestPublishedSteps(t *testing.T) {
	const share = 0.40
	for _, c := range []struct {
		source, model, topology   string
		role                      Role
		ranks, redundant          int
		overlap                   Overlap
		sequences, context, chunk int64 // a rank
		prompts                   int64
		drafts                    int
		want                      float64 // ms of a step
	}{
		// hicann/cann-recipes-infer@fbc225d: 16 × 950DT, 8K context, forced balance.
		// TPOT × tokens a verify step yields (2.44 with 3 drafts, 1.70 with 1).
		{"CANN guide V4-Flash batch 16", "v4-flash", "supernode8912", Decode, 16, 0, NoOverlap, 1, 8192, 0, 0, 3, 6.55 * 2.44},
		{"CANN guide V4-Flash batch 1536", "v4-flash", "supernode8912", Decode, 16, 0, NoOverlap, 96, 8192, 0, 0, 1, 16.46 * 1.70},
		{"CANN guide V4-Pro batch 16", "v4", "supernode8912", Decode, 16, 0, NoOverlap, 1, 8192, 0, 0, 3, 17.64 * 2.44},
		{"CANN guide V4-Pro batch 128", "v4", "supernode8912", Decode, 16, 0, NoOverlap, 8, 8192, 0, 0, 3, 20.61 * 2.44},
		// deepseek-ai/profile-data@4496024: 2,325 tokens/s a GPU in decode (EP128, 128
		// requests a GPU, 4K), 7,839 in prefill (EP32, 4K prompts, 16K tokens a GPU).
		{"DeepSeek profile, decode", "v3", "hgx-h800:128", Decode, 128, 0, TwoBatch, 128, 4096, 0, 0, 0, 128 / 2.325},
		{"DeepSeek profile, prefill", "v3", "hgx-h800:32", Prefill, 32, 32, TwoBatch, 0, 0, 4096, 4, 0, 16384 / 7.839},
		// SGLang on 8 H100 a node (lm-sys/lm-sys.github.io@2db4e40, large-scale-ep): prefill
		// of 4K prompts on 4 nodes with even routing; decode of 256 requests a GPU at 2K on
		// 9, 22,310 tokens/s a node in two batches and 25.5 % less in one.
		{"SGLang H100, prefill", "v3", "hgx-h100:32", Prefill, 32, 0, TwoBatch, 0, 0, 4096, 4, 0, 16384 / 7.417},
		{"SGLang H100, decode", "v3", "hgx-h100:72", Decode, 72, 32, TwoBatch, 256, 2100, 0, 0, 0, 256 / 2.789},
		{"SGLang H100, decode in one batch", "v3", "hgx-h100:72", Decode, 72, 32, NoOverlap, 256, 2100, 0, 0, 0, 256 / 2.789 * 1.255},
		// CloudMatrix384 (arXiv 2506.12708): 6,688 tokens/s a 910C in prefill, half of it a
		// die; decode of 96 requests a 910C at 4K, TPOT 49.4 ms with one draft at 1.70.
		{"CloudMatrix384, prefill", "v3", "cloudmatrix384", Prefill, 32, 32, TwoBatch, 0, 0, 4096, 4, 0, 16384 / 3.344},
		{"CloudMatrix384, decode", "v3", "cloudmatrix384", Decode, 288, 32, NoOverlap, 48, 4096, 0, 0, 1, 49.4 * 1.70},
		// The same with 64 a die at 1.5K on 320 dies, in two micro-batches.
		{"CloudMatrix384, decode in two", "v3", "cloudmatrix384", Decode, 320, 64, TwoBatch, 64, 1536, 0, 0, 1, 46.8 * 1.70},
	} {
		s := newStepper(t, c.model, c.topology, Config{
			Role: c.role, Layout: Layout{DP: c.ranks, EP: c.ranks, Redundant: c.redundant, Overlap: c.overlap},
			Drafts: c.drafts, MaxSequences: 256, MaxTokens: 16384,
		})
		l := decode(s, c.sequences, c.context)
		if c.chunk > 0 {
			l = prefill(s, c.prompts, c.chunk, 0)
		}
		step := s.Step(everywhere(s, l))
		got := step.Time.Seconds() * 1e3
		t.Logf("%-32s %8.2f ms, published %8.2f (%+.0f %%)", c.source, got, c.want, 100*(got/c.want-1))
		near(t, c.source, got, c.want, share)
	}
}
