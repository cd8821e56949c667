package traces

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustDist(t testing.TB, text string) Dist {
	t.Helper()
	var d Dist
	if err := d.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return d
}

// near fails when got is off want by more than a share of it.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > share*math.Abs(want) {
		t.Errorf("%s: got %v, want %v within %v", what, got, want, share)
	}
}

// grid integrates f over (0,1) by midpoints.
func grid(f func(u float64) float64) float64 {
	const n = 400_000
	sum := 0.0
	for i := range n {
		sum += f((float64(i) + 0.5) / n)
	}
	return sum / n
}

func TestDistMeanIsThatOfItsDraws(t *testing.T) {
	for _, text := range []string{"4096", "uniform(819,1024)", "uniform(1,1)", "lognormal(mean=4000,p99=20000)",
		"lognormal(mean=500,p99=500)", "exp(500)", "exp(1.25)", "lognormal(mean=100,p99=300)"} {
		d := mustDist(t, text)
		near(t, text, grid(func(u float64) float64 { return float64(d.Tokens(u)) }), d.Mean(), 2e-3)
	}
}

func TestLognormalSolvesMeanAndP99(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mean := rapid.Float64Range(1, 1e6).Draw(t, "mean")
		p99 := mean * rapid.Float64Range(1, 14.96).Draw(t, "ratio")
		d, err := build(lognormal, mean, p99)
		if err != nil {
			t.Fatal(err)
		}
		if got := math.Exp(d.p + d.q*d.q/2); math.Abs(got-mean) > 1e-9*mean {
			t.Fatalf("mean %v, want %v", got, mean)
		}
		if got := d.Quantile(0.99); math.Abs(got-p99) > 1e-7*p99 {
			t.Fatalf("p99 %v, want %v", got, p99)
		}
		if d.q < 0 || d.q > z99 {
			t.Fatalf("σ %v is not the smaller root", d.q)
		}
	})
}

// TestGeometricLaw holds exp to P(n) = p(1−p)ⁿ⁻¹ with p = 1/mean.
func TestGeometricLaw(t *testing.T) {
	d := mustDist(t, "exp(4)")
	below := 0.0
	for n := 1; n < 30; n++ {
		below += 0.25 * math.Pow(0.75, float64(n-1))
		if got := d.Tokens(below - 1e-9); got != int32(n) {
			t.Fatalf("just below %v: %d, want %d", below, got, n)
		}
		if got := d.Tokens(below + 1e-9); got != int32(n+1) {
			t.Fatalf("just above %v: %d, want %d", below, got, n+1)
		}
	}
}

// TestBiasedLaw compares Biased with probabilities n·P(n)/mean, enumerated.
func TestBiasedLaw(t *testing.T) {
	for _, text := range []string{"uniform(1,6)", "uniform(3,5)", "exp(4)", "exp(1.5)"} {
		d := mustDist(t, text)
		const side = 1500
		want, got := map[int32]float64{}, map[int32]float64{}
		for i := range side {
			u := (float64(i) + 0.5) / side
			for j := range side {
				v := (float64(j) + 0.5) / side
				got[d.Biased(u, v)] += 1.0 / side / side
			}
			n := d.Tokens(u)
			want[n] += float64(n) / d.Mean() / side
		}
		for n := int32(1); n <= 12; n++ {
			if math.Abs(got[n]-want[n]) > 4e-3 {
				t.Errorf("%s: P(%d) = %v, want %v", text, n, got[n], want[n])
			}
		}
	}
}

func TestBiasedMean(t *testing.T) {
	for _, text := range []string{"77", "uniform(1,6)", "uniform(819,1024)", "exp(500)", "lognormal(mean=500,p99=2500)", "lognormal(mean=850,p99=4250)"} {
		d := mustDist(t, text)
		squares := grid(func(u float64) float64 { return float64(d.Tokens(u)) * float64(d.Tokens(u)) })
		near(t, text+": E[n²]/E[n]", d.MeanBiased(), squares/d.Mean(), 0.01)
		rng := rand.New(rand.NewPCG(1, 2))
		near(t, text+": drawn", grid(func(u float64) float64 { return float64(d.Biased(u, rng.Float64())) }), d.MeanBiased(), 0.01)
	}
}

func TestDistTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.IntRange(1, MaxTokens).Draw(t, "a")
		b := rapid.IntRange(a, MaxTokens).Draw(t, "b")
		mean := rapid.Float64Range(1.01, 1e5).Draw(t, "mean")
		u, _ := Uniform(a, b)
		l, _ := build(lognormal, mean, mean*rapid.Float64Range(1, 14.9).Draw(t, "ratio"))
		e, _ := build(exponential, mean, 0)
		for _, d := range []Dist{Constant(a), u, l, e} {
			text, _ := d.MarshalText()
			var back Dist
			if err := back.UnmarshalText(text); err != nil || back != d {
				t.Fatalf("%s reads back as %s: %v", text, back, err)
			}
		}
	})
}

func TestDistErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "is not a distribution",
		"abc":                           "is not a distribution",
		"NaN":                           "is not a distribution",
		"1.5":                           "whole number",
		"-4":                            "whole number",
		"99999999":                      "16777216",
		"uniform(5)":                    "needs 2 value(s) (least, most), got 1",
		"uniform(5,3)":                  "least ≤ most",
		"uniform(0,3)":                  "1 ≤ least",
		"uniform(1.5,3)":                "whole numbers",
		"uniform(1,3":                   "closing parenthesis",
		"lognormal(mean=4000,p98=3)":    `unknown argument "p98"`,
		"lognormal(mean=4000,mean=3)":   "mean is given twice",
		"lognormal(mean=4000,p99=1)":    "from 1 to 14.97 times the mean",
		"lognormal(mean=10,p99=151)":    "from 1 to 14.97 times the mean",
		"lognormal(mean=0,p99=1)":       "mean must be from 1",
		"lognormal(mean=1e400,p99=1)":   "not a finite number",
		"exp(1)":                        "over 1",
		"exp(inf)":                      "not a finite number",
		"zipf(2)":                       "unknown distribution",
		"lognormal(mean=4000,p99=2e4))": "not a finite number",
	} {
		var d Dist
		err := d.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzDist(f *testing.F) {
	for _, s := range []string{"4096", "uniform(819,1024)", "lognormal(mean=4000,p99=20000)", "exp(500)", "lognormal(p99=3,mean=1)", "exp(", "uniform(,)"} {
		f.Add(s, 0.5)
	}
	f.Fuzz(func(t *testing.T, text string, u float64) {
		var d Dist
		if d.UnmarshalText([]byte(text)) != nil || !(u >= 0 && u < 1) {
			return
		}
		var back Dist
		if err := back.UnmarshalText([]byte(d.String())); err != nil || back != d {
			t.Fatalf("%q → %q → %v: %v", text, d, back, err)
		}
		if n, b := d.Tokens(u), d.Biased(u, u); n < 1 || n > MaxTokens || b < 1 || b > MaxTokens {
			t.Fatalf("%s draws %d, biased %d at %v", d, n, b, u)
		}
	})
}
