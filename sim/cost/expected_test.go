package cost

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The heaviest of R ranks, in the Gaussian form of extremes, with numbers worked out by
// hand: √(2 ln R) standard deviations above the mean.
func TestHeaviestRankByHand(t *testing.T) {
	even := skew{ranks: 32, heaviest: 1, near: 32}
	// 100 pairs: √(2 · ln 32 · (31/32) / 100) = √0.0671489.
	near(t, "of 32 equal ranks", even.factor(100), 1+0.2591311, 1e-6)
	// Half of them as heavy as the heaviest, of 1.5 times the mean: √(2 · ln 16 · 1.5 · (31/32) / 100) = √0.0805786.
	near(t, "16 of 32 are near", skew{ranks: 32, heaviest: 1.5, near: 16}.factor(100), 1.5+0.2838637, 1e-6)
	near(t, "a single heavy rank does not vary", skew{ranks: 32, heaviest: 3, near: 1}.factor(100), 3, 1e-12)
	// Eight slots, two asked for in the mean: a spread of 2 · (1 − 2/8) = 1.5, √(2 · ln 32 · 1.5) = √10.3972.
	near(t, "experts of the heaviest rank", even.most(2, 8), 2+3.2244705, 1e-6)
	if got := even.most(7.9, 8); got != 8 {
		t.Errorf("%g of eight experts", got)
	}
	if got := even.most(8, 8); got != 8 {
		t.Errorf("all experts asked for everywhere: %g", got)
	}
}

// Against ranks drawn one by one: √(2 ln R) bounds the expected largest of R normal
// draws, so the form lies above what is drawn, by less than half of what it adds; where
// few of many slots are asked for, a binomial's long tail takes a little of that back.
func TestHeaviestRankDrawn(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	const rounds = 400
	for _, x := range []struct {
		ranks, slots int
		chance       float64 // that a slot is asked for
	}{{32, 8, 0.3}, {64, 32, 0.2}, {320, 16, 0.1}, {16, 24, 0.5}} {
		sum := 0.0
		for range rounds {
			most := 0
			for range x.ranks {
				asked := 0
				for range x.slots {
					if random.Float64() < x.chance {
						asked++
					}
				}
				most = max(most, asked)
			}
			sum += float64(most) / rounds
		}
		mean := float64(x.slots) * x.chance
		s := skew{ranks: float64(x.ranks), heaviest: 1, near: float64(x.ranks)}
		if got := s.most(mean, float64(x.slots)); got < sum-0.05*(sum-mean) || got-mean > 1.5*(sum-mean) {
			t.Errorf("%+v: %.2f experts on the heaviest rank, drawn %.2f, mean %.2f", x, got, sum, mean)
		}
	}
	// The heaviest of R shares of a multinomial.
	for _, x := range []struct{ ranks, pairs int }{{32, 50}, {320, 256}} {
		sum := 0.0
		for range rounds {
			load := make([]int, x.ranks)
			most := 0
			for range x.ranks * x.pairs {
				r := random.IntN(x.ranks)
				load[r]++
				most = max(most, load[r])
			}
			sum += float64(most) / float64(x.pairs) / rounds
		}
		s := skew{ranks: float64(x.ranks), heaviest: 1, near: float64(x.ranks)}
		if got := s.factor(float64(x.pairs)); math.Abs(got-sum) > 0.25*(sum-1) {
			t.Errorf("%+v: %.3f of the mean on the heaviest rank, drawn %.3f", x, got, sum)
		}
	}
}
