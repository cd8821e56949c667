package calibrate

import (
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
)

// gemmVariants are the formats that tables have GEMMs of.
var gemmVariants = map[string]law.Variant{
	"bfloat16": law.BF16, "fp8": law.FP8, "fp8_block": law.FP8Block, "nvfp4": law.NVFP4, "int8": law.INT8, "mxfp8": law.MXFP8,
	"float32": law.FP32, "w4a8": law.W4A8, "w4a16": law.W4A16, "w8a16": law.W8A16,
}

func readGEMM(_ *Reader, t *table) (*Sample, string) {
	m, n, k := t.count("m"), t.count("n"), t.count("k")
	return gemmSample(t.text("gemm_dtype"), m, n, k, false)
}

// gemmSample is a GEMM; fused is one whose activation arrives quantised.
func gemmSample(dtype string, m, n, k float64, fused bool) (*Sample, string) {
	v, ok := gemmVariants[dtype]
	switch {
	case !ok:
		return nil, fmt.Sprintf("no class of GEMM takes %q", dtype)
	case n < 128 || k < 128:
		return nil, "GEMM with n or k below 128: no layer has such, and the kernels pad them"
	}
	s := &Sample{Class: "gemm", Variant: string(v), Size: m, Shape: fmt.Sprintf("n%.0f k%.0f", n, k), Rare: !isLayer(n, k)}
	s.Key = fmt.Sprintf("%s m%.0f", s.Shape, m)
	s.Time = func(l *law.Set) law.Time { return l.GEMM(v, m, n, k) }
	if v == law.FP32 {
		s.Class = "gemm_fp32"
	}
	if fused {
		s.Part = "input already quantised"
		s.Time = func(l *law.Set) law.Time { return l.GEMMFused(v, m, n, k) }
	}
	return s, ""
}

// isLayer tells the widths of models' projections on a rank, LM heads included, from
// the corners of a grid.
func isLayer(n, k float64) bool {
	return n >= 512 && k >= 512 && k <= 20480 && (n <= 20480 || k >= 2048 && k <= 8192)
}

// moeVariants are the formats that tables have expert layers of, by their name in
// the constants of a class.
var moeVariants = map[string]law.Variant{
	"bfloat16": law.BF16, "fp8_block": law.FP8Block, "nvfp4": law.NVFP4, "w4a8_mxfp4_mxfp8": law.W4A8,
	"w4a16_mxfp4": law.W4A16, "int4_wo": law.W4A16, "int8": law.INT8,
}

// variantOf is a table's format as the classes' variants name it.
func variantOf(dtype string) string {
	if dtype == "int4_wo" {
		return string(law.W4A16)
	}
	return dtype
}

// moeKernels are the families of expert kernels: their traffic differs in form.
var moeKernels = [...]string{"trtllm", "triton", "marlin", "cutlass"}

func moeKernel(source string) string {
	for _, k := range moeKernels {
		if strings.Contains(source, k) {
			return k
		}
	}
	return ""
}

// experts is a routed layer as tables write it.
type experts struct {
	dtype, kernel               string
	tokens, topk, hidden, inter float64
	count, slots, tp, ep        float64
	spread                      string // how pairs fall on experts
}

// matsOf tells experts without a gate: of the models that tables hold, NVIDIA's
// Nemotron family has them (22 of 512, 6 of 128), with squared ReLU.
func matsOf(topk, count, inter float64) float64 {
	if topk == 22 && count == 512 || topk == 6 && count == 128 && inter == 1856 {
		return 2
	}
	return 3
}

func readMoE(r *Reader, t *table) (*Sample, string) {
	e := experts{
		dtype: t.text("moe_dtype"), kernel: t.text("kernel_source"), tokens: t.count("num_tokens"), topk: t.count("topk"),
		hidden: t.count("hidden_size"), inter: t.count("inter_size"), count: t.count("num_experts"), tp: t.count("moe_tp_size"),
		ep: t.count("moe_ep_size"), spread: t.text("distribution"),
	}
	return r.moeSample(&e)
}

// moeSample is a whole fused layer of experts on one rank. Every rank gets all
// tokens of the group; with power-law loads the row is the heaviest rank's.
func (r *Reader) moeSample(e *experts) (*Sample, string) {
	v, ok := moeVariants[e.dtype]
	kernel := moeKernel(e.kernel)
	switch {
	case !ok:
		return nil, fmt.Sprintf("no class of experts takes %q", e.dtype)
	case kernel == "":
		return nil, fmt.Sprintf("no class has the experts' kernel %q", e.kernel)
	case e.ep > 1 && e.count == 8:
		return nil, "experts of Mixtral with EP: the table repeats the time of EP1"
	case e.ep > 1 && e.hidden == 7168 && e.count == 256:
		return nil, "experts of DeepSeek-V3 with EP: group-limited routing put the picks on one rank, and the time is EP1's"
	}
	h, why := r.heaviest(e)
	if why != "" {
		return nil, why
	}
	x := law.MoE{
		Variant: v, Tokens: e.tokens, TopK: e.topk, Hidden: e.hidden, Inter: e.inter / e.tp, Mats: matsOf(e.topk, e.count, e.inter),
		Pairs: h.pairs, Touched: h.touched, Skewed: h.skewed,
	}
	s := &Sample{Class: "moe", Variant: variantOf(e.dtype) + "/" + kernel, Kernel: e.kernel, Size: e.tokens, Part: h.part}
	s.Shape = fmt.Sprintf("h%.0f i%.0f k%.0f E%.0f", e.hidden, e.inter, e.topk, e.count)
	s.Key = fmt.Sprintf("%s tp%.0f ep%.0f T%.0f %s", s.Shape, e.tp, e.ep, e.tokens, e.spread)
	s.Time = func(l *law.Set) law.Time { return l.MoE(x) }
	return s, ""
}

func dispatchedExperts(t *table) experts {
	return experts{
		dtype: t.text("moe_dtype"), kernel: t.text("kernel_source"), tokens: t.count("num_tokens"), topk: t.count("topk"),
		hidden: t.count("hidden_size"), inter: t.count("inter_size"), count: t.count("num_experts"), slots: t.optional("num_slots"),
		tp: t.count("moe_tp_size"), ep: t.count("moe_ep_size"), spread: t.text("distribution"),
	}
}

// readDispatched reads experts behind an all-to-all: only the rank's own pairs arrive.
// num_tokens are those of the whole group.
func readDispatched(_ *Reader, t *table) (*Sample, string) {
	e := dispatchedExperts(t)
	if e.spread != "uniform" {
		return nil, "dispatched experts with power-law loads: the table does not say which rank's load was timed"
	}
	pairs := e.tokens * e.topk / e.ep
	return dispatchedSample(&e, pairs, min(e.count/e.ep, pairs))
}

func readDispatchedPrefill(*Reader, *table) (*Sample, string) {
	return nil, "dispatched experts of a prefill: launched kernel by kernel, 0.3-0.5 ms of the host hide the kernels"
}

// readWideMoE reads TensorRT-LLM's: the rows say how many tokens reach the timed rank,
// each with one or more of its picks. Of the picks a token spends here the mean is
// the rank's share of all.
func readWideMoE(_ *Reader, t *table) (*Sample, string) {
	e := dispatchedExperts(t)
	here := t.maybe("rank0_num_tokens")
	if here == 0 {
		return nil, "dispatched experts of a rank that no token reaches"
	}
	pairs := picks(here, e.tokens, e.topk, e.ep)
	e.kernel = t.text("kernel_source")
	return dispatchedSample(&e, pairs, touched(max(e.slots, e.count)/e.ep, pairs))
}

func dispatchedSample(e *experts, pairs, touched float64) (*Sample, string) {
	v, ok := moeVariants[e.dtype]
	if !ok {
		return nil, fmt.Sprintf("no class of dispatched experts takes %q", e.dtype)
	}
	variant := e.dtype
	if k := moeKernel(e.kernel); k != "" {
		variant += "/" + k
	}
	x := law.MoE{
		Variant: v, Tokens: e.tokens, TopK: e.topk, Hidden: e.hidden, Inter: e.inter / e.tp, Pairs: pairs, Touched: touched, Dispatched: true,
	}
	s := &Sample{Class: "moe_dispatched", Variant: variant, Kernel: e.kernel, Size: e.tokens}
	s.Shape = fmt.Sprintf("h%.0f i%.0f k%.0f E%.0f ep%.0f", e.hidden, e.inter, e.topk, e.count, e.ep)
	s.Key = fmt.Sprintf("%s tp%.0f slots%.0f T%.0f pairs%.3f %s", s.Shape, e.tp, e.slots, e.tokens, pairs, e.spread)
	s.Time = func(l *law.Set) law.Time { return l.MoE(x) }
	return s, ""
}

// nvlink5 is the links' bandwidth of every chip that has timings of the fused kernel
// (B200, GB200, GB300: NVLink 5), bytes/s in one direction.
const nvlink5 = 900e9

func readMegaMoE(_ *Reader, t *table) (*Sample, string) {
	tokens, topk, hidden, inter := t.count("num_tokens"), t.count("topk"), t.count("hidden_size"), t.count("inter_size")
	count, ep := t.count("num_experts"), t.count("moe_ep_size")
	if t.text("distribution") != "balanced" {
		return nil, "fused experts with power-law loads: the table does not say which rank's load was timed"
	}
	pairs := tokens * topk
	x := law.MegaMoE{
		Tokens: tokens, TopK: topk, Hidden: hidden, Inter: inter, Pairs: pairs, Touched: min(count/ep, pairs), EP: ep, Bandwidth: nvlink5,
	}
	s := &Sample{Class: "megamoe", Variant: "w4a8", Size: tokens, Shape: fmt.Sprintf("h%.0f i%.0f k%.0f E%.0f ep%.0f", hidden, inter, topk, count, ep)}
	s.Key = fmt.Sprintf("%s T%.0f %s", s.Shape, tokens, t.text("phase"))
	s.Time = func(l *law.Set) law.Time { return l.MegaMoE(x) }
	return s, ""
}
