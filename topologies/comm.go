package topologies

import "math"

// Comm is what one communication operation costs, in seconds. Latency is its α:
// launches, protocol and the delay of every traversal; Tau is the share of
// Latency that the topology's delays cause. Bandwidth is the time of its bytes,
// never less than bytes over line rate.
type Comm struct{ Latency, Tau, Bandwidth float64 }

// Total is the operation's duration in seconds.
func (c Comm) Total() float64 { return c.Latency + c.Bandwidth }

// Plus is one operation after another.
func (c Comm) Plus(d Comm) Comm {
	return Comm{c.Latency + d.Latency, c.Tau + d.Tau, c.Bandwidth + d.Bandwidth}
}

// alpha is a latency as it is built up: software and traversals in seconds.
type alpha struct{ software, tau float64 }

func (a alpha) total() float64 { return a.software + a.tau }

// sum joins α and the time of the bytes where they do not overlap.
func (a alpha) sum(bytes float64) Comm {
	return Comm{Latency: a.total(), Tau: a.tau, Bandwidth: bytes}
}

// knee joins them by a p-norm of exponent q ≤ 1, the soft knee of a pipeline that
// must fill: T = (A^q + B^q)^(1/q) ≥ A+B, split in proportion to the q-th powers.
func (a alpha) knee(bytes, q float64) Comm {
	total := a.total()
	if q == 1 || total <= 0 || bytes <= 0 {
		return a.sum(bytes)
	}
	pa, pb := math.Pow(total, q), math.Pow(bytes, q)
	t := math.Pow(pa+pb, 1/q)
	latency := t * pa / (pa + pb)
	return Comm{Latency: latency, Tau: latency * a.tau / total, Bandwidth: t - latency}
}

// less is the quicker of two.
func (c Comm) less(d Comm) Comm {
	if d.Total() < c.Total() {
		return d
	}
	return c
}

const microsecond = 1e-6

// software is a fitted α in µs less its traversals of the fabric it was fitted
// on, never below 0, in seconds.
func (l *Library) software(us, traversals float64, inner bool) float64 {
	tau := l.FittedTau.Outer
	if inner || tau == 0 {
		tau = l.FittedTau.Inner
	}
	return max(0, us*microsecond-traversals*tau.Seconds())
}
