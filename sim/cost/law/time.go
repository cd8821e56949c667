package law

import "math"

// Time is one operator's share of the critical path, in seconds, by cause.
type Time struct {
	Launch  float64 // kernel floors, small kernels, eager launches
	Compute float64 // arithmetic, and the serial and per-row parts of kernels
	Weights float64 // weight bytes from HBM
	KV      float64 // KV cache, index keys and gathered entries
	Act     float64 // activations, quantisation, scores, permutes
	Wire    float64 // bytes on links: only of kernels that fuse communication (MegaMoE)
}

// Total is the sum over causes.
func (t Time) Total() float64 { return t.Launch + t.Compute + t.Weights + t.KV + t.Act + t.Wire }

// Add is the time of one operator after another.
func (t Time) Add(u Time) Time {
	return Time{
		Launch: t.Launch + u.Launch, Compute: t.Compute + u.Compute, Weights: t.Weights + u.Weights,
		KV: t.KV + u.KV, Act: t.Act + u.Act, Wire: t.Wire + u.Wire,
	}
}

// Scale is f operators like t.
func (t Time) Scale(f float64) Time {
	return Time{
		Launch: t.Launch * f, Compute: t.Compute * f, Weights: t.Weights * f,
		KV: t.KV * f, Act: t.Act * f, Wire: t.Wire * f,
	}
}

// overlap2 is the 2-norm √(c²+m²) of a compute and a memory time that overlap in
// part, as the shares c²/t and m²/t that sum to it.
func overlap2(c, m float64) (compute, memory float64) {
	t := math.Sqrt(c*c + m*m)
	if t == 0 {
		return 0, 0
	}
	r := 1 / t
	return c * c * r, m * m * r
}

// overlap4 is the same for the 4-norm, which is nearly the longer of the two.
func overlap4(c, m float64) (compute, memory float64) {
	long := max(c, m)
	if long == 0 {
		return 0, 0
	}
	a, b := c/long, m/long
	a, b = a*a*a*a, b*b*b*b
	t := long * math.Sqrt(math.Sqrt(a+b)) / (a + b)
	return t * a, t * b
}

// overlap is overlap2 for any exponent p > 0: p = 1 is no overlap, a large p the
// longer of the two.
func overlap(c, m, p float64) (compute, memory float64) {
	switch {
	case c == 0 || m == 0 || p == 1:
		return c, m
	case p == 2:
		return overlap2(c, m)
	case p == 4:
		return overlap4(c, m)
	}
	// The larger side comes out of the power, so that neither under- nor overflow
	// of c^p can spoil the norm.
	long, short := c, m
	if m > c {
		long, short = m, c
	}
	x := math.Pow(short/long, p)
	t := long * math.Pow(1+x, 1/p)
	rest := t * x / (1 + x)
	if m > c {
		return rest, t - rest
	}
	return t - rest, rest
}
