package law

import (
	"errors"
	"fmt"
	"slices"

	"github.com/clustersim/clustersim/sim/spec"
)

// slot is one compiled form: a class and the place in its table.
type slot struct {
	class string
	form  int
}

// Use is a kernel that a caller will ask the price of.
type Use struct {
	Class   string
	Variant Variant // of a product, or of the projections of an MLA block
	KV8     bool    // for kernels that differ by the format of the KV cache
}

// classes are the classes of operators that there are laws of, sorted.
var classes = []string{
	"csa_decode", "csa_prefill", "dsa_decode", "dsa_prefill", "gated_delta", "gemm", "gemm_fp32", "gqa_decode", "gqa_prefill",
	"hca_decode", "hca_prefill", "indexer_logits", "megamoe", "mhc", "mla_decode", "mla_kernel_decode", "mla_kernel_prefill",
	"mla_prefill", "moe", "moe_dispatched", "small_kernel",
}

// slot is the compiled form that prices the use.
func (u Use) slot() (slot, error) {
	i := 0
	switch u.Class {
	case "gemm", "gemm_fp32", "moe", "moe_dispatched":
		i = u.Variant.index()
	case "mla_decode", "mla_prefill":
		i = blockFormat(u.Variant)
	case "gqa_decode", "gqa_prefill", "mla_kernel_decode", "mla_kernel_prefill", "dsa_decode", "dsa_prefill":
		i = kvFormat(u.KV8)
	default:
		if !slices.Contains(classes, u.Class) {
			return slot{}, spec.UnknownName("operator class", u.Class, classes)
		}
	}
	if i < 0 {
		return slot{}, spec.UnknownName("variant of "+u.Class, string(u.Variant), variantNames())
	}
	return slot{u.Class, i}, nil
}

func variantNames() []string {
	names := make([]string, len(gemmSources))
	for i := range gemmSources {
		names[i] = string(gemmSources[i].v)
	}
	return names
}

// Need refuses uses that the set has no price of: an unknown class or variant, or one
// whose constants neither the chip nor an ancestor has.
func (s *Set) Need(uses ...Use) error {
	var errs []error
	for _, u := range uses {
		at, err := u.slot()
		if err == nil {
			if text, none := s.missing[at]; none {
				err = fmt.Errorf("no constants for %s, and no ancestor has them", text)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("chip %s: %w", s.chip, err))
		}
	}
	return errors.Join(errs...)
}

// Complete refuses a set that lacks any class.
func (s *Set) Complete() error {
	var errs []error
	for _, class := range classes {
		for i := range numVariants {
			if text, none := s.missing[slot{class, i}]; none {
				errs = append(errs, fmt.Errorf("chip %s: no constants for %s, and no ancestor has them", s.chip, text))
			}
		}
	}
	return errors.Join(errs...)
}
