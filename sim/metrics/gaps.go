package metrics

import (
	"math"
	"math/bits"

	"github.com/clustersim/clustersim/sim/des"
)

// gapBits is the number of bits behind the leading one that tell bins apart: a bin
// is at most 2^−10 = 0.098 % of its lower edge wide, and exact below 2,048 ns.
const gapBits = 10

const gapBins = (63 - gapBits + 1) << gapBits

// gapLog is a log-linear histogram of nanoseconds: 2^gapBits bins in each octave.
// Adding is a shift, an addition and a store. The sum is kept exactly in 128 bits.
type gapLog struct {
	count          int64
	sumHigh, sumLo uint64
	max            des.Time
	bins           [gapBins]int64
}

// gapBin is the bin of a non-negative time. Below 2^(gapBits+1) bin and value are
// the same; above, the leading bit says which octave and the next ten which bin.
func gapBin(t des.Time) int {
	shift := max(bits.Len64(uint64(t))-gapBits-1, 0)
	return shift<<gapBits + int(uint64(t)>>shift)
}

// gapEdges are the smallest and largest times in a bin.
func gapEdges(bin int) (low, high des.Time) {
	shift := max(bin>>gapBits-1, 0)
	low = des.Time(bin-shift<<gapBits) << shift
	return low, low + 1<<shift - 1
}

func (g *gapLog) add(t des.Time, n int64) {
	if n <= 0 {
		return
	}
	if t < 0 {
		t = 0
	}
	g.bins[gapBin(t)] += n
	g.count += n
	high, low := bits.Mul64(uint64(t), uint64(n))
	var carry uint64
	g.sumLo, carry = bits.Add64(g.sumLo, low, 0)
	g.sumHigh += high + carry
	if t > g.max {
		g.max = t
	}
}

func (g *gapLog) merge(o *gapLog) {
	for i, n := range o.bins {
		g.bins[i] += n
	}
	g.count += o.count
	var carry uint64
	g.sumLo, carry = bits.Add64(g.sumLo, o.sumLo, 0)
	g.sumHigh += o.sumHigh + carry
	g.max = max(g.max, o.max)
}

func (g *gapLog) sum() float64 { return float64(g.sumHigh)*(1<<64) + float64(g.sumLo) }

// into adds the log to a histogram of wider buckets. A bin that straddles a bound
// goes to the bucket of its middle.
func (g *gapLog) into(h *Histogram) {
	bucket := 0
	for i, n := range g.bins {
		if n == 0 {
			continue
		}
		low, high := gapEdges(i)
		middle := (float64(low) + float64(high)) / 2e9
		for bucket < len(h.Bounds) && middle > h.Bounds[bucket] {
			bucket++
		}
		h.Counts[bucket] += n
	}
	h.Count += g.count
	h.Sum += g.sum() / 1e9
}

// quantiles reads the log at the ranks of all percentiles in one pass. A value is
// its bin's middle, never above the largest gap seen, which is exact.
func (g *gapLog) quantiles() Quantiles {
	q := Quantiles{Count: g.count, Max: float64(g.max)}
	if g.count == 0 {
		return q
	}
	q.Mean = g.sum() / float64(g.count)
	at := [...]float64{0.50, 0.90, 0.95, 0.99}
	out := [...]*float64{&q.P50, &q.P90, &q.P95, &q.P99}
	next, seen := 0, int64(0)
	for i := 0; i < gapBins && next < len(at); i++ {
		seen += g.bins[i]
		// The value of rank r (from 0) is in the first bin with more than r before its end.
		for next < len(at) && float64(seen) > math.Round(at[next]*float64(g.count-1)) {
			low, high := gapEdges(i)
			*out[next] = min((float64(low)+float64(high))/2, q.Max)
			next++
		}
	}
	return q
}
