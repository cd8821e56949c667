package metrics

import (
	"math"
	"slices"
)

// batches is how many stretches of a run a percentile's error is taken from, and
// batchesT is t(0.975, batches − 1).
const (
	batches  = 20
	batchesT = 2.093
)

// Precision is how well a sample knows a percentile.
type Precision struct {
	// Error is half of the 95 % interval as a share of the percentile; 0 where the sample
	// is too small, or too large, to say.
	Error float64
	// Needs is how many values would bring Error to the one that was wanted.
	Needs int64
}

// Precision is that of the percentile p, with the number of values that would make its
// error no more than wanted. It goes by the order in which values came, so it must be
// asked for before Quantiles.
//
// Latencies of one run hang together: a queue makes all of a stretch slow. So the run is
// cut in batches; the shares of values above the percentile differ between them by more
// than chance alone would have it, and their standard error h gives the interval from
// q(p−h) to q(p+h) (batch means for quantiles: Heidelberger and Lewis, Operations Research
// 32, 1984). Chance alone, √(p(1−p)/n), is the least that h may be, and all there is where
// values do not hang together. Where p+h is beyond the largest value there is no upper
// end, and more is needed before there is one.
func (s *Sample) Precision(p, wanted float64, together bool) Precision {
	n := len(s.values)
	if s.sketch != nil || n < 5*batches {
		return Precision{}
	}
	values := slices.Clone(s.values)
	at := func(p float64) float64 {
		arrange(values, min(max(p, 0), 1))
		return Percentile(values, min(max(p, 0), 1))
	}
	q := at(p)
	if q <= 0 {
		return Precision{}
	}
	se := math.Sqrt(p * (1 - p) / float64(n))
	if together {
		se = max(se, s.batchError(q))
	}
	h := batchesT * se
	low, high := at(p-h), at(p+h)
	out := Precision{Error: max(q-low, high-q) / q}
	grow := min(out.Error, 1) / wanted // what is not known at all says little of how much more it takes
	if p+h > 1 {
		grow = max(grow, 2*h/(1-p)) // until the interval's end is halfway to the largest
	}
	out.Needs = int64(math.Ceil(float64(n) * grow * grow))
	return out
}

// batchError is the standard error of the share of values above q, by batches.
func (s *Sample) batchError(q float64) float64 {
	n := len(s.values)
	var sum, squares float64
	for b := range batches {
		from, to := b*n/batches, (b+1)*n/batches
		above := 0
		for _, v := range s.values[from:to] {
			if v > q {
				above++
			}
		}
		share := float64(above) / float64(to-from)
		sum, squares = sum+share, squares+share*share
	}
	variance := max(0, squares-sum*sum/batches) / (batches - 1)
	return math.Sqrt(variance / batches)
}
