package calibrate

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/sim/spec"
)

// kernelColumns are those of kernels.csv, which `calibrate bench` writes too.
var kernelColumns = [...]string{
	"id", "source", "hardware", "op", "dtype", "shape", "batch_or_tokens", "ctx_or_isl", "ranks", "latency_us", "tflops", "gbps", "notes",
}

// call is one row of kernels.csv.
type call struct {
	t                 *table
	op, dtype, source string
	shape             map[string]string // key=value;… by key
	dims              []float64         // or a-b-c
	words             []string          // of the shape, without a key
	tokens, length    float64
}

// kernelOp is an operator of kernels.csv.
type kernelOp struct {
	name string
	read func(r *Reader, c *call) (*Sample, string)
}

var kernelOps = [...]kernelOp{
	{"gemm", callGEMM},
	{"gemm_fused", callGEMM},
	{"moe", callMoE},
	{"wideep_generation_moe", callDispatched},
	{"moe_dispatched", callDispatched},
	{"attention_prefill_causal", callGQAPrefill},
	{"mha_prefill", callGQAPrefill},
	{"attention_decode", callGQADecode},
	{"mha_decode", callGQADecode},
	{"mla_prefill_causal", callMLAPrefill},
	{"mla_prefill", callMLAPrefill},
	{"mla_decode", callMLADecode},
	{"mla_decode_block", callMLABlock},
	{"elementwise", callElementwise},
	{"gdn_update", callDelta},
	{"gdn_shift", callDelta},
	{"gdn_chunks", callDelta},
	{"gdn_convolution", callDelta},
	{"mhc_pre", callMHC},
	{"mhc_post", callMHC},
	{"indexer_logits", callLogits},
}

// otherOps are operators of kernels.csv that no class is fitted to, and why, by
// the beginning of their names.
var otherOps = [...][2]string{
	{"custom_all_reduce", otherComm}, {"nccl_", otherComm}, {"deepep_", otherComm}, {"xccl_", otherComm}, {"moe_dispatch", otherComm},
	{"moe_combine", otherComm}, {"trtllm_alltoall", otherComm}, {"comm_", otherComm},
	{"mega_moe", "fused experts: the row does not say what the links had to carry"},
	{"wideep_context_moe", "dispatched experts of a prefill: launched kernel by kernel, 0.3-0.5 ms of the host hide the kernels"},
	{"grouped_gemm", "one of a layer's two grouped GEMMs: the class is the whole layer of experts"},
	{"dsa_", "a part of a DSA block, or a block whose projections the row does not state: the class is the whole block"},
	{"dsv4_", "a V4 block in short form: calibrate on aiconfigurator's own table, which states its shape"},
	{"gdn_decode", "gated delta kernels in one row"}, {"gdn_prefill", "gated delta kernels in one row"},
	{"gemm_sustained", "a sustained rate, not a call"}, {"hbm_stream", "a sustained rate, not a call"},
	{"mha_prefill_dense_fwd", "a peak, not a call"}, {"mla_decode_dense", "a peak, not a call"}, {"mla_decode_sparse", "a peak, not a call"},
	{"mla_prefill_sparse", "a peak, not a call"}, {"mla_kernel", "a share of peak, not a call"},
	{"fmha_prefill", "a sum over a run, not a call"},
}

const otherComm = "communication: constants of a library, not of a chip"

// readKernels reads kernels.csv: any hardware, one call a row, latency in µs.
func (r *Reader) readKernels(t *table) error {
	if err := t.known(kernelColumns[:]); err != nil {
		return err
	}
	for _, c := range kernelColumns[1:10] {
		if !t.has(c) {
			return fmt.Errorf("%s:1: column %q is missing (kernels.csv has %s)", t.name, c, strings.Join(kernelColumns[:], ", "))
		}
	}
	for t.next() {
		r.rows.Read++
		if h := t.text("hardware"); !r.isChip(h) {
			r.rows.leave(t.name, fmt.Sprintf("timed on %s, not on %s", h, r.chip.Name))
			continue
		}
		s, why := r.readCall(t)
		if t.bad {
			continue
		}
		if why != "" {
			r.rows.leave(t.name, why)
			continue
		}
		if s.Kernel = t.text("notes"); s.Kernel == "" || strings.Contains(s.Kernel, "=") || strings.Contains(s.Kernel, "derived") {
			s.Kernel = firstWord(t.text("source"))
		}
		s.Seconds = t.number("latency_us", 1e-3, 1e12) * 1e-6
		if !t.bad {
			r.rows.add(s)
		}
	}
	return nil
}

func firstWord(s string) string { w, _, _ := strings.Cut(s, " "); return w }

func (r *Reader) readCall(t *table) (*Sample, string) {
	op := t.text("op")
	var names []string
	var found *kernelOp
	for i := range kernelOps {
		names = append(names, kernelOps[i].name)
		if kernelOps[i].name == op {
			found = &kernelOps[i]
		}
	}
	if found == nil {
		for _, other := range otherOps {
			if strings.HasPrefix(op, other[0]) {
				return nil, other[1]
			}
		}
		t.faultIn("op", "%v", spec.UnknownName("operator", op, names))
		return nil, ""
	}
	if t.text("latency_us") == "" {
		return nil, "the row has no latency"
	}
	c, why := newCall(t)
	if why != "" || t.bad {
		return nil, why
	}
	return found.read(r, c)
}

func newCall(t *table) (*call, string) {
	c := &call{t: t, op: t.text("op"), dtype: t.text("dtype"), source: t.text("source"), shape: map[string]string{}}
	for _, part := range strings.Split(t.text("shape"), ";") {
		if key, value, ok := strings.Cut(part, "="); ok {
			c.shape[key] = value
			continue
		}
		c.words = append(c.words, part)
		for _, d := range strings.Split(part, "-") {
			v, err := strconv.ParseFloat(d, 64)
			if err != nil || !(v > 0 && v < maxCount) {
				c.dims = nil
				break
			}
			c.dims = append(c.dims, v)
		}
	}
	if len(c.shape) == 0 && len(c.dims) == 0 {
		return nil, "the row does not state its shape"
	}
	c.tokens, c.length = 1, 0
	if t.text("batch_or_tokens") != "" {
		c.tokens = t.count("batch_or_tokens")
	}
	if t.text("ctx_or_isl") != "" {
		c.length = t.maybe("ctx_or_isl")
	}
	return c, ""
}

// dim is a number of the shape, by key; a missing or bad one is a fault.
func (c *call) dim(key string) float64 {
	v, err := strconv.ParseFloat(c.shape[key], 64)
	if err != nil || !(v >= 1 && v < maxCount) {
		c.t.faultIn("shape", "want %s=a number from 1, got %q", key, c.t.text("shape"))
		return 1
	}
	return v
}

// or is dim for a key that may be left out.
func (c *call) or(key string, without float64) float64 {
	if c.shape[key] == "" {
		return without
	}
	return c.dim(key)
}

// formats are an operator's and its cache's: "bfloat16/kv fp8".
func (c *call) formats() (operands, cache string) {
	parts := strings.Split(c.dtype, "/")
	operands = longName(parts[0])
	cache = operands
	for _, p := range parts[1:] {
		if f, ok := strings.CutPrefix(p, "kv "); ok {
			cache = longName(f)
		}
	}
	return operands, cache
}

func longName(dtype string) string {
	switch dtype = strings.TrimSpace(dtype); dtype {
	case "bf16":
		return "bfloat16"
	case "fp8_e4m3":
		return "fp8"
	}
	return dtype
}

// isChip tells whether a row's hardware is the reader's chip: its name or an alias,
// whatever separates the words.
func (r *Reader) isChip(hardware string) bool {
	bare := func(s string) string {
		return strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(s))
	}
	h := strings.TrimPrefix(bare(hardware), "nvidia")
	for _, name := range append([]string{r.chip.Name}, r.chip.Aliases...) {
		if n := bare(name); h == n || h == n+"sxm" {
			return true
		}
	}
	return false
}

// callGEMM reads a GEMM with its quantisation pass, or the kernel alone on an input
// that is quantised already (gemm_fused, and DeepGEMM's own timings).
func callGEMM(_ *Reader, c *call) (*Sample, string) {
	dtype, _ := c.formats()
	fused := c.op == "gemm_fused"
	if strings.HasPrefix(c.source, "InferSim") || strings.HasPrefix(c.source, "DeepGEMM") {
		dtype, fused = "fp8_block", true
	}
	return gemmSample(dtype, c.dim("m"), c.dim("n"), c.dim("k"), fused)
}

func (c *call) experts() experts {
	dtype, _ := c.formats()
	e := experts{
		dtype: dtype, kernel: c.t.text("notes"), tokens: c.tokens, topk: c.dim("topk"), hidden: c.dim("h"), inter: c.dim("i"),
		count: c.dim("E"), tp: c.or("tp", 1), ep: c.or("ep", 1), spread: "balanced",
	}
	if dtype == "fp8" {
		e.dtype = string(law.FP8Block) // the classes of experts do not tell scales apart
	}
	if len(c.words) > 0 && c.words[0] != "" {
		e.spread = c.words[0]
	}
	return e
}

func callMoE(r *Reader, c *call) (*Sample, string) {
	e := c.experts()
	return r.moeSample(&e)
}

func callDispatched(_ *Reader, c *call) (*Sample, string) {
	e := c.experts()
	if e.spread != "uniform" && e.spread != "balanced" {
		return nil, "dispatched experts with power-law loads: the table does not say which rank's load was timed"
	}
	e.kernel = "" // whatever ran is the device's own
	pairs := e.tokens * e.topk / e.ep
	return dispatchedSample(&e, pairs, min(e.count/e.ep, pairs))
}

// heads are those of GQA: h=;kv=;d= or InferSim's H-KV-D.
func (c *call) heads() (heads, kv, dim float64) {
	if len(c.dims) == 3 {
		return c.dims[0], c.dims[1], c.dims[2]
	}
	return c.dim("h"), c.dim("kv"), c.dim("d")
}

func callGQAPrefill(_ *Reader, c *call) (*Sample, string) {
	a := attention{batch: c.tokens, tokens: c.length, window: c.or("w", 0), kernel: c.t.text("notes")}
	a.heads, a.kv, a.dim = c.heads()
	a.dtype, a.cache = c.formats()
	if a.tokens < 1 {
		return nil, "the row does not state the prompt's length"
	}
	return gqaPrefillSample(&a)
}

func callGQADecode(_ *Reader, c *call) (*Sample, string) {
	a := attention{batch: c.tokens, tokens: c.length + 1, window: c.or("w", 0), kernel: c.t.text("notes")}
	a.heads, a.kv, a.dim = c.heads()
	a.dtype, a.cache = c.formats()
	return gqaDecodeSample(&a)
}

// latent is MLA: heads= or InferSim's H-rank-rope, the cache's format behind "kv".
func (c *call) latent() latent {
	a := latent{batch: c.tokens, tokens: c.length, kernel: c.t.text("notes")}
	if len(c.dims) == 3 && c.shape["heads"] == "" {
		a.heads = c.dims[0]
	} else {
		a.heads = c.dim("heads")
	}
	a.gemm, a.cache = c.formats()
	return a
}

func callMLAPrefill(r *Reader, c *call) (*Sample, string) {
	a := c.latent()
	if a.tokens < 1 {
		return nil, "the row does not state the prompt's length"
	}
	return r.mlaPrefillSample(&a)
}

func callMLADecode(r *Reader, c *call) (*Sample, string) {
	a := c.latent()
	a.tokens++
	return r.mlaDecodeSample(&a)
}

// callMLABlock is a whole block of DeepSeek-V3's widths; dtype is the projections'.
func callMLABlock(_ *Reader, c *call) (*Sample, string) {
	a := c.latent()
	a.tokens++
	return mlaBlockDecode(&a)
}

// callElementwise is small kernels that move bytes: kernels=;bytes=.
func callElementwise(_ *Reader, c *call) (*Sample, string) {
	kernels, bytes := c.or("kernels", 1), c.dim("bytes")
	s := &Sample{Class: "small_kernel", Variant: "any", Size: c.tokens, Shape: fmt.Sprintf("%.0f kernels", kernels)}
	s.Key = fmt.Sprintf("%s %.0f B", s.Shape, bytes)
	s.Time = func(l *law.Set) law.Time { return l.Elementwise(kernels, bytes) }
	return s, ""
}

// callDelta is one kernel of a gated delta layer: kh=;dk=;vh=;dv=, sequences in
// batch_or_tokens and tokens of each in ctx_or_isl.
func callDelta(_ *Reader, c *call) (*Sample, string) {
	keys, dk, heads, dv, window := c.dim("kh"), c.dim("dk"), c.dim("vh"), c.dim("dv"), c.or("conv", 4)
	return deltaSample(strings.TrimPrefix(c.op, "gdn_"), c.tokens, max(c.length, 1), keys, dk, heads, dv, window)
}

// callMHC is hyper-connections at both sites of a layer: d=.
func callMHC(_ *Reader, c *call) (*Sample, string) {
	return mhcSample(strings.TrimPrefix(c.op, "mhc_"), c.tokens, c.dim("d"))
}

// callLogits is an indexer's scores: heads of 128 (heads=, 64), one query row a
// sequence, keys of each in ctx_or_isl.
func callLogits(_ *Reader, c *call) (*Sample, string) {
	rows, keys, heads := c.tokens, math.Max(c.length, 1), c.or("heads", 64)
	flops, bytes := 2*heads*128*rows*keys, rows*keys*(132+4)+rows*heads*128
	s := &Sample{Class: "indexer_logits", Variant: "fp8", Size: rows, Shape: fmt.Sprintf("b%.0f h%.0f", rows, heads)}
	s.Key = fmt.Sprintf("%s n%.0f", s.Shape, keys)
	s.Time = func(l *law.Set) law.Time { return l.IndexerLogits(rows, flops, bytes) }
	return s, ""
}

var errNoRows = errors.New("the files hold no row that a class takes")
