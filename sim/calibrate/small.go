package calibrate

import (
	"fmt"
	"math"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
)

// readLogits is the FP8 score kernel of an indexer over compressed keys.
func readLogits(_ *Reader, t *table) (*Sample, string) {
	b, l, from, m := t.count("batch_size"), t.count("isl"), t.maybe("step"), t.count("compress_ratio")
	rows, keys := b*l, math.Floor((from+l)/m)
	scored := b * (stairs(from+l, m, 0) - stairs(from, m, 0))
	flops, bytes := 2*64*128*scored, b*keys*132+rows*64*128+4*scored
	s := &Sample{Class: "indexer_logits", Variant: "fp8", Size: rows, Shape: fmt.Sprintf("b%.0f l%.0f", b, l)}
	s.Key = fmt.Sprintf("%s from%.0f", s.Shape, from)
	s.Time = func(l *law.Set) law.Time { return l.IndexerLogits(rows, flops, bytes) }
	return s, ""
}

// readMHC is one of the two kernel pairs of hyper-connections at both sites.
func readMHC(_ *Reader, t *table) (*Sample, string) {
	tokens, hidden := t.count("num_tokens"), t.count("hidden_size")
	if t.count("num_sites") != 2 {
		return nil, "hyper-connections of one site: the law counts both of a layer"
	}
	return mhcSample(t.text("op_name"), tokens, hidden)
}

func mhcSample(op string, tokens, hidden float64) (*Sample, string) {
	s := &Sample{Class: "mhc", Variant: "bfloat16", Kernel: "both", Part: op, Size: tokens, Shape: fmt.Sprintf("d%.0f", hidden)}
	s.Key = fmt.Sprintf("%s T%.0f", s.Shape, tokens)
	s.Time = func(l *law.Set) law.Time { return l.MHCPre(tokens, hidden) }
	if op == "post" {
		s.Time = func(l *law.Set) law.Time { return l.MHCPost(tokens, hidden) }
	}
	return s, ""
}

// deltaParts are the four kernels of a gated delta layer, by the beginning of
// their names in tables.
var deltaParts = [...][2]string{
	{"fused_recurrent", "update"}, {"causal_conv1d_update", "shift"}, {"chunk", "chunks"}, {"causal_conv1d", "convolution"},
}

func readDelta(_ *Reader, t *table) (*Sample, string) {
	b, l := t.count("batch_size"), t.count("seq_len")
	keys, dk, heads, dv := t.count("num_k_heads"), t.count("head_k_dim"), t.count("num_v_heads"), t.count("head_v_dim")
	kernel, window := t.text("kernel_source"), t.count("d_conv")
	for _, p := range deltaParts {
		if strings.HasPrefix(kernel, p[0]) {
			s, why := deltaSample(p[1], b, l, keys, dk, heads, dv, window)
			s.Kernel = "gated delta kernels"
			return s, why
		}
	}
	return nil, fmt.Sprintf("no kernel of a gated delta layer is called %q", kernel)
}

// deltaSample is one kernel of a gated delta layer: b sequences of l tokens.
func deltaSample(part string, b, l, keys, dk, heads, dv, window float64) (*Sample, string) {
	tokens, channels := b*l, 2*keys*dk+heads*dv
	x := law.Linear{
		Batch: b, Tokens: tokens, Heads: heads, StateBytes: 8 * dk * dv * heads * b, ActBytes: 2 * tokens * (2*keys*dk + 2*heads*dv),
		Flops: tokens * heads * (4*dk*dv + 128*(dk+dv)), ConvBytes: 4*tokens*channels + 4*b*(window-1)*channels,
	}
	s := &Sample{Class: "gated_delta", Variant: "bfloat16", Part: part, Size: tokens, Shape: fmt.Sprintf("k%.0fx%.0f v%.0fx%.0f", keys, dk, heads, dv)}
	s.Key = fmt.Sprintf("%s b%.0f l%.0f", s.Shape, b, l)
	switch part {
	case "update":
		s.Time = func(l *law.Set) law.Time { return l.LinearUpdate(&x) }
	case "shift":
		s.Time = func(l *law.Set) law.Time { return l.LinearShift(&x) }
	case "chunks":
		s.Time = func(l *law.Set) law.Time { return l.LinearChunks(&x) }
	default:
		s.Time = func(l *law.Set) law.Time { return l.LinearConv(&x) }
	}
	return s, ""
}
