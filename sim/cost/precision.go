package cost

import (
	"fmt"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

func has(chip *topologies.Chip, p topologies.Precision) bool { return chip.Peak[p] > 0 }

func multipliesIntegers(chip *topologies.Chip) bool {
	return chip.Multiplies().Integers && has(chip, topologies.INT8)
}

// Substitute gives the model in formats that a chip has, and says in words what
// was changed (decisions: "Precision"):
//
//	FP4 units       everything as the checkpoint has it
//	FP8, no FP4     FP4 weights stay stored in FP4 and are computed at FP8 (or BF16: Engine.FourBit); FP4 index keys become FP8
//	Ascend 950      index keys in FP8: no FP4 indexer is published for it
//	Ascend 910C     INT8 dense, FP4 experts as INT4, both computed in INT8; KV BF16, index keys INT8
//	no FP8          FP8 weights stored as INT8, FP4 experts as they are (Marlin), both computed in BF16; KV BF16, index keys INT8
func Substitute(m *models.Model, chip *topologies.Chip) (*models.Model, []string, error) {
	want := m.Formats
	var said []string
	change := func(what string, f *models.Format, to models.Format, why string) {
		if *f != "" && *f != to {
			said = append(said, fmt.Sprintf("%s: %s in %s, not %s: %s", m.Name, what, to, *f, why))
			*f = to
		}
	}
	float8 := func(f models.Format) bool { return f == models.FP8 || f == models.FP8Block }
	float4 := func(f models.Format) bool { return f == models.NVFP4 || f == models.MXFP4 }
	switch {
	case has(chip, topologies.FP8):
		if float4(want.Indexer) && (!has(chip, topologies.FP4) || chip.Multiplies().WideIndexKeys) {
			change("index keys", &want.Indexer, models.FP8, chip.Name+" has no published FP4 indexer")
		}
		if float4(want.KV) && !has(chip, topologies.FP4) {
			change("KV cache", &want.KV, models.FP8, chip.Name+" has no FP4 units")
		}
		if !has(chip, topologies.FP4) && (float4(want.Experts) || float4(want.Weights) || float4(want.Attention) || float4(want.AttentionOutput)) {
			said = append(said, fmt.Sprintf("%s: FP4 weights are computed in a wider format: %s has no FP4 units", m.Name, chip.Name))
		}
	default:
		why := chip.Name + " has no FP8 units"
		for _, w := range []struct {
			what string
			f    *models.Format
		}{{"weights", &want.Weights}, {"attention", &want.Attention}, {"attention output", &want.AttentionOutput}} {
			if float8(*w.f) || float4(*w.f) {
				change(w.what, w.f, models.INT8, why)
			}
		}
		switch {
		case float4(want.Experts) && multipliesIntegers(chip):
			change("experts", &want.Experts, models.INT4, why)
		case float4(want.Experts):
			said = append(said, fmt.Sprintf("%s: FP4 experts are computed in BF16: %s", m.Name, why))
		case float8(want.Experts):
			change("experts", &want.Experts, models.INT8, why)
		}
		if float8(want.KV) || float4(want.KV) {
			change("KV cache", &want.KV, models.BF16, why)
		}
		if float8(want.Indexer) || float4(want.Indexer) {
			change("index keys", &want.Indexer, models.INT8, why)
		}
	}
	if want == m.Formats {
		return m, said, nil
	}
	out, err := m.WithFormats(want)
	if err != nil {
		return nil, nil, fmt.Errorf("%s on %s: %w", m.Name, chip.Name, err)
	}
	return out, said, nil
}

// arithmetic is how a chip multiplies weights of a stored format.
type arithmetic struct {
	variant   law.Variant
	precision topologies.Precision
	quantises bool // the kernel quantises a BF16 activation first
}

// arithmeticOf maps a stored format, and the precision of the product where the
// model names another, to a kernel variant; one without a variant has no kernel.
func arithmeticOf(stored, compute models.Format, chip *topologies.Chip) arithmetic {
	// CANN multiplies V4's grouped output projection in MXFP8, where the reference
	// widens it to BF16 (cann-recipes-infer@fbc225d).
	widened := compute == models.BF16 && stored != models.BF16 && stored != models.FP32
	if widened && !(chip.Multiplies().MXFP8 && has(chip, topologies.FP8)) {
		return arithmetic{variant: law.W8A16, precision: topologies.BF16}
	}
	switch stored {
	case models.BF16:
		return arithmetic{variant: law.BF16, precision: topologies.BF16}
	case models.FP32:
		return arithmetic{variant: law.FP32, precision: topologies.BF16}
	case models.FP8, models.FP8Block:
		if !has(chip, topologies.FP8) {
			return arithmetic{variant: law.W8A16, precision: topologies.BF16}
		}
		v := law.FP8Block
		switch {
		case chip.Multiplies().MXFP8:
			v = law.MXFP8
		case stored == models.FP8:
			v = law.FP8
		}
		return arithmetic{variant: v, precision: topologies.FP8, quantises: true}
	case models.NVFP4:
		if has(chip, topologies.FP4) {
			return arithmetic{variant: law.NVFP4, precision: topologies.FP4, quantises: true}
		}
		return fourBit(chip)
	case models.MXFP4:
		return fourBit(chip)
	case models.INT8:
		if multipliesIntegers(chip) {
			return arithmetic{variant: law.INT8, precision: topologies.INT8, quantises: true}
		}
		return arithmetic{variant: law.W8A16, precision: topologies.BF16}
	case models.INT4:
		if multipliesIntegers(chip) {
			return arithmetic{variant: law.W4A8, precision: topologies.INT8, quantises: true}
		}
		return arithmetic{variant: law.W4A16, precision: topologies.BF16}
	}
	return arithmetic{}
}

// fourBit is MXFP4 × FP8 where there are FP8 units, FP4 weights widened to BF16
// where there are none.
func fourBit(chip *topologies.Chip) arithmetic {
	if has(chip, topologies.FP8) {
		return arithmetic{variant: law.W4A8, precision: topologies.FP8, quantises: true}
	}
	return arithmetic{variant: law.W4A16, precision: topologies.BF16}
}
