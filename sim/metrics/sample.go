package metrics

import (
	"fmt"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// exactValues is how many values a Sample keeps one by one (32 MB).
const exactValues = 4 << 20

// sketchError is the relative error of percentiles beyond exactValues.
const sketchError = 0.001

// Quantiles sum up a set of values, in their unit.
type Quantiles struct {
	Count                         int64
	Mean, P50, P90, P95, P99, Max float64
}

// Sample collects values ≥ 0: all of them up to exactValues, then a sketch.
type Sample struct {
	values []float64
	sketch *ddsketch.DDSketch
	count  int64
	sum    float64
	max    float64
}

func newSample(expect int64) Sample {
	return Sample{values: make([]float64, 0, min(max(expect, 0), exactValues))}
}

// Add takes one value.
func (s *Sample) Add(v float64) {
	s.count++
	s.sum += v
	if v > s.max {
		s.max = v
	}
	switch {
	case s.sketch != nil:
		s.toSketch(v)
	case len(s.values) < exactValues:
		s.values = append(s.values, v)
	default:
		s.startSketch()
		s.toSketch(v)
	}
}

func (s *Sample) startSketch() {
	m, err := mapping.NewCubicallyInterpolatedMapping(sketchError)
	if err != nil {
		panic(fmt.Sprintf("metrics: sketch of accuracy %v: %v", sketchError, err))
	}
	s.sketch = ddsketch.NewDDSketch(m, store.NewBufferedPaginatedStore(), store.NewBufferedPaginatedStore())
	for _, v := range s.values {
		s.toSketch(v)
	}
	s.values = nil
}

func (s *Sample) toSketch(v float64) {
	if err := s.sketch.Add(v); err != nil {
		panic(fmt.Sprintf("metrics: value %v: %v", v, err))
	}
}

// Quantiles sums up; it reorders the values kept.
func (s *Sample) Quantiles() Quantiles {
	q := Quantiles{Count: s.count, Max: s.max}
	if s.count == 0 {
		return q
	}
	q.Mean = s.mean()
	if s.sketch == nil {
		arrange(s.values, 0.50, 0.90, 0.95, 0.99)
	}
	q.P50, q.P90, q.P95, q.P99 = s.at(0.50), s.at(0.90), s.at(0.95), s.at(0.99)
	return q
}

// mean is that of what was added, 0 of nothing.
func (s *Sample) mean() float64 { return s.sum / float64(max(1, s.count)) }

func (s *Sample) at(p float64) float64 {
	if s.sketch == nil {
		return Percentile(s.values, p)
	}
	v, err := s.sketch.GetValueAtQuantile(p)
	if err != nil {
		panic(fmt.Sprintf("metrics: quantile %v: %v", p, err))
	}
	return min(v, s.max)
}

// arrange puts the values that Percentile reads for ascending ps where sorting would,
// eight times faster than sorting a million.
func arrange(values []float64, ps ...float64) {
	from := 0
	for _, p := range ps {
		i := int(float64(len(values)-1) * p)
		settle(values, from, i)
		if i+1 < len(values) {
			settle(values, i+1, i+1)
		}
		from = i
	}
}

// settle puts the value of rank k in its place among values[lo:], the smaller before
// and the larger behind it: Hoare's quickselect, which sorts what is left when the
// pivots are bad for long.
func settle(values []float64, lo, k int) {
	hi := len(values) - 1
	for rounds := 0; hi-lo > 16 && rounds < 64; rounds++ {
		a, b, c := values[lo], values[lo+(hi-lo)/2], values[hi]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return
		}
	}
	slices.Sort(values[lo : hi+1])
}

// Percentile is the value at position (n−1)·p of sorted values, interpolated
// linearly between the two closest ranks: numpy's default, which the published
// benchmark clients report. It is 0 without values.
func Percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	h := float64(len(sorted)-1) * p
	i := int(math.Floor(h))
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	step := float64((h - float64(i)) * (sorted[i+1] - sorted[i]))
	return sorted[i] + step
}
