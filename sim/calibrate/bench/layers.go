package bench

import (
	"fmt"
	"slices"

	"github.com/clustersim/clustersim/models"
)

// ffn adds a dense MLP, or the router, the shared and the routed experts of a mixture.
func (s *set) ffn(f *models.FFN) {
	for _, l := range f.Linears {
		s.linear(l, rows)
	}
	m := f.MoE
	if m == nil {
		return
	}
	for _, l := range slices.Concat([]models.Linear{m.Gate}, m.Latent, m.Shared) {
		s.linear(l, rows)
	}
	for _, ep := range []Point{{Tokens: 1}, {Tokens: 64}, {Tokens: 8, Level: 1}, {Tokens: 16, Level: 1}, {Tokens: 4, Level: 2}} {
		if m.Experts%ep.Tokens == 0 && m.Experts > 2*ep.Tokens || ep.Tokens == 1 {
			s.experts(m, ep.Tokens, m.Inter, ep.Level)
		}
	}
	s.experts(m, 1, (m.Inter+7)/8, 1)
}

// experts adds a rank's routed experts, 1/ep of them with inter columns each: the whole
// layer behind the all-to-all, and its two grouped products alone. Points are tokens of
// the whole expert-parallel group; a rank's pairs are tokens·topk/ep.
func (s *set) experts(m *models.MoE, ep, inter int64, level int) {
	formats := []Graded{{Name: "bfloat16"}, {Name: "fp8"}, {Name: expertFormat(m.Format), Level: 0}}
	if m.Format == models.BF16 {
		formats[2] = Graded{Name: "fp8_block", Level: 1}
	}
	var group grid
	for _, p := range tokens(0, 1, 128, 2048).and(1, 16, 512).and(2, 4, 64, 8192) {
		group = group.and(p.Level, p.Tokens*ep)
	}
	shape := fmt.Sprintf("h=%d;i=%d;E=%d;topk=%d;ep=%d;balanced", m.In, inter, m.Experts, m.TopK, ep)
	s.add(Family{Op: "moe_dispatched", Shape: shape, Ranks: ep, Level: level, Formats: formats, Points: group})
	if ep != 1 && ep != 64 || inter != m.Inter {
		return
	}
	each := tokens(1, 1, 64, 1024).and(2, 16, 256)
	for _, nk := range [][2]int64{{(m.Mats - 1) * inter, m.In}, {m.In, inter}} {
		alone := fmt.Sprintf("groups=%d;m_per_group={m};n=%d;k=%d", m.Experts/ep, nk[0], nk[1])
		s.add(Family{Op: "grouped_gemm_contiguous", Shape: alone, Level: level, Formats: formats, Points: each})
	}
}

// expertFormat is a stored format as rows of experts name it.
func expertFormat(f models.Format) string {
	switch f {
	case models.MXFP4:
		return "w4a8_mxfp4_mxfp8"
	case models.INT4:
		return "int4_wo"
	case models.BF16:
		return "bfloat16"
	}
	return string(f)
}

// cached are the formats of attention: BF16 on a BF16 cache, and on the cache that the
// model keeps where that is narrower.
func (s *set) cached() []Graded {
	out := []Graded{{Name: "bfloat16/bfloat16"}}
	if f := s.model.Formats.KV; f != models.BF16 {
		out = append(out, Graded{Name: "bfloat16/" + string(f), Level: 1})
	}
	return out
}

// Grids of attention: sequences at a context.
var (
	decoding = grid(nil).at(0, 1023, 1, 64).at(0, 16383, 1, 32).at(0, 4095, 128).at(1, 4095, 8, 32).at(1, 131071, 1, 4).at(1, 1023, 256).
			at(2, 8191, 2, 16, 64).at(2, 255, 16, 512).at(2, 65535, 8)
	prefilling = grid(nil).at(0, 1024, 1, 8).at(0, 8192, 1).at(1, 2048, 4).at(1, 16384, 1).at(2, 512, 1, 16).at(2, 4096, 1, 4).at(2, 32768, 1)
	choosing   = grid(nil).at(1, 16384, 1, 32).at(1, 65536, 1, 8).at(2, 4096, 8, 128).at(2, 16384, 4)
	scoring    = grid(nil).at(0, 4096, 1, 64).at(0, 32768, 1, 16).at(1, 131072, 1, 4).at(2, 16384, 8, 64)
)

// timed are the designs whose cores a script knows how to time.
var timed = []string{"gqa", "mla", "dsa", "csa", "hca", "window", "linear"}

// untimed refuses a model with a design that a script would leave out.
func untimed(m *models.Model) error {
	for _, layers := range [][]models.Layer{m.Layers, m.MTP} {
		for _, l := range layers {
			if d := l.Attention.Design; !slices.Contains(timed, d) {
				return fmt.Errorf("model %s: attention %s: no script times design %q; sim/calibrate/bench/layers.go would have to know it", m.Name, l.Attention.Label, d)
			}
		}
	}
	return nil
}

// attention adds a layer's projections and its cores under every cut of the heads.
func (s *set) attention(a *models.Attention) {
	for _, l := range a.Linears {
		s.linear(l, rows)
	}
	for _, tp := range degrees(a.Heads) {
		heads, kv := (a.Heads+tp.Tokens-1)/tp.Tokens, (a.KVHeads+tp.Tokens-1)/tp.Tokens
		perHead := len(a.Pieces) > 0 && a.Pieces[0].PerHead
		switch {
		case a.Design == "linear":
			s.delta(a, heads, kv, tp.Level)
		case perHead && a.HeadDim == a.ValueDim:
			s.gqa(a, heads, kv, tp.Level)
		case a.Design == "mla" && !perHead:
			s.latent(a, heads, tp.Level)
		case !perHead:
			s.chosen(a, heads, tp.Level)
		}
	}
	s.indexer(a)
}

func (s *set) gqa(a *models.Attention, heads, kv int64, level int) {
	f := Family{Op: "attention_decode", Shape: fmt.Sprintf("h=%d;kv=%d;d=%d", heads, kv, a.HeadDim), Level: level, Formats: s.cached(), Points: decoding.within(s.model.MaxContext)}
	if a.Window > 0 {
		f.Shape += fmt.Sprintf(";w=%d", a.Window)
		s.add(f)
		return
	}
	s.add(f)
	f.Op, f.Points, f.Formats = "attention_prefill_causal", prefilling.within(s.model.MaxContext), f.Formats[:1]
	s.add(f)
}

// latent adds MLA: decode on the latents (absorbed), prefill with keys and values of
// every head, whose widths follow from the projections.
func (s *set) latent(a *models.Attention, heads int64, level int) {
	s.add(Family{Op: "mla_decode", Shape: fmt.Sprintf("heads=%d;%d/%d", heads, a.HeadDim, a.ValueDim), Level: level, Formats: s.cached(), Points: decoding.within(s.model.MaxContext)})
	var keys, values int64
	for _, l := range a.Linears {
		switch l.Name {
		case "o":
			values = l.In / a.Heads
		case "kv_b":
			keys = l.Out / a.Heads
		}
	}
	keys += a.HeadDim - a.ValueDim - values
	s.add(Family{Op: "mla_prefill_causal", Shape: fmt.Sprintf("heads=%d;%d/%d", heads, keys, values), Level: level, Formats: wide, Points: prefilling.within(s.model.MaxContext)})
}

// chosen adds attention over entries that every query gathers: the top-k of an indexer
// and the window, or a window and all compressed entries at 8K, 64K and 512K of context.
func (s *set) chosen(a *models.Attention, heads int64, level int) {
	entries := []int64{a.Window}
	for _, p := range a.Pieces {
		switch {
		case p.Role != models.Core || p.Stride == 1 && a.Window > 0:
		case a.TopK > 0:
			entries[0] += a.TopK
		default:
			entries = []int64{a.Window + 8192/p.Stride, a.Window + 65536/p.Stride, a.Window + 524288/p.Stride}
		}
	}
	for _, n := range entries {
		if n == 0 {
			continue
		}
		for _, op := range []string{"dsa_decode", "dsa_prefill"} {
			points := choosing
			if op == "dsa_prefill" {
				points = grid(nil).at(1, 16384, 512).at(2, 16384, 2048)
			}
			s.add(Family{Op: op, Shape: fmt.Sprintf("attn-%d-%d-%d", heads, a.HeadDim, n), Level: level, Formats: wide, Points: points})
		}
	}
}

// indexer adds the scores and the top-k of sparse attention, whole on every rank.
func (s *set) indexer(a *models.Attention) {
	if !a.RunsIndexer {
		return
	}
	s.add(Family{Op: "indexer_logits", Shape: fmt.Sprintf("heads=%d", a.IndexHeads), Formats: []Graded{{Name: "bfloat16"}, {Name: "fp8"}}, Points: scoring})
	for level, keys := range []int64{8192, 32768, 131072} {
		shape := fmt.Sprintf("[{m},%d]", keys)
		s.add(Family{Op: fmt.Sprintf("dsa_indexer_topk%d", a.TopK), Shape: shape, Level: min(1, level), Formats: []Graded{{Name: "fp32"}}, Points: tokens(0, 1, 64).and(1, 512)})
	}
}

// delta adds the state update of the gated delta rule. Its chunked prefill and the
// other rules have no stock operator.
func (s *set) delta(a *models.Attention, heads, keys int64, level int) {
	if !slices.ContainsFunc(a.Linears, func(l models.Linear) bool { return l.Name == "qkvz" }) {
		return
	}
	shape := fmt.Sprintf("kh=%d;dk=%d;vh=%d;dv=%d", keys, a.HeadDim, heads, a.ValueDim)
	s.add(Family{Op: "gdn_update", Shape: shape, Level: level, Formats: wide, Points: tokens(0, 1, 64).and(1, 16, 256).and(2, 4, 128)})
}
