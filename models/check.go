package models

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// checker collects every fault of a document; errorf takes a dotted path.
type checker struct {
	doc    *document
	errorf func(path, format string, args ...any)
}

// check reports all that is wrong with a document. One that passes builds.
func (c checker) check() {
	d := c.doc
	if d.Name == "" {
		c.errorf("name", "must not be empty")
	}
	c.size("hidden", d.Hidden, maxWidth)
	c.size("vocab", d.Vocab, 1<<24)
	c.size("max_context", d.MaxContext, maxTokens)
	c.size("layer_count", d.LayerCount, maxLayers)
	if d.HC < 0 || d.HC > 64 {
		c.errorf("hyper_connections", "must be between 1 and 64, got %d", d.HC)
	}
	if p := d.Published; p != nil {
		if !(p.Parameters > 0) || math.IsInf(p.Parameters, 0) {
			c.errorf("published.parameters", "must be a positive number, got %v", p.Parameters)
		}
		if p.Source == "" {
			c.errorf("published.source", "must name the source of the figure")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attention)) {
		c.attention("attention."+name, d.Attention[name])
	}
	for _, name := range slices.Sorted(maps.Keys(d.FFN)) {
		c.ffn("ffn."+name, d.FFN[name])
	}
	c.layers()
	c.formats()
	c.mtp()
	c.breaks()
}

func (c checker) size(path string, v, limit int64) {
	if v < 1 || v > limit {
		c.errorf(path, "must be between 1 and %d, got %d", limit, v)
	}
}

func (c checker) attention(path string, a *attentionDoc) {
	if a == nil {
		c.errorf(path, "must not be empty")
		return
	}
	d := findDesign(a.Design)
	if d == nil {
		c.errorf(path+".design", "%v", spec.UnknownName("attention design", a.Design, designNames()))
		return
	}
	for _, f := range a.fields() {
		need, takes := d.takes(f.key)
		switch {
		case f.set && !takes:
			c.errorf(path+"."+f.key, "design %s has no %s; it takes %s", d.name, f.key, strings.TrimSpace(d.need+" "+d.may))
		case need && !f.set:
			c.errorf(path+"."+f.key, "is required by design %s", d.name)
		case f.set && f.limit > 0 && (f.value < 1 || f.value > f.limit):
			c.errorf(path+"."+f.key, "must be between 1 and %d, got %d", f.limit, f.value)
		}
	}
	c.relations(path, a)
}

// relations are the checks that tie several parameters together.
func (c checker) relations(path string, a *attentionDoc) {
	if a.KVHeads > 0 && a.Heads%a.KVHeads != 0 {
		c.errorf(path+".kv_heads", "must divide heads (%d), got %d", a.Heads, a.KVHeads)
	}
	if a.KeyHeads > 0 && a.Heads%a.KeyHeads != 0 {
		c.errorf(path+".key_heads", "must divide heads (%d), got %d", a.Heads, a.KeyHeads)
	}
	if a.OGroups > 0 && a.Heads%a.OGroups != 0 {
		c.errorf(path+".o_groups", "must divide heads (%d), got %d", a.Heads, a.OGroups)
	}
	if a.HeadDim > 0 && a.RopeDim > a.HeadDim {
		c.errorf(path+".rope_dim", "must be at most head_dim (%d), got %d", a.HeadDim, a.RopeDim)
	}
	c.oneOf(path+".rule", a.Rule, "delta", "kda", "lightning")
	c.oneOf(path+".qk_norm", a.QKNorm, "head", "all")
	c.oneOf(path+".bias", a.Bias, "qkv", "qkvo")
}

func (c checker) oneOf(path, got string, want ...string) {
	if got != "" && !slices.Contains(want, got) {
		c.errorf(path, "must be one of %s, got %q", strings.Join(want, ", "), got)
	}
}

func (c checker) ffn(path string, f *ffnDoc) {
	if f == nil {
		c.errorf(path, "must not be empty")
		return
	}
	c.size(path+".inter", f.Inter, maxWidth)
	if f.Experts == 0 {
		if *f != (ffnDoc{Inter: f.Inter}) {
			c.errorf(path, "a dense MLP has only inter; give experts for a mixture of experts")
		}
		return
	}
	c.size(path+".experts", f.Experts, 1<<16)
	c.size(path+".topk", f.TopK, 1<<16)
	if f.TopK > f.Experts {
		c.errorf(path+".topk", "must be at most experts (%d), got %d", f.Experts, f.TopK)
	}
	if f.Groups != 0 || f.TopKGroups != 0 {
		c.size(path+".groups", f.Groups, f.Experts)
		c.size(path+".topk_groups", f.TopKGroups, max(1, f.Groups))
		if f.Groups > 0 && f.Experts%f.Groups != 0 {
			c.errorf(path+".groups", "must divide experts (%d), got %d", f.Experts, f.Groups)
		}
		if f.Groups > 0 && f.TopKGroups*(f.Experts/f.Groups) < f.TopK {
			c.errorf(path+".topk_groups", "%d of %d groups hold fewer than topk (%d) experts", f.TopKGroups, f.Groups, f.TopK)
		}
	}
	if f.Shared < 0 || f.Shared > maxWidth {
		c.errorf(path+".shared_inter", "must be between 0 and %d, got %d", maxWidth, f.Shared)
	}
	if f.SharedGate && f.Shared == 0 {
		c.errorf(path+".shared_gate", "needs shared_inter")
	}
	if f.Latent < 0 || f.Latent > maxWidth {
		c.errorf(path+".latent", "must be between 0 and %d, got %d", maxWidth, f.Latent)
	}
	if f.RouterBias != "" && f.RouterBias != FP32 && f.RouterBias != BF16 {
		c.errorf(path+".router_bias", "must be fp32 or bf16, got %s", f.RouterBias)
	}
}

// layers checks that the patterns name known kinds, use all of them and add up.
func (c checker) layers() {
	d := c.doc
	used, total, indexed := map[string]bool{}, int64(0), false
	for i, run := range d.Layers {
		at := "layers[" + itoa(int64(i)) + "]"
		if run.Repeat < 0 || run.Repeat > maxLayers {
			c.errorf(at+".repeat", "must be between 1 and %d, got %d", maxLayers, run.Repeat)
		}
		if len(run.Pattern) == 0 {
			c.errorf(at+".pattern", "must name at least one layer as attention/ffn")
		}
		total += max(1, run.Repeat) * int64(len(run.Pattern))
		for j, name := range run.Pattern {
			a := c.layer(at+".pattern["+itoa(int64(j))+"]", name, used)
			if a != nil && a.SharesTopK && !indexed {
				c.errorf(at+".pattern["+itoa(int64(j))+"]", "%s shares the top-k of an earlier layer, and there is none that chooses", name)
			}
			indexed = indexed || a != nil && a.TopK > 0 && !a.SharesTopK
		}
	}
	if total != d.LayerCount {
		c.errorf("layers", "cover %d layers, layer_count is %d", total, d.LayerCount)
	}
	if d.MTP != nil {
		for i, name := range d.MTP.Layers {
			c.layer("mtp.layers["+itoa(int64(i))+"]", name, used)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attention)) {
		if !used["a/"+name] {
			c.errorf("attention."+name, "no layer uses it")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.FFN)) {
		if !used["f/"+name] {
			c.errorf("ffn."+name, "no layer uses it")
		}
	}
}

func (c checker) layer(path, name string, used map[string]bool) *attentionDoc {
	an, fn, ok := strings.Cut(name, "/")
	if !ok {
		c.errorf(path, "%q must be attention/ffn, for example mla/moe", name)
		return nil
	}
	a, known := c.doc.Attention[an]
	if !known {
		c.errorf(path, "%v", spec.UnknownName("attention", an, slices.Sorted(maps.Keys(c.doc.Attention))))
	}
	if _, known := c.doc.FFN[fn]; !known {
		c.errorf(path, "%v", spec.UnknownName("ffn", fn, slices.Sorted(maps.Keys(c.doc.FFN))))
	}
	used["a/"+an], used["f/"+fn] = true, true
	return a
}

func (c checker) formats() {
	f, d := c.doc.Formats, c.doc
	moe, index := false, false
	for _, p := range d.FFN {
		moe = moe || p != nil && p.Experts > 0
	}
	for _, a := range d.Attention {
		index = index || a != nil && a.IndexDim > 0 && !a.SharesTopK
	}
	c.format("formats.weights", f.Weights, weightFormats, true)
	if f.Attention != "" {
		c.format("formats.attention", f.Attention, weightFormats, true)
	}
	if f.AttentionOutput != "" {
		c.format("formats.attention_output", f.AttentionOutput, weightFormats, true)
	}
	if f.Router != "" {
		c.format("formats.router", f.Router, []Format{BF16, FP32}, moe)
	}
	c.format("formats.kv", f.KV, cacheFormats, true)
	c.format("formats.experts", f.Experts, weightFormats, moe)
	c.format("formats.indexer", f.Indexer, cacheFormats, index)
	c.oneOf("formats.block_scale", f.Scale, "fp32", "ue8m0")
}

func (c checker) format(path string, f Format, allowed []Format, want bool) {
	switch {
	case f == "" && want:
		c.errorf(path, "is required; want one of %s", formatNames(allowed))
	case f != "" && !want:
		c.errorf(path, "the model has nothing that it would apply to")
	case f != "" && !slices.Contains(allowed, f):
		c.errorf(path, "must be one of %s, got %q", formatNames(allowed), f)
	}
}

func (c checker) mtp() {
	m := c.doc.MTP
	if m == nil {
		return
	}
	if len(m.Layers) == 0 || len(m.Layers) > 16 {
		c.errorf("mtp.layers", "must name 1 to 16 draft layers, got %d", len(m.Layers))
	}
	if m.Projection != "joint" && m.Projection != "split" {
		c.errorf("mtp.projection", "must be joint or split, got %q", m.Projection)
	}
	if m.Embeddings != "copied" && m.Embeddings != "shared" {
		c.errorf("mtp.embeddings", "must be copied or shared, got %q", m.Embeddings)
	}
	for i, v := range m.AcceptedLength {
		if !(v >= 1 && v <= float64(i+2)) {
			c.errorf("mtp.accepted_length["+itoa(int64(i))+"]", "must be between 1 and %d with %d drafts, got %v", i+2, i+1, v)
		}
	}
	if len(m.AcceptedLength) > 0 && m.AcceptedSource == "" {
		c.errorf("mtp.accepted_source", "must name the source of accepted_length")
	}
}

// breaks counts the distinct truncations of context that the layers need.
func (c checker) breaks() {
	distinct := map[int64]bool{}
	for _, a := range c.doc.Attention {
		if a == nil {
			continue
		}
		if a.Window > 0 {
			distinct[a.Window] = true
		}
		if a.TopK > 0 {
			distinct[a.TopK*max(1, a.Ratio)] = true
		}
	}
	if len(distinct) >= MaxBreaks {
		c.errorf("attention", "has %d distinct windows and top-k spans; at most %d are supported", len(distinct), MaxBreaks-1)
	}
}
