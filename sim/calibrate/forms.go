package calibrate

import (
	"maps"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// constant is a fitted number of a class: its name in the chip's file, where it may
// lie, and where a fit starts that has nothing better.
type constant struct {
	key              string
	low, high, start float64
	// none says that the number may be 0: below twice low it is.
	none bool
}

// Bounds by kind. A share of compulsory work is at most 1; traffic that caches may
// serve may look faster than HBM.
func us(key string, start float64) constant     { return constant{key, 0.05, 400, start, false} }
func ns(key string, start float64) constant     { return constant{key, 0.05, 5000, start, true} }
func share(key string, start float64) constant  { return constant{key, 0.02, 1, start, false} }
func cached(key string, start float64) constant { return constant{key, 0.02, 6, start, false} }
func small(key string, low, high, start float64) constant {
	return constant{key, low, high, start, true}
}

// form is the constants that a class's law reads, fitted and given.
type form struct {
	class     string
	variants  []string // the form is of variants that end so; nil is all
	constants []constant
	fixed     map[string]float64
}

var block = []constant{us("t0_us", 40), share("ew", 0.8), share("el", 0.6), share("em", 0.8), share("ec", 0.8)}

var sparseBlock = []constant{
	us("t0_us", 50), share("ew", 0.9), share("el", 0.9), share("ec", 0.6), cached("e_gather", 0.5), cached("e_act", 0.5), ns("row_ns", 60),
}

var indexBlock = []constant{share("e_index", 0.3), cached("e_score", 0.2)}

func with(base []constant, more ...constant) []constant {
	return slices.Concat(base, more)
}

// forms are the classes of sim/cost/law, first fit first.
var forms = [...]form{
	{class: "gemm", variants: []string{"bfloat16", "w8a16", "w4a16"}, fixed: map[string]float64{"k_power": 0.5}, constants: []constant{
		us("t0_us", 2), share("ec", 0.75), share("em", 0.9), {"p", 1, 6, 2, false}, small("k_us", 0.02, 10, 1.2),
	}},
	{class: "gemm", fixed: map[string]float64{"k_power": 1}, constants: []constant{
		us("t0_us", 5), share("ec", 0.65), share("em", 0.9), {"p", 1, 6, 1.3, false}, small("k_us", 0.02, 10, 0.5), cached("eq", 0.7),
	}},
	{class: "gemm_fp32", fixed: map[string]float64{"k_power": 1}, constants: []constant{
		us("t0_us", 2), share("ec", 0.03), share("em", 0.9), {"p", 1, 6, 1, false}, small("k_us", 0.02, 100, 10), small("k_split_us", 0.02, 100, 3),
	}},
	{class: "moe", variants: []string{"trtllm"}, constants: []constant{
		us("t0_us", 16), small("t1_us", 0.1, 200, 10), share("ec", 0.6), share("em", 0.95), {"p", 1, 6, 2, false},
		cached("e_topk", 0.8), cached("e_local", 0.6), small("m0", 0.1, 512, 20),
	}},
	{class: "moe", variants: []string{"marlin"}, constants: []constant{
		us("t0_us", 22), small("t1_us", 0.1, 200, 30), share("ec", 0.3), share("em", 0.85), {"p", 1, 6, 1.2, false}, cached("e_all", 0.5), small("m0", 0.1, 512, 2),
	}},
	{class: "moe", constants: []constant{
		us("t0_us", 25), small("t1_us", 0.1, 200, 10), share("ec", 0.35), share("em", 0.8), {"p", 1, 6, 1.7, false}, cached("e_all", 0.6),
	}},
	{class: "moe_dispatched", constants: []constant{
		us("t0_us", 20), share("ec", 0.6), share("em", 0.8), {"p", 1, 6, 2, false}, small("m0", 0.1, 512, 1),
	}},
	{class: "megamoe", constants: []constant{us("t0_us", 60), share("ec", 0.45), share("em", 0.75), share("en", 0.55)}},
	{class: "gqa_decode", constants: []constant{
		us("t0_us", 10), share("em", 0.9), small("cta_us", 0.05, 20, 2), small("log_us", 0.02, 20, 0.7), cached("eq", 0.5), small("row_us", 0.001, 1, 0.01),
	}},
	{class: "gqa_prefill", constants: []constant{
		us("t0_us", 11), share("ec", 0.9), share("em", 0.7), {"exp_per_ns", 4, 1000, 28, false}, cached("e_long", 1.5), small("cta_us", 0.02, 20, 0.3),
	}},
	{class: "mla_kernel_decode", constants: []constant{
		us("t0_us", 11), share("em", 0.85), share("ec", 0.8), small("tile_us", 0.1, 100, 11), small("log_us", 0.02, 20, 1.2), small("row_us", 0.001, 1, 0.03),
	}},
	{class: "mla_kernel_prefill", constants: []constant{
		us("t0_us", 12), share("ec", 0.65), cached("e_io", 0.8), cached("e_long", 0.6), small("cta_us", 0.05, 20, 2.5),
	}},
	{class: "mla_decode", constants: with(block, small("log_us", 0.02, 20, 1.3))},
	{class: "mla_prefill", constants: []constant{us("t0_us", 45), share("ew", 0.7), share("el", 0.5), share("ec", 0.85), cached("e_act", 0.7)}},
	{class: "dsa_decode", constants: with(block, cached("e_index", 0.3), us("index_us", 33), small("topk_us", 0.1, 100, 2),
		small("tile_us", 0.01, 10, 0.5), small("log_us", 0.02, 20, 1), small("key_ns", 0.02, 5, 0.35))},
	{class: "dsa_prefill", constants: with(sparseBlock, indexBlock...)},
	{class: "csa_decode", constants: with(block, cached("e_index", 0.2), small("topk_us", 0.1, 200, 60), small("row_us", 0.002, 5, 0.15), small("tile_us", 0.01, 10, 0.3))},
	{class: "csa_prefill", constants: with(sparseBlock, indexBlock...)},
	{class: "hca_decode", constants: with(block, small("row_us", 0.002, 5, 0.13), small("log_us", 0.02, 20, 1.3))},
	{class: "hca_prefill", constants: sparseBlock},
	{class: "gated_delta", constants: []constant{
		us("update_us", 3.5), share("e_state", 0.9), us("conv_us", 1.7), cached("e_conv", 0.6), us("chunk_us", 24), share("ec", 0.05),
		small("serial_us", 0.02, 20, 1.4), us("scan_us", 2.7), cached("e_scan", 0.5),
	}},
	{class: "mhc", constants: []constant{
		us("pre_floor_us", 18), small("pre_us", 0.1, 100, 8), share("e_pre", 0.45), us("post_floor_us", 7), small("post_us", 0.1, 100, 1), share("e_post", 0.87),
	}},
	{class: "indexer_logits", constants: []constant{us("t0_us", 3.5), share("ec", 0.4), cached("em", 1.5), ns("row_ns", 5)}},
	{class: "small_kernel", constants: []constant{us("t0_us", 1.5), share("em", 0.8)}},
}

// formOf is the form of a class's variant.
func formOf(class, variant string) *form {
	for i := range forms {
		f := &forms[i]
		if f.class != class {
			continue
		}
		for _, v := range f.variants {
			if strings.HasSuffix(variant, v) {
				return f
			}
		}
		if f.variants == nil {
			return f
		}
	}
	return nil
}

// trial is the law with the given constants of a class's variant in place.
func trial(flat *topologies.Chip, class, variant string, k topologies.Constants) (*law.Set, error) {
	chip := *flat
	chip.Operators = maps.Clone(flat.Operators)
	chip.Operators[class] = maps.Clone(flat.Operators[class])
	if chip.Operators[class] == nil {
		chip.Operators[class] = map[string]topologies.Constants{}
	}
	chip.Operators[class][variant] = k
	return law.New(&chip, variant)
}

// Classes are the names of the classes that have a form.
func Classes() []string {
	var names []string
	for i := range forms {
		if !slices.Contains(names, forms[i].class) {
			names = append(names, forms[i].class)
		}
	}
	return names
}

// CheckClasses refuses a name that no form has.
func CheckClasses(names []string) error {
	for _, n := range names {
		if !slices.Contains(Classes(), n) {
			return spec.UnknownName("class", n, Classes())
		}
	}
	return nil
}
