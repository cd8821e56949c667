package cost

import (
	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// linear is one projection as one rank runs it.
type linear struct {
	name    string
	n, k    float64 // of the rank's share; groups are counted in n
	bytes   float64 // stored, scales included
	flops   float64 // a row
	atPeak  float64 // seconds that a row's FLOPs take at the rank's peak
	reduces bool    // its result is summed over the tensor-parallel group
	arithmetic
}

// shardLinear is a projection cut over tp ranks.
func shardLinear(l models.Linear, tp int, chip *topologies.Chip) linear {
	cut := l.Cut(int64(tp))
	out := linear{
		name: l.Name, n: float64(cut.Out * cut.Groups), k: float64(cut.In),
		bytes: float64(cut.Bytes()), flops: 2 * float64(cut.Params()),
		reduces:    tp > 1 && l.Shard == models.Row,
		arithmetic: arithmeticOf(l.Format, l.Compute, chip),
	}
	out.atPeak = out.flops / peak(chip, out.precision)
	return out
}

func shardLinears(ls []models.Linear, tp int, chip *topologies.Chip) []linear {
	out := make([]linear, len(ls))
	for i, l := range ls {
		out[i] = shardLinear(l, tp, chip)
	}
	return out
}

// block sums projections into what a whole-block law takes, for one row; the
// variant is that of most of the weights.
func block(ls []linear) law.Linears {
	var sum law.Linears
	var narrow, narrowest, all float64
	for _, l := range ls {
		sum.Bytes += l.bytes
		all += l.bytes
		switch l.precision {
		case topologies.BF16:
			sum.Flops16 += l.flops
		case topologies.FP4:
			sum.Flops4 += l.flops
		case topologies.FP8, topologies.INT8:
			sum.Flops8 += l.flops
		}
		switch {
		case l.variant == law.NVFP4:
			narrowest += l.bytes
		case l.variant != law.BF16:
			narrow += l.bytes
		}
	}
	switch {
	case 2*narrowest > all:
		sum.Variant = law.NVFP4
	case 2*(narrow+narrowest) > all:
		sum.Variant = law.FP8Block
	default:
		sum.Variant = law.BF16
	}
	return sum
}

// at is the block's projections for a number of rows.
func at(l law.Linears, rows float64) law.Linears {
	l.Flops16, l.Flops8, l.Flops4 = l.Flops16*rows, l.Flops8*rows, l.Flops4*rows
	return l
}

// peak is a rank's arithmetic rate.
func peak(chip *topologies.Chip, p topologies.Precision) float64 {
	return float64(chip.Peak[p]) / float64(max(1, chip.Dies))
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
