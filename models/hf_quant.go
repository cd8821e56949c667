package models

import (
	"slices"
	"strings"
)

// hfQuant is quantization_config in the forms that the supported checkpoints use.
type hfQuant struct {
	Method      string   `json:"quant_method"`
	BlockSize   []int64  `json:"weight_block_size"`
	NotConvert  []string `json:"modules_to_not_convert"`
	Ignore      []string `json:"ignore"`
	Bits        *int64   `json:"bits"`
	CacheScheme *struct {
		Bits int64 `json:"num_bits"`
	} `json:"kv_cache_scheme"`
	Groups map[string]struct {
		Weights struct {
			Bits      int64  `json:"num_bits"`
			Type      string `json:"type"`
			GroupSize int64  `json:"group_size"`
		} `json:"weights"`
	} `json:"config_groups"`
}

// formats sets what the checkpoint stores; a family may refine them.
func (c *conversion) formats() {
	f := &c.doc.Formats
	f.Weights, f.KV = BF16, BF16
	q := c.h.Quant
	if q == nil {
		return
	}
	format := c.quantFormat(q)
	if format == "" {
		c.errorf("quantization_config.quant_method", "unknown method %q; known: fp8, mxfp4, compressed-tensors, awq, gptq", q.Method)
		return
	}
	skips := func(part string) bool {
		has := func(s string) bool { return strings.Contains(s, part) }
		return slices.ContainsFunc(q.NotConvert, has) || slices.ContainsFunc(q.Ignore, has)
	}
	f.Experts = format
	if !skips("self_attn") {
		f.Weights = format
	}
	switch s := q.CacheScheme; {
	case s == nil:
	case s.Bits == 8:
		f.KV = FP8
	default:
		c.errorf("quantization_config.kv_cache_scheme.num_bits", "must be 8, got %d", s.Bits)
	}
}

func (c *conversion) quantFormat(q *hfQuant) Format {
	switch q.Method {
	case "fp8":
		if len(q.BlockSize) == 0 {
			return FP8
		}
		if !slices.Equal(q.BlockSize, []int64{128, 128}) {
			c.errorf("quantization_config.weight_block_size", "must be [128, 128], got %v", q.BlockSize)
		}
		return FP8Block
	case "mxfp4":
		return MXFP4
	case "awq", "gptq":
		switch {
		case q.Bits == nil, *q.Bits == 4:
			return INT4
		case *q.Bits != 8:
			c.errorf("quantization_config.bits", "must be 4 or 8, got %d", *q.Bits)
		}
		return INT8
	case "compressed-tensors":
		name, ok := q.group()
		if !ok {
			c.errorf("quantization_config.config_groups", "must be one group, of all linear layers, or one called group_0; there are %d", len(q.Groups))
			return BF16
		}
		w := q.Groups[name].Weights
		switch {
		case w.Type == "int" && w.Bits == 4:
			return INT4
		case w.Type == "int" && w.Bits == 8:
			return INT8
		case w.Type == "float" && w.Bits == 8:
			return FP8
		case w.Type == "float" && w.Bits == 4 && w.GroupSize == 16:
			return NVFP4
		case w.Type == "float" && w.Bits == 4:
			return MXFP4
		}
		c.errorf("quantization_config.config_groups."+name+".weights", "must be int of 4 or 8 bits or float of 4 or 8, got %q of %d", w.Type, w.Bits)
		return BF16
	}
	return ""
}

// group is the group of linear layers: the only one, whatever its name, or the first.
func (q *hfQuant) group() (name string, ok bool) {
	for only := range q.Groups {
		if len(q.Groups) == 1 {
			return only, true
		}
	}
	_, ok = q.Groups["group_0"]
	return "group_0", ok
}
