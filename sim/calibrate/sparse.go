package calibrate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
)

// indexed is the shape of a DSA block: MLA and its indexer.
type indexed struct {
	latentShape
	indexHeads float64
}

func indexedOf(model string) indexed {
	if strings.Contains(model, "GLM") {
		return indexed{latentShape{6144, 2048, 256, 192, 256}, 32}
	}
	return indexed{deepseekV3, 64}
}

// addIndexer adds the indexer's projections.
func (g indexed) addIndexer(l *law.Linears, tokens float64) {
	params := g.qRank*g.indexHeads*128 + g.hidden*128 + g.hidden*g.indexHeads
	if l.Variant == law.FP8Block {
		l.Bytes, l.Flops8 = l.Bytes+params, l.Flops8+2*params*tokens
		return
	}
	l.Bytes, l.Flops16 = l.Bytes+2*params, l.Flops16+2*params*tokens
}

// dsaEntry is the bytes of a cached entry of DSA.
func dsaEntry(cache string) float64 {
	if width(cache) == 1 {
		return 656
	}
	return 1152
}

func readDSADecode(r *Reader, t *table) (*Sample, string) {
	b, h, n, g := t.count("batch_size"), t.count("num_heads"), t.maybe("step")+1, indexedOf(t.text("model"))
	v, ok := blockVariants[t.text("gemm_type")]
	eager := 512.0
	if r.chip.Family == "blackwell" {
		eager = 1024
	}
	switch {
	case !ok:
		return nil, fmt.Sprintf("no DSA block has projections in %q", t.text("gemm_type"))
	case b >= eager:
		return nil, "DSA block at batches without a CUDA graph: bound by the host"
	}
	cache := t.text("kv_cache_dtype")
	x := law.Decode{
		Batch: b, Rows: b, Heads: h, KV8: width(cache) == 1, Entries: min(n, 2048), KVBytes: dsaEntry(cache) * b * min(n, 2048),
		CoreFlops: 2 * 1088 * b * h * min(n, 2048), Linear: g.linears(v, b, h),
	}
	skips := strings.Contains(t.text("op_name"), "skip")
	if !skips {
		x.Keys, x.IndexBytes, x.TopKActive = n, 132*b*n, n > 2048
		g.addIndexer(&x.Linear, b)
	}
	s := &Sample{Class: "dsa_decode", Variant: cacheName(cache), Size: b, Shape: fmt.Sprintf("%s h%.0f b%.0f", family(g.hidden), h, b)}
	s.Kernel = strings.NewReplacer("_skip_indexer", "", "_indexer", "").Replace(t.text("kernel_source"))
	if s.Part = "with indexer"; skips {
		s.Part = "reuses an index"
	}
	s.Key = fmt.Sprintf("%s n%.0f %s", s.Shape, n, v)
	s.Time = func(l *law.Set) law.Time { return l.DSADecode(&x) }
	return s, ""
}

func family(hidden float64) string { return fmt.Sprintf("d%.0f", hidden) }

// eager is a block's sample of a prompt that the host launched kernel by kernel: its
// floor shows in the table's smallest prompts.
type eager struct {
	file, group string // kernel and format of projections
	sample      *Sample
	work        *law.Prefill
}

// smallPrompt is so few tokens that the chip waits for the host.
const smallPrompt = 64

// settleEager gives every group its host floor, the median of its small prompts, and
// keeps what takes twice as long and more: below, the host's jitter is most of a row.
func (r *Reader) settleEager() {
	floors := map[string][]float64{}
	for _, e := range r.eager {
		if e.work.Tokens <= smallPrompt {
			floors[e.group] = append(floors[e.group], e.sample.Seconds)
		}
	}
	for _, f := range floors {
		slices.Sort(f)
	}
	for _, e := range r.eager {
		if f := floors[e.group]; len(f) > 0 {
			e.work.HostFloor = middle(f)
		}
		if e.sample.Seconds < 2*e.work.HostFloor {
			r.rows.leave(e.file, "DSA block over a prompt less than twice the time in which the host launches it kernel by kernel")
			continue
		}
		r.rows.add(e.sample)
	}
	r.eager = nil
}

// readDSAPrefill files its samples with settleEager.
func readDSAPrefill(r *Reader, t *table) (*Sample, string) {
	b, l, from, h := t.count("batch_size"), t.count("isl"), t.maybe("step"), t.count("num_heads")
	kernel, cache, g := t.text("kernel_source"), t.text("kv_cache_dtype"), indexedOf(t.text("model"))
	v, ok := blockVariants[t.text("gemm_type")]
	_, core, found := strings.Cut(kernel, "indexer_")
	switch {
	case !ok:
		return nil, fmt.Sprintf("no DSA block has projections in %q", t.text("gemm_type"))
	case strings.Contains(kernel, "dense_mha"):
		return nil, "DSA block on its dense path (contexts within top-k): another kernel than the sparse one that is fitted"
	case !found:
		return nil, fmt.Sprintf("no class has the sparse attention kernel %q", kernel)
	case from >= 131072:
		return nil, "DSA block behind 131,072 cached tokens and more: 450 us more of the host"
	}
	skips := strings.Contains(kernel, "skip")
	selected, scored := b*(ramp(from+l, 2048)-ramp(from, 2048)), b*(ramp(from+l, 1e12)-ramp(from, 1e12))
	x := law.Prefill{
		Tokens: b * l, KV8: width(cache) == 1, CoreFlops: 2 * 1088 * h * selected, GatherBytes: dsaEntry(cache) * selected,
		ActBytes: law.SparseActBytes(b*l, g.hidden, h, 544), Linear: g.linears(v, b*l, h),
	}
	if !skips {
		x.IndexFlops, x.ScoreBytes = 2*g.indexHeads*128*scored, 4*scored
		g.addIndexer(&x.Linear, b*l)
	}
	s := &Sample{Class: "dsa_prefill", Variant: core, Kernel: "sglang_dsa_" + core, Size: b * l, Shape: fmt.Sprintf("%s h%.0f b%.0f", family(g.hidden), h, b)}
	if s.Part = "with indexer"; skips {
		s.Part = "reuses an index"
	}
	s.Key = fmt.Sprintf("%s l%.0f from%.0f %s %s", s.Shape, l, from, v, cache)
	s.Time = func(l *law.Set) law.Time { return l.DSAPrefill(&x) }
	if s.Seconds = t.number("latency", 1e-9, 1e9) * 1e-3; !t.bad {
		r.eager = append(r.eager, eager{t.name, kernel + " " + string(v), s, &x})
	}
	return nil, ""
}

// compressed is one rank's share of a DeepSeek-V4 attention block.
type compressed struct{ hidden, qRank, heads, groups, topk float64 }

func compressedOf(model string, heads float64) compressed {
	if strings.Contains(model, "Flash") {
		return compressed{4096, 1024, heads, 8 * heads / 64, 512}
	}
	return compressed{7168, 1536, heads, 16 * heads / 128, 1024}
}

// linears are the block's projections: o_a and the compressors stay in BF16
// whatever the rest is.
func (v compressed) linears(indexer bool, gemm law.Variant, tokens float64) law.Linears {
	rest := v.hidden*v.qRank + v.qRank*v.heads*512 + v.hidden*512 + v.groups*1024*v.hidden
	wide := v.heads * 512 * 1024
	if indexer {
		wide += 2*v.hidden*1024 + 2*v.hidden*256 + 64*v.hidden
		rest += v.qRank * 64 * 128
	} else {
		wide += 2 * v.hidden * 512
	}
	if gemm == law.FP8Block {
		return law.Linears{Variant: gemm, Bytes: rest + 2*wide, Flops8: 2 * rest * tokens, Flops16: 2 * wide * tokens}
	}
	return law.Linears{Variant: law.BF16, Bytes: 2 * (rest + wide), Flops16: 2 * (rest + wide) * tokens}
}

func readCSADecode(_ *Reader, t *table) (*Sample, string) { return compressedDecode(t, "csa_decode") }
func readHCADecode(_ *Reader, t *table) (*Sample, string) { return compressedDecode(t, "hca_decode") }

func compressedDecode(t *table, class string) (*Sample, string) {
	b, n, h, ratio := t.count("batch_size"), t.maybe("step")+1, t.count("num_heads"), t.count("compress_ratio")
	g, ok := blockVariants[t.text("gemm_type")]
	if !ok || g == law.NVFP4 {
		return nil, fmt.Sprintf("no V4 block has projections in %q", t.text("gemm_type"))
	}
	v, csa := compressedOf(t.text("model"), h), class == "csa_decode"
	entries := math.Floor(n / ratio)
	x := law.Decode{Batch: b, Rows: b, Heads: h, Keys: entries, Linear: v.linears(csa, g, b), Entries: min(n, 128) + entries}
	if csa {
		x.Entries = min(n, 128) + min(entries, v.topk)
		x.IndexBytes, x.TopKActive = 132*b*entries, entries > v.topk && n < 131072
	}
	x.KVBytes, x.CoreFlops = 584*b*x.Entries, 4*h*512*b*x.Entries
	s := &Sample{Class: class, Variant: "all", Size: b, Shape: fmt.Sprintf("%s h%.0f b%.0f", family(v.hidden), h, b)}
	s.Key = fmt.Sprintf("%s n%.0f %s", s.Shape, n, g)
	s.Time = func(l *law.Set) law.Time { return l.CSADecode(&x) }
	if !csa {
		s.Time = func(l *law.Set) law.Time { return l.HCADecode(&x) }
	}
	return s, ""
}

func readCSAPrefill(_ *Reader, t *table) (*Sample, string) {
	return compressedPrefill(t, "csa_prefill")
}

func readHCAPrefill(_ *Reader, t *table) (*Sample, string) {
	return compressedPrefill(t, "hca_prefill")
}

func compressedPrefill(t *table, class string) (*Sample, string) {
	b, l, from, h, m := t.count("batch_size"), t.count("isl"), t.maybe("step"), t.count("num_heads"), t.count("compress_ratio")
	g, ok := blockVariants[t.text("gemm_type")]
	if !ok || g == law.NVFP4 {
		return nil, fmt.Sprintf("no V4 block has projections in %q", t.text("gemm_type"))
	}
	v, csa, k := compressedOf(t.text("model"), h), class == "csa_prefill", 0.0
	if csa {
		k = v.topk
	}
	pairs := b * (ramp(from+l, 128) - ramp(from, 128) + stairs(from+l, m, k) - stairs(from, m, k))
	x := law.Prefill{
		Tokens: b * l, CoreFlops: 4 * h * 512 * pairs, GatherBytes: 584 * pairs,
		ActBytes: law.SparseActBytes(b*l, v.hidden, h, 512), Linear: v.linears(csa, g, b*l),
	}
	s := &Sample{Class: class, Variant: "all", Size: b * l, Shape: fmt.Sprintf("%s h%.0f b%.0f", family(v.hidden), h, b)}
	s.Key = fmt.Sprintf("%s l%.0f from%.0f %s", s.Shape, l, from, g)
	s.Time = func(l *law.Set) law.Time { return l.HCAPrefill(&x) }
	if csa {
		scored := b * (stairs(from+l, m, 0) - stairs(from, m, 0))
		x.IndexFlops, x.ScoreBytes = 2*64*128*scored, 4*scored
		s.Time = func(l *law.Set) law.Time { return l.CSAPrefill(&x) }
	}
	return s, ""
}

// stairs is Σ min(⌊i/m⌋, k) for i = 1 … n; k = 0 is no limit.
func stairs(n, m, k float64) float64 {
	if k > 0 && n >= m*k {
		return stairs(m*k-1, m, 0) + k*(n-m*k+1)
	}
	q := math.Floor(n / m)
	return m*q*(q-1)/2 + q*(n-q*m+1)
}

// ramp is Σ min(i, k) for i = 1 … n.
func ramp(n, k float64) float64 { return stairs(n, 1, k) }

func leaveHCACore(*Reader, *table) (*Sample, string) {
	return nil, "attention core of an HCA block alone: it is inside hca_decode and hca_prefill"
}
