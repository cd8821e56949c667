package plan

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*math.Max(1, math.Abs(want)) {
		t.Errorf("%s: got %g, want %g", what, got, want)
	}
}

// Equal requests have closed forms: contexts uniform on (in, in+out], positions 1…in.
func TestDemandOfEqualRequests(t *testing.T) {
	sample := []lengths{{1000, 600}, {1000, 600}, {1000, 600}}
	d := newDemand(sample, []int64{models.Unlimited, 512})
	near(t, "in", d.in, 1000, 0)
	near(t, "out", d.out, 600, 0)
	near(t, "biased prompt", d.inBiased, 1000, 0)
	near(t, "context", d.context[0], 1300, 1e-12)
	near(t, "context deviation", d.contextSD[0], 600/math.Sqrt(12), 1e-9)
	near(t, "windowed context", d.context[1], 512, 1e-12)
	near(t, "windowed deviation", d.contextSD[1], 0, 1e-9)
}

// Requests weigh in the decoding population by the length of their answers.
func TestDemandWeighsByAnswer(t *testing.T) {
	d := newDemand([]lengths{{100, 900}, {4000, 100}}, []int64{models.Unlimited})
	near(t, "context", d.context[0], (900*550+100*4050)/1000.0, 1e-12)
	near(t, "biased prompt", d.inBiased, (100*100+4000*4000)/4100.0, 1e-12)
	if d.longest != (lengths{4000, 100}) {
		t.Errorf("longest: got %v", d.longest)
	}
}

func TestTruncatedMomentsAgainstSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := float64(rapid.IntRange(0, 500).Draw(t, "in"))
		out := float64(rapid.IntRange(1, 500).Draw(t, "out"))
		b := float64(rapid.IntRange(1, 1200).Draw(t, "break"))
		const parts = 20_000
		var w1, w2 float64
		for i := range parts {
			x := math.Min(b, in+(float64(i)+0.5)*out/parts)
			w1 += x / parts
			w2 += x * x / parts
		}
		m1, m2 := truncatedMoments(in, out, b)
		if math.Abs(m1-w1) > 1e-3*(1+w1) || math.Abs(m2-w2) > 1e-3*(1+w2) {
			t.Fatalf("min(L, %g), L in (%g, %g]: got %g, %g; sums give %g, %g", b, in, in+out, m1, m2, w1, w2)
		}
	})
}

// The rank with the most context holds more than the others, and all together hold
// what the population's mean says.
func TestDecodeLoads(t *testing.T) {
	d := newDemand([]lengths{{100, 900}, {4000, 100}}, []int64{models.Unlimited})
	loads := make([]cost.Load, 8)
	d.decodeLoads(loads, 50)
	for i := 1; i < len(loads); i++ {
		near(t, "context", float64(loads[i].Context[0])/(1<<cost.ContextShift), 50*d.context[0], 1e-6)
	}
	above := float64(loads[0].Context[0]-loads[1].Context[0]) / (1 << cost.ContextShift)
	near(t, "fullest rank", above, expectedMax(8)*math.Sqrt(50)*d.contextSD[0], 1e-6)
}

// Blom's form against the integral of x·d(Φ(x)ⁿ).
func TestExpectedMax(t *testing.T) {
	for _, n := range []int{2, 3, 8, 64, 1000, 10_000} {
		want, step := 0.0, 1e-3
		previous := 0.0
		for x := -8.0; x < 9; x += step {
			p := math.Pow(0.5*math.Erfc(-x/math.Sqrt2), float64(n))
			want += (x - step/2) * (p - previous)
			previous = p
		}
		near(t, "expected maximum", expectedMax(n), want, 0.03)
	}
	near(t, "of one", expectedMax(1), 0, 0)
}

func TestExpectedMaxOfEnumerated(t *testing.T) {
	sorted := []float64{1, 2, 5, 11}
	for k := 1; k <= 4; k++ {
		sum, n := 0.0, 1
		for range k {
			n *= len(sorted)
		}
		for i := range n {
			most := 0.0
			for rest, j := i, 0; j < k; j++ {
				most = math.Max(most, sorted[rest%len(sorted)])
				rest /= len(sorted)
			}
			sum += most / float64(n)
		}
		near(t, "expected maximum", expectedMaxOf(sorted, k), sum, 1e-5)
	}
}

// Cutting a queue into steps loses no pair: all full steps and the rest behind them
// add up to the prompts'.
func TestCutQueueKeepsPairs(t *testing.T) {
	breaks := []int64{models.Unlimited, 700}
	rng := rand.New(rand.NewPCG(1, 2))
	const budget = 512
	sample := make([]lengths, 400)
	total, tokens := [2]float64{}, int64(0)
	for i := range sample {
		sample[i] = lengths{1 + rng.Int64N(5000), 1}
		tokens += sample[i].in
	}
	sample = append(sample, lengths{budget - tokens%budget, 1}) // the last step is full
	for _, r := range sample {
		for j, b := range breaks {
			total[j] += float64(cost.PairSum(0, r.in, b))
		}
	}
	c := cutQueue(sample, breaks, budget)
	for j := range breaks {
		sum := 0.0
		for _, s := range c.steps[j] {
			sum += s
		}
		near(t, "pairs", sum, total[j], 1e-12)
		one, many := c.heaviest(1).pairs[j], c.heaviest(64).pairs[j]
		near(t, "one rank's mean", one, total[j]/float64(len(c.steps[j])*budget), 1e-5)
		if !(many > one) {
			t.Errorf("the heaviest of 64 ranks has %g pairs a token, one has %g", many, one)
		}
	}
}
