package traces

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

type process uint8

const (
	unsaid process = iota // Poisson, unless a profile says otherwise
	poisson
	gamma
	evenly
	burst
)

// Arrivals is how gaps between requests are spread around their mean 1/rate. Its
// text forms are
//
//	poisson      independent exponential gaps; also what the zero value means
//	gamma(2.5)   independent Gamma gaps with coefficient of variation 2.5
//	constant     one request every 1/rate
//	burst        every request at time zero; the rate is not used
//	burst(32)    32 requests at one instant, every 32/rate
//
// Poisson and Gamma processes start stationary: the first gap is a residual one,
// so that the expected number of requests in any stretch is rate × its length.
type Arrivals struct {
	kind process
	arg  float64 // cv of gamma; size of burst, 0 for all
}

// maxBurst keeps burst sizes exact in a float and group numbers in an int64.
const maxBurst = 1e9

// AllAtOnce says that every request arrives at time zero, at no rate.
func (a Arrivals) AllAtOnce() bool { return a == Arrivals{kind: burst} }

// String is the text form.
func (a Arrivals) String() string {
	switch a.kind {
	case gamma:
		return "gamma(" + strconv.FormatFloat(a.arg, 'f', -1, 64) + ")"
	case evenly:
		return "constant"
	case burst:
		if a.arg == 0 {
			return "burst"
		}
		return "burst(" + strconv.FormatFloat(a.arg, 'f', -1, 64) + ")"
	}
	return "poisson"
}

// MarshalText writes a form that reads back to an equal value.
func (a Arrivals) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads one of the text forms.
func (a *Arrivals) UnmarshalText(text []byte) error {
	s := strings.ToLower(strings.TrimSpace(string(text)))
	for _, known := range []Arrivals{{kind: poisson}, {kind: evenly}, {kind: burst}} {
		if s == known.String() {
			*a = known
			return nil
		}
	}
	if inner, ok := call(s, "gamma"); ok {
		cv, err := finite(inner)
		if err != nil || cv < 0.01 || cv > 100 {
			return fmt.Errorf("%q: the coefficient of variation must be from 0.01 to 100", s)
		}
		*a = Arrivals{gamma, cv}
		return nil
	}
	if inner, ok := call(s, "burst"); ok {
		n, err := finite(inner)
		if err != nil || n < 1 || n > maxBurst || n != math.Trunc(n) {
			return fmt.Errorf("%q: the size of a burst must be a whole number from 1 to %.0f", s, float64(maxBurst))
		}
		*a = Arrivals{burst, n}
		return nil
	}
	return fmt.Errorf("unknown arrivals %q; want poisson, gamma(CV), constant, burst or burst(N)", s)
}

func call(s, name string) (inner string, ok bool) {
	inner, ok = strings.CutPrefix(s, name+"(")
	if ok {
		inner, ok = strings.CutSuffix(inner, ")")
	}
	return strings.TrimSpace(inner), ok
}

// renewal draws the unit-mean gaps of a stationary renewal process whose gaps are
// Gamma or Weibull distributed.
type renewal struct {
	weibull bool
	shape   float64
	unit    float64 // scale that makes the mean gap 1
}

func newRenewal(weibull bool, shape float64) renewal {
	r := renewal{weibull: weibull, shape: shape, unit: 1 / shape}
	if weibull {
		r.unit = 1 / math.Gamma(1+1/shape)
	}
	return r
}

// gap is one interval between events, with mean 1.
func (r renewal) gap(rng *rand.Rand) float64 {
	if r.weibull {
		return r.unit * math.Pow(rng.ExpFloat64(), 1/r.shape)
	}
	return r.unit * gammaDraw(rng, r.shape)
}

// residual is the time from a random moment to the next event: the gap that the
// moment falls in is length-biased, and the moment is uniform in it. A
// length-biased Gamma(k) is Gamma(k+1); for the Weibull, (x/λ)ᵏ becomes
// Gamma(1+1/k).
func (r renewal) residual(rng *rand.Rand) float64 {
	if r.weibull {
		return rng.Float64() * r.unit * math.Pow(gammaDraw(rng, 1+1/r.shape), 1/r.shape)
	}
	return rng.Float64() * r.unit * gammaDraw(rng, r.shape+1)
}

// gammaDraw is a Gamma(shape, 1) draw by Marsaglia and Tsang (ACM TOMS 26, 2000);
// shapes below 1 by their boost Gamma(k) = Gamma(k+1)·U^(1/k).
func gammaDraw(rng *rand.Rand, shape float64) float64 {
	boost := 1.0
	if shape < 1 {
		boost = math.Exp(-rng.ExpFloat64() / shape)
		shape++
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := rng.Float64()
		// The first test is their squeeze: it nearly always spares the logarithms.
		if u < 1-0.0331*(x*x)*(x*x) || math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return boost * d * v
		}
	}
}
