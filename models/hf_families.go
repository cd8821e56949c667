package models

import (
	"cmp"
	"slices"
)

// family converts the architectures whose model_type it names.
type family struct {
	types   []string
	convert func(*conversion)
}

// hfFamilies is a table by function, since a literal would refer to itself.
func hfFamilies() []family {
	return []family{
		{[]string{"llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "glm4_moe", "gpt_oss", "minimax_m2"}, (*conversion).gqaFamily},
		{[]string{"deepseek_v3", "kimi_k2", "deepseek_v32", "glm_moe_dsa"}, (*conversion).latentFamily},
		{[]string{"deepseek_v4"}, (*conversion).v4Family},
		{[]string{"qwen3_next", "qwen3_5_moe_text"}, (*conversion).deltaFamily},
		{[]string{"minimax_m1"}, (*conversion).lightningFamily},
		{[]string{"kimi_linear"}, (*conversion).kimiLinearFamily},
	}
}

func hfFamily(modelType string) *family {
	for _, f := range hfFamilies() {
		if slices.Contains(f.types, modelType) {
			return &f
		}
	}
	return nil
}

func hfTypes() []string {
	var out []string
	for _, f := range hfFamilies() {
		out = append(out, f.types...)
	}
	return out
}

// gqaKind is a grouped-query kind from the common keys.
func (c *conversion) gqaKind() *attentionDoc {
	h := c.h
	a := &attentionDoc{Design: "gqa", Heads: h.Heads, KVHeads: h.kvHeads(), HeadDim: h.headDim()}
	switch h.ModelType {
	case "qwen2":
		a.Bias = "qkv"
	case "qwen3", "qwen3_moe", "qwen3_next", "qwen3_5_moe_text":
		a.QKNorm = "head"
	case "minimax_m2":
		if h.UseQKNorm {
			a.QKNorm = "all"
		}
	case "glm4_moe":
		if h.UseQKNorm {
			a.QKNorm = "head"
		}
	case "gpt_oss":
		a.Sinks = true
	}
	if h.AttentionBias {
		a.Bias = "qkvo"
		if h.ModelType == "glm4_moe" {
			a.Bias = "qkv"
		}
	}
	return a
}

// moe is the mixture of experts from whichever of the keys a family uses.
func (c *conversion) moe() *ffnDoc {
	h := c.h
	f := &ffnDoc{
		Experts: cmp.Or(h.RoutedExperts, h.LocalExperts, h.NumExperts), TopK: cmp.Or(h.ExpertsPerTok, h.ExpertsPerToken),
		Inter: cmp.Or(h.MoEIntermediate, h.Intermediate), Shared: h.SharedIntermediate, Latent: h.LatentDim,
	}
	c.need("n_routed_experts, num_local_experts or num_experts", f.Experts, "num_experts_per_tok", f.TopK, "moe_intermediate_size or intermediate_size", f.Inter)
	if n := cmp.Or(h.SharedExperts, h.NumSharedExperts); n > 0 && n < 1<<10 && f.Inter < maxWidth {
		f.Shared = n * f.Inter
	}
	if h.ExpertGroups > 1 {
		f.Groups, f.TopKGroups = h.ExpertGroups, h.TopKGroups
	}
	if h.TopKMethod == "noaux_tc" || h.RoutingBias || h.ModelType == "glm4_moe" {
		f.RouterBias = FP32
	}
	if h.ModelType == "minimax_m2" {
		c.doc.Formats.Router = FP32
	}
	if h.ModelType == "gpt_oss" {
		f.RouterBias, f.Bias = BF16, true
	}
	c.doc.Formats.Experts = cmp.Or(c.doc.Formats.Experts, BF16)
	return f
}

// hasExperts tells a mixture of experts from a dense model of the same family.
func (h *hfConfig) hasExperts() bool { return h.RoutedExperts+h.LocalExperts+h.NumExperts > 0 }

// ffnByLayer says which layers are dense: the first ones, those listed, those
// between sparse steps.
func (c *conversion) ffnByLayer(i int) string {
	h := c.h
	switch {
	case !h.hasExperts(), int64(i) < h.FirstKDense, slices.Contains(h.MLPOnlyLayers, int64(i)),
		h.SparseStep > 1 && int64(i+1)%h.SparseStep != 0:
		return "dense"
	}
	return "moe"
}

// ffns defines the kinds that ffnByLayer names.
func (c *conversion) ffns() {
	c.doc.FFN["dense"] = &ffnDoc{Inter: c.h.Intermediate}
	if c.h.hasExperts() {
		c.doc.FFN["moe"] = c.moe()
	} else {
		c.doc.Formats.Experts = ""
	}
}

func (c *conversion) gqaFamily() {
	h := c.h
	c.ffns()
	full := c.gqaKind()
	swa := *full
	swa.Window = h.SlidingWindow
	c.doc.Attention["full"], c.doc.Attention["swa"] = full, &swa
	types := c.list("layer_types", len(h.LayerTypes))
	windowed := h.windowed()
	c.each(func(i int) string {
		switch {
		case types && h.LayerTypes[i] == "sliding_attention", !types && windowed && int64(i) >= h.MaxWindowLayers:
			return "swa"
		case types && h.LayerTypes[i] != "full_attention":
			c.errorf("layer_types", "entry %d is %q; known: full_attention, sliding_attention", i, h.LayerTypes[i])
		}
		return "full"
	}, c.ffnByLayer)
	if h.hasExperts() {
		c.draft(h.NextN, "full/moe", "joint", "copied")
	}
	c.drop()
}

// windowed reports whether layers have the window that layer_types does not give them:
// Mistral's by sliding_window alone, Qwen's with use_sliding_window, Llama's never.
func (h *hfConfig) windowed() bool {
	switch {
	case h.SlidingWindow == 0:
		return false
	case h.UseSlidingWindow != nil:
		return *h.UseSlidingWindow
	}
	return h.ModelType == "mistral" || h.ModelType == "mixtral" || h.ModelType == "gpt_oss" || h.ModelType == "minimax_m2"
}

// latentFamily is MLA, and DSA where the file has an indexer.
func (c *conversion) latentFamily() {
	h := c.h
	c.ffns()
	a := &attentionDoc{Design: "mla", Heads: h.Heads, QRank: h.QLoraRank, KVRank: h.KVLoraRank,
		NopeDim: h.NopeDim, RopeDim: h.RopeDim, ValueDim: h.VHeadDim}
	c.need("kv_lora_rank", a.KVRank, "qk_nope_head_dim", a.NopeDim, "qk_rope_head_dim", a.RopeDim, "v_head_dim", a.ValueDim)
	if h.ModelType == "deepseek_v3" || h.ModelType == "deepseek_v32" {
		if w := c.doc.Formats.Weights; w == FP8 || w == FP8Block {
			c.doc.Formats.KV = FP8
		}
	}
	kind := "mla"
	if h.IndexTopK > 0 {
		kind, a.Design = "dsa", "dsa"
		a.TopK, a.IndexHeads, a.IndexDim = h.IndexTopK, h.IndexHeads, h.IndexDim
		c.doc.Formats.Indexer = c.doc.Formats.KV
		shared := *a
		shared.SharesTopK = true
		c.doc.Attention["dsa-shared"] = &shared
	}
	c.doc.Attention[kind] = a
	types := c.list("indexer_types", len(h.IndexerTypes))
	c.each(func(i int) string {
		if types && h.IndexTopK > 0 && h.IndexerTypes[i] == "shared" {
			return "dsa-shared"
		}
		return kind
	}, c.ffnByLayer)
	if h.hasExperts() {
		c.draft(h.NextN, kind+"/moe", "joint", "copied")
	}
	c.drop()
}

// v4Family reads compress_ratios (0 window, 4 CSA, otherwise HCA; one more entry
// for the draft layer), or layer_types with compress_rates.
func (c *conversion) v4Family() {
	h := c.h
	swa := &attentionDoc{Design: "window", Heads: h.Heads, HeadDim: at(h.HeadDim), RopeDim: h.RopeDim, QRank: h.QLoraRank,
		OGroups: h.OGroups, ORank: h.OLoraRank, Window: h.SlidingWindow}
	c.need("head_dim", at(h.HeadDim), "qk_rope_head_dim", h.RopeDim, "q_lora_rank", h.QLoraRank, "o_groups", h.OGroups,
		"o_lora_rank", h.OLoraRank, "sliding_window", h.SlidingWindow)
	csa, hca := *swa, *swa
	csa.Design, csa.TopK, csa.IndexHeads, csa.IndexDim = "csa", h.IndexTopK, h.IndexHeads, h.IndexDim
	hca.Design = "hca"
	csa.Ratio, hca.Ratio = h.CompressRates["compressed_sparse_attention"], h.CompressRates["heavily_compressed_attention"]
	c.doc.Attention["swa"], c.doc.Attention["csa"], c.doc.Attention["hca"] = swa, &csa, &hca
	kind := c.v4Kinds(&csa, &hca)
	if kind == nil {
		return
	}
	c.doc.HC = h.HCMult
	c.doc.Formats.KV, c.doc.Formats.Indexer, c.doc.Formats.Scale = FP8, MXFP4, "ue8m0"
	if h.ExpertDtype == "fp4" {
		c.doc.Formats.Experts = MXFP4
	}
	moe := c.moe()
	hash := *moe
	hash.Hash, hash.RouterBias = true, ""
	c.doc.FFN["moe"], c.doc.FFN["hash"] = moe, &hash
	mlp := c.list("mlp_layer_types", len(h.MLPLayerTypes))
	c.each(kind, func(i int) string {
		if mlp && h.MLPLayerTypes[i] == "hash_moe" || !mlp && int64(i) < h.HashLayers {
			return "hash"
		}
		return "moe"
	})
	c.draft(h.NextN, kind(int(h.LayerCount))+"/moe", "split", "shared")
	c.drop()
	if c.doc.Attention["csa"] == nil {
		c.doc.Formats.Indexer = ""
	}
}

// v4Kinds returns the kind of each layer; the one after the last is the draft's.
func (c *conversion) v4Kinds(csa, hca *attentionDoc) func(int) string {
	h := c.h
	if c.list("compress_ratios", len(h.CompressRatios)) {
		return func(i int) string {
			switch {
			case i >= len(h.CompressRatios) || h.CompressRatios[i] == 0:
				return "swa"
			case h.CompressRatios[i] == 4:
				csa.Ratio = 4
				return "csa"
			case hca.Ratio > 0 && hca.Ratio != h.CompressRatios[i]:
				c.errorf("compress_ratios", "entry %d is %d; want 0, 4 or one other ratio (%d)", i, h.CompressRatios[i], hca.Ratio)
			}
			hca.Ratio = h.CompressRatios[i]
			return "hca"
		}
	}
	if !c.list("layer_types", len(h.LayerTypes)) {
		c.errorf("compress_ratios", "is required (or layer_types with compress_rates)")
		return nil
	}
	names := map[string]string{"sliding_attention": "swa", "compressed_sparse_attention": "csa", "heavily_compressed_attention": "hca"}
	return func(i int) string {
		if i >= len(h.LayerTypes) {
			return "swa"
		}
		if names[h.LayerTypes[i]] == "" {
			c.errorf("layer_types", "entry %d is %q; known: sliding_attention, compressed_sparse_attention, heavily_compressed_attention", i, h.LayerTypes[i])
		}
		return names[h.LayerTypes[i]]
	}
}

// deltaFamily mixes gated delta layers with gated full attention.
func (c *conversion) deltaFamily() {
	h := c.h
	c.ffns()
	if m := c.doc.FFN["moe"]; m != nil {
		m.SharedGate = m.Shared > 0
	}
	full := c.gqaKind()
	full.OutputGate = h.AttnOutputGate == nil || *h.AttnOutputGate
	c.doc.Attention["full"] = full
	c.doc.Attention["linear"] = &attentionDoc{Design: "linear", Rule: "delta", Heads: h.LinearValueHeads, HeadDim: h.LinearValueDim,
		KeyHeads: h.LinearKeyHeads, KeyDim: h.LinearKeyDim, Conv: h.ConvDim}
	types := c.list("layer_types", len(h.LayerTypes))
	if !types {
		c.need("full_attention_interval", h.FullInterval)
	}
	c.each(func(i int) string {
		if types && h.LayerTypes[i] == "full_attention" || !types && h.FullInterval > 0 && int64(i+1)%h.FullInterval == 0 {
			return "full"
		}
		return "linear"
	}, c.ffnByLayer)
	c.draft(h.MTPLayers, "full/moe", "joint", "shared")
	c.drop()
}

// lightningFamily mixes lightning attention (0) with full attention (1).
func (c *conversion) lightningFamily() {
	h := c.h
	c.ffns()
	full := c.gqaKind()
	c.doc.Attention["full"] = full
	c.doc.Attention["linear"] = &attentionDoc{Design: "linear", Rule: "lightning", Heads: h.Heads, HeadDim: full.HeadDim}
	if !c.list("attn_type_list", len(h.AttnTypeList)) {
		c.errorf("attn_type_list", "is required")
		return
	}
	c.each(func(i int) string {
		if h.AttnTypeList[i] == 1 {
			return "full"
		}
		return "linear"
	}, c.ffnByLayer)
	c.drop()
}

// kimiLinearFamily mixes KDA with MLA, which keeps its rope_dim without RoPE.
func (c *conversion) kimiLinearFamily() {
	h := c.h
	c.ffns()
	c.doc.Attention["mla"] = &attentionDoc{Design: "mla", Heads: h.Heads, QRank: h.QLoraRank, KVRank: h.KVLoraRank,
		NopeDim: h.NopeDim, RopeDim: h.RopeDim, ValueDim: h.VHeadDim, OutputGate: h.MLAOutputGate}
	l := h.LinearAttn
	if !l.FullGate {
		c.errorf("linear_attn_config.use_full_rank_gate", "must be true: low-rank output gates are not modelled")
	}
	c.doc.Attention["kda"] = &attentionDoc{Design: "linear", Rule: "kda", Heads: l.Heads, HeadDim: l.HeadDim, Conv: l.Conv}
	c.each(func(i int) string {
		switch n := int64(i + 1); {
		case slices.Contains(l.FullLayers, n):
			return "mla"
		case !slices.Contains(l.LinearLayers, n):
			c.errorf("linear_attn_config", "layer %d is in neither full_attn_layers nor kda_layers", n)
		}
		return "kda"
	}, c.ffnByLayer)
	c.drop()
}
