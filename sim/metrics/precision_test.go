package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// series are n values whose logarithms have a standard deviation of 0.5 and hang together
// over about so many of them: an autoregression, exact values by its own law.
func series(seed uint64, n int, together float64) *Sample {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := newSample(int64(n))
	a := 0.0
	if together > 0 {
		a = math.Exp(-1 / together)
	}
	x := rng.NormFloat64()
	for range n {
		x = a*x + math.Sqrt(1-a*a)*rng.NormFloat64()
		s.Add(math.Exp(x / 2))
	}
	return &s
}

// The interval holds the true percentile in about 19 of 20 cases, whether or not values
// hang together, and it is the wider the more they do.
func TestPrecisionCoversTheTruth(t *testing.T) {
	truth := math.Exp(2.3263 / 2)
	before := 0.0
	for _, together := range []float64{0, 30, 300} {
		const runs = 80
		covered, wide := 0, 0.0
		for seed := range uint64(runs) {
			s := series(seed, 20_000, together)
			p := s.Precision(0.99, 0.1, true)
			q := s.Quantiles().P99
			if math.Abs(q-truth) <= p.Error*q {
				covered++
			}
			wide += p.Error / runs
		}
		if share := float64(covered) / runs; share < 0.88 {
			t.Errorf("values together over %g: %.2f of the intervals hold the percentile", together, share)
		}
		if wide <= before {
			t.Errorf("values together over %g: known to %g, less dependent ones to %g", together, wide, before)
		}
		before = wide
	}
}

// Of independent values the error is that of order statistics, √(p(1−p)/n) / (f(q)·q),
// and as many as are said to be needed do.
func TestPrecisionOfIndependentValues(t *testing.T) {
	const n = 40_000
	mean, needs := 0.0, 0.0
	for seed := range uint64(50) {
		p := series(seed, n, 0).Precision(0.99, 0.01, true)
		mean, needs = mean+p.Error/50, needs+float64(p.Needs)/50
	}
	z := 2.3263
	density := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) * 2 // of log x, which has half the deviation
	want := batchesT * math.Sqrt(0.99*0.01/n) / density
	if mean < want || mean > 1.35*want { // the greater of two estimates, and of two sides
		t.Errorf("known to %g, order statistics say %g", mean, want)
	}
	after := 0.0
	for seed := range uint64(10) {
		after += series(seed+100, int(needs), 0).Precision(0.99, 0.01, true).Error / 10
	}
	if after > 0.012 || after < 0.007 {
		t.Errorf("%.0f values are said to be known to 0.01, and are to %g", needs, after)
	}
}

// Few values have no upper end, and none say nothing.
func TestPrecisionOfFewValues(t *testing.T) {
	if p := series(1, 99, 0).Precision(0.99, 0.1, true); p != (Precision{}) {
		t.Errorf("99 values: %+v", p)
	}
	p := series(1, 200, 0).Precision(0.99, 0.1, true)
	if p.Needs < 1000 {
		t.Errorf("the p99 of 200 values: %+v", p)
	}
	s := newSample(0)
	for range 1000 {
		s.Add(5)
	}
	if p := s.Precision(0.99, 0.1, true); p.Error != 0 {
		t.Errorf("values that are all the same: %+v", p)
	}
}
