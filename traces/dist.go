package traces

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MaxTokens is the longest prompt or output that a trace or generator may hold.
const MaxTokens = 1 << 24

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408

type shape uint8

const (
	unset shape = iota
	constant
	uniform
	lognormal
	exponential
)

// Dist is a distribution of lengths in tokens. Its text forms are
//
//	4096                              always 4,096
//	uniform(819,1024)                 every integer from 819 to 1,024 alike
//	lognormal(mean=4000,p99=20000)    rounded to the nearest token
//	exp(500)                          geometric with mean 500, the exponential of whole tokens
//
// The zero value is unset. A Dist is comparable, and equal ones draw alike.
type Dist struct {
	kind shape
	a, b float64 // as written: value; least, most; mean, p99; mean
	p, q float64 // solved: lognormal μ, σ; exp −1/λ
}

// Constant is the distribution that is always n.
func Constant(n int) Dist { return Dist{kind: constant, a: float64(n)} }

// Uniform gives every integer in [least, most] the same probability.
func Uniform(least, most int) (Dist, error) {
	return build(uniform, float64(least), float64(most))
}

// build checks a distribution and solves what it is drawn by. The lognormal's μ and σ
// follow from mean and 99th percentile. With mean = exp(μ+σ²/2) and p99 = exp(μ+zσ):
//
//	ln(p99/mean) = zσ − σ²/2   ⇒   σ = z − √(z² − 2·ln(p99/mean))
//
// the smaller of the two roots; p99/mean cannot exceed exp(z²/2) = 14.97. The
// exponential is the geometric distribution on 1, 2, … with the given mean: what is left
// of an exponential when time is counted in whole tokens.
func build(kind shape, a, b float64) (Dist, error) {
	d := Dist{kind: kind, a: a, b: b}
	switch kind {
	case constant:
		if a < 0 || a > MaxTokens || a != math.Trunc(a) {
			return Dist{}, fmt.Errorf("%v must be a whole number from 0 to %d", a, MaxTokens)
		}
	case uniform:
		if a != math.Trunc(a) || b != math.Trunc(b) || a < 1 || b < a || b > MaxTokens {
			return Dist{}, fmt.Errorf("uniform(%v,%v): want whole numbers with 1 ≤ least ≤ most ≤ %d", a, b, MaxTokens)
		}
	case lognormal:
		if !(a >= 1 && a <= MaxTokens) {
			return Dist{}, fmt.Errorf("lognormal: mean must be from 1 to %d, got %v", MaxTokens, a)
		}
		if !(b >= a && b <= a*math.Exp(z99*z99/2)) {
			return Dist{}, fmt.Errorf("lognormal: p99 must be from 1 to %.2f times the mean (%v), got %v", math.Exp(z99*z99/2), a, b)
		}
		d.q = z99 - math.Sqrt(math.Max(0, z99*z99-2*math.Log(b/a)))
		d.p = math.Log(a) - d.q*d.q/2
	case exponential:
		if !(a > 1 && a <= MaxTokens) {
			return Dist{}, fmt.Errorf("exp: mean must be over 1 and at most %d, got %v", MaxTokens, a)
		}
		d.p = 1 / math.Log1p(-1/a)
	}
	return d, nil
}

// IsZero reports whether the distribution is unset.
func (d Dist) IsZero() bool { return d.kind == unset }

// Mean is the mean in tokens. For the lognormal it is that of the continuous
// distribution; rounding and the limits 1 and MaxTokens move it by under a
// thousandth for means over 20.
func (d Dist) Mean() float64 {
	if d.kind == uniform {
		return (d.a + d.b) / 2
	}
	return d.a
}

// Quantile is the smallest length that a share u of draws does not exceed
// (0 ≤ u < 1), before rounding for the lognormal.
func (d Dist) Quantile(u float64) float64 {
	switch d.kind {
	case uniform:
		return d.a + math.Floor(u*(d.b-d.a+1))
	case lognormal:
		return math.Exp(d.p + d.q*normalQuantile(u))
	case exponential:
		return math.Max(1, math.Ceil(d.p*math.Log1p(-u)))
	}
	return d.a
}

// Longest is the greatest length of a shape that has one.
func (d Dist) Longest() (tokens int, bounded bool) {
	switch d.kind {
	case constant:
		return int(d.a), true
	case uniform:
		return int(d.b), true
	}
	return 0, false
}

// Tokens is the length that uniform u draws, from 1 to MaxTokens.
func (d Dist) Tokens(u float64) int32 { return wholeTokens(d.Quantile(u)) }

// Biased draws a length with probability in proportion to length × Tokens'
// probability: the length of a request found in flight at a random moment, when
// it is served for a time in proportion to its tokens. Each form is exact and
// needs two uniforms at most:
//
//	constant    the same
//	uniform     P(n) ∝ n on [least, most]: the inverse of a sum of integers
//	lognormal   μ moves by σ²
//	exp         P(n) ∝ n(1−p)ⁿ⁻¹: the sum of two draws less one
func (d Dist) Biased(u, v float64) int32 {
	switch d.kind {
	case uniform:
		return d.biasedUniform(u)
	case lognormal:
		return wholeTokens(math.Exp(d.p + d.q*(d.q+normalQuantile(u))))
	case exponential:
		return wholeTokens(d.Quantile(u) + d.Quantile(v) - 1)
	}
	return d.Tokens(u)
}

// biasedUniform finds the smallest n with least+…+n > u × (least+…+most).
func (d Dist) biasedUniform(u float64) int32 {
	below := d.a * (d.a - 1) / 2
	target := u*(d.b*(d.b+1)/2-below) + below
	n := math.Floor((math.Sqrt(1+8*target) - 1) / 2)
	for n*(n+1)/2 <= target {
		n++
	}
	return wholeTokens(math.Min(math.Max(n, d.a), d.b))
}

// MeanBiased is the mean of Biased: E[n²]/E[n].
func (d Dist) MeanBiased() float64 {
	switch d.kind {
	case uniform:
		// Σn² by the difference of two pyramids, divided by Σn.
		pyramid := func(n float64) float64 { return n * (n + 1) * (2*n + 1) / 6 }
		return (pyramid(d.b) - pyramid(d.a-1)) / ((d.b - d.a + 1) * d.Mean())
	case lognormal:
		return d.a * math.Exp(d.q*d.q)
	case exponential:
		return 2*d.a - 1
	}
	return d.a
}

// normalQuantile is the inverse of the standard normal distribution function.
func normalQuantile(u float64) float64 { return math.Sqrt2 * math.Erfinv(2*u-1) }

func wholeTokens(x float64) int32 {
	return int32(math.Min(math.Max(math.Round(x), 1), MaxTokens))
}

const distForms = "4096, uniform(819,1024), lognormal(mean=4000,p99=20000) or exp(500)"

// UnmarshalText reads one of the text forms.
func (d *Dist) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	name, inner, call := strings.Cut(s, "(")
	if !call {
		v, err := finite(s)
		if err != nil {
			return fmt.Errorf("%q is not a distribution of lengths; want %s", s, distForms)
		}
		*d, err = build(constant, v, 0)
		return err
	}
	inner, closed := strings.CutSuffix(strings.TrimSpace(inner), ")")
	if !closed {
		return fmt.Errorf("%q lacks its closing parenthesis; want %s", s, distForms)
	}
	form, ok := distArguments[strings.TrimSpace(name)]
	if !ok {
		return fmt.Errorf("unknown distribution %q; want %s", name, distForms)
	}
	args, err := arguments(inner, form.names)
	if err != nil {
		return fmt.Errorf("%s: %w; want %s", s, err, distForms)
	}
	*d, err = build(form.kind, args[0], args[1])
	return err
}

var distArguments = map[string]struct {
	kind  shape
	names []string
}{
	"uniform":   {uniform, []string{"least", "most"}},
	"lognormal": {lognormal, []string{"mean", "p99"}},
	"exp":       {exponential, []string{"mean"}},
}

// arguments reads "1,2" or "mean=1,p99=2" in any order of names.
func arguments(inner string, names []string) (values [2]float64, err error) {
	parts := strings.Split(inner, ",")
	if len(parts) != len(names) {
		return values, fmt.Errorf("needs %d value(s) (%s), got %d", len(names), strings.Join(names, ", "), len(parts))
	}
	var given [2]bool
	for i, part := range parts {
		if name, value, named := strings.Cut(part, "="); named {
			part = value
			if i = indexOf(names, strings.TrimSpace(name)); i < 0 {
				return values, fmt.Errorf("unknown argument %q", strings.TrimSpace(name))
			}
		}
		if given[i] {
			return values, fmt.Errorf("%s is given twice", names[i])
		}
		given[i] = true
		if values[i], err = finite(strings.TrimSpace(part)); err != nil {
			return values, fmt.Errorf("%s: %w", names[i], err)
		}
	}
	return values, nil
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

func finite(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a finite number", s)
	}
	return v, nil
}

// MarshalText writes a form that reads back to an equal Dist; an unset one is empty.
func (d Dist) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is the text form.
func (d Dist) String() string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	switch d.kind {
	case constant:
		return number(d.a)
	case uniform:
		return "uniform(" + number(d.a) + "," + number(d.b) + ")"
	case lognormal:
		return "lognormal(mean=" + number(d.a) + ",p99=" + number(d.b) + ")"
	case exponential:
		return "exp(" + number(d.a) + ")"
	}
	return ""
}
