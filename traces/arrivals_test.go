package traces

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestArrivalsText(t *testing.T) {
	for _, text := range []string{"poisson", "gamma(2.5)", "gamma(0.5)", "constant", "burst", "burst(32)"} {
		var a Arrivals
		if err := a.UnmarshalText([]byte(" " + text)); err != nil || a.String() != text {
			t.Errorf("%s reads as %s: %v", text, a, err)
		}
	}
	for _, text := range []string{"", "gamma", "gamma(0)", "gamma(-1)", "gamma(nan)", "burst(0)", "burst(1.5)", "burst(1e99)", "weibull(2)", "gamma(2"} {
		var a Arrivals
		if err := a.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %s", text, a)
		}
	}
}

// cvOfWeibull is √(Γ(1+2/k)/Γ(1+1/k)² − 1).
func cvOfWeibull(k float64) float64 {
	m := math.Gamma(1 + 1/k)
	return math.Sqrt(math.Gamma(1+2/k)/(m*m) - 1)
}

// TestRenewalMoments checks mean and CV of gaps, and the mean residual (1+cv²)/2.
func TestRenewalMoments(t *testing.T) {
	for _, c := range []struct {
		weibull   bool
		shape, cv float64
	}{{false, 4, 0.5}, {false, 1, 1}, {false, 0.25, 2}, {false, 0.0123, 1 / math.Sqrt(0.0123)},
		{true, 2, cvOfWeibull(2)}, {true, 0.6, cvOfWeibull(0.6)}} {
		r, rng := newRenewal(c.weibull, c.shape), rand.New(rand.NewPCG(3, 4))
		const n = 2_000_000
		var sum, squares, residual float64
		for range n {
			x := r.gap(rng)
			sum, squares = sum+x, squares+x*x
			residual += r.residual(rng)
		}
		mean := sum / n
		// Tolerances are some 4 standard errors of the widest case.
		slack := 4 * (1 + c.cv) * (1 + c.cv) / math.Sqrt(n)
		near(t, "mean gap", mean, 1, slack)
		near(t, "cv", math.Sqrt(squares/n-mean*mean)/mean, c.cv, 2*slack)
		near(t, "mean residual", residual/n, (1+c.cv*c.cv)/2, 2*slack)
	}
}

// TestStationaryCounts: E[N(T)] = rate·T however bursty, because the first gap is residual.
func TestStationaryCounts(t *testing.T) {
	for _, arrivals := range []Arrivals{{}, {gamma, 0.3}, {gamma, 3}} {
		const runs, rate, seconds = 4000, 5.0, 2
		total := 0
		for seed := range uint64(runs) {
			s, err := Generate(Workload{Rate: rate, Duration: seconds * 1e9, Input: Constant(1), Output: Constant(1), Arrivals: arrivals, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			total += len(readAll(t, s))
		}
		near(t, arrivals.String(), float64(total)/runs, rate*seconds, 0.06)
	}
}
