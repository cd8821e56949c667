package models

import (
	"fmt"
	"slices"
	"strings"
)

// Formats are the stored formats of one model; an empty field means "leave as
// it is" where formats are asked for. Weights are the dense projections: dense
// FFNs, shared experts and, where the checkpoint does not say otherwise, attention
// (norms, embedding and head keep their own; so does the router, in BF16 or FP32). Attention are the
// projections of attention, with the output projection unless AttentionOutput
// tells it apart: published FP4 checkpoints leave some or all of them wider.
type Formats struct {
	Weights         Format `yaml:"weights,omitempty" json:"weights,omitempty"`
	Attention       Format `yaml:"attention,omitempty" json:"attention,omitempty"`
	AttentionOutput Format `yaml:"attention_output,omitempty" json:"attention_output,omitempty"`
	Experts         Format `yaml:"experts,omitempty" json:"experts,omitempty"`
	Router          Format `yaml:"router,omitempty" json:"router,omitempty"`
	KV              Format `yaml:"kv,omitempty" json:"kv,omitempty"`
	Indexer         Format `yaml:"indexer,omitempty" json:"indexer,omitempty"`
}

// weightFormats and cacheFormats are what may be asked for; fp4 is MXFP4.
var (
	weightFormats = []Format{BF16, FP8, FP8Block, NVFP4, MXFP4, INT8, INT4}
	cacheFormats  = []Format{BF16, FP8, NVFP4, MXFP4, INT8}
)

// allFormats lists every stored format for the text reader.
var allFormats = []Format{FP32, BF16, FP8, FP8Block, NVFP4, MXFP4, INT8, INT4, INT64}

// UnmarshalText reads a format's name; fp4 means MXFP4.
func (f *Format) UnmarshalText(text []byte) error {
	name := Format(strings.ToLower(strings.TrimSpace(string(text))))
	if name == "fp4" {
		name = MXFP4
	}
	if !slices.Contains(allFormats, name) {
		return fmt.Errorf("unknown format %q; want one of %s", text, formatNames(allFormats))
	}
	*f = name
	return nil
}

// MarshalText writes the name that UnmarshalText reads.
func (f Format) MarshalText() ([]byte, error) { return []byte(f), nil }

func formatNames(fs []Format) string {
	names := []string{"fp4"}
	for _, f := range fs {
		names = append(names, string(f))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Bits is the width of one element without scales.
func (f Format) Bits() int64 {
	switch f {
	case INT64:
		return 64
	case FP32:
		return 32
	case BF16:
		return 16
	case FP8, FP8Block, INT8:
		return 8
	case NVFP4, MXFP4, INT4:
		return 4
	}
	return 0
}

// matrixBytes is what a rows×cols matrix takes with its scales: FP8Block one of
// scaleBytes per 128×128 block; FP8 and INT8 one FP32 a row; NVFP4 one FP8 per
// 16 elements of a row, MXFP4 one UE8M0 per 32, INT4 one BF16 per 32.
func (f Format) matrixBytes(rows, cols, scaleBytes int64) int64 {
	data := rows * cols * f.Bits() / 8
	switch f {
	case FP8Block:
		return data + ceilDiv(rows, 128)*ceilDiv(cols, 128)*scaleBytes
	case FP8, INT8:
		return data + 4*rows
	case NVFP4:
		return data + rows*ceilDiv(cols, 16)
	case MXFP4:
		return data + rows*ceilDiv(cols, 32)
	case INT4:
		return data + 2*rows*ceilDiv(cols, 32)
	}
	return data
}

// Bytes is what the projection takes in memory and in the checkpoint, scales included.
func (l Linear) Bytes() int64 { return l.Groups * l.Format.matrixBytes(l.Out, l.In, l.ScaleBytes) }

// Bytes is what the tensor takes.
func (t Tensor) Bytes() int64 { return t.Elements * t.Format.Bits() / 8 }

// ExpertBytes is what one routed expert takes, scales and biases included.
func (m *MoE) ExpertBytes() int64 {
	up := m.Format.matrixBytes(m.Inter, m.In, m.ScaleBytes)
	down := m.Format.matrixBytes(m.In, m.Inter, m.ScaleBytes)
	return (m.Mats-1)*up + down + 2*m.ExpertBias
}

// blocks is how small-block formats add scales to a run of n cached elements;
// the plain formats of a cache are per tensor and add nothing.
func (f Format) cacheRun(n int64) int64 {
	switch f {
	case NVFP4:
		return ceilDiv(n, 2) + ceilDiv(n, 16)
	case MXFP4:
		return ceilDiv(n, 2) + ceilDiv(n, 32)
	}
	return n * f.Bits() / 8
}

// latentEntry is a shared entry of nope quantised and rope BF16 elements. In FP8
// every tile of the former has a scale of scaleBytes, and the entry is padded to
// 8 bytes: MLA 512+64 with FP32 per 128 is 656 B, V4 448+64 with UE8M0 per 64 is 584 B
// (FlashMLA@9241ae3 tests/quant.py). In BF16 it is 2 B an element.
func latentEntry(f Format, nope, rope, tile, scaleBytes int64) int64 {
	if f == BF16 {
		return 2 * (nope + rope)
	}
	size := f.cacheRun(nope) + 2*rope
	if f == FP8 || f == INT8 {
		size += ceilDiv(nope, tile) * scaleBytes
	}
	return ceilDiv(size, 8) * 8
}

// indexKey is an indexer key of dim elements: FP8 and INT8 with one FP32 scale
// (132 B for 128), MXFP4 with one UE8M0 per 32 (68 B) (DeepGEMM@54e2261 tests/test_attention.py).
func indexKey(f Format, dim int64) int64 {
	if f == FP8 || f == INT8 {
		return dim + 4
	}
	return f.cacheRun(dim)
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
