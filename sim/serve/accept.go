package serve

import (
	"math"

	"github.com/clustersim/clustersim/sim/cost"
)

// Drafting is speculative decoding with a model's own draft layers: every verify
// step yields 1 to Drafts+1 tokens, Accepted of them in the mean. Each draft is
// accepted with the same chance given that those before it were, so a step's
// yield is a truncated geometric one.
type Drafting struct {
	Drafts   int
	Accepted float64
	variance float64 // of a step's tokens
}

// NewDrafting solves for the chance of acceptance that gives the mean.
func NewDrafting(drafts int, accepted float64) Drafting {
	d := Drafting{Drafts: drafts, Accepted: accepted}
	low, high := 0.0, 1.0
	for range 60 {
		p := (low + high) / 2
		if mean, _ := yield(p, drafts); mean < accepted {
			low = p
		} else {
			high = p
		}
	}
	_, d.variance = yield(low, drafts)
	return d
}

// yield is the mean and variance of a step's tokens when each draft is accepted
// with chance p after those before it: P(tokens > i) = p^i for i ≤ drafts.
func yield(p float64, drafts int) (mean, variance float64) {
	second, tail := 0.0, 1.0
	for i := 0; i <= drafts; i++ {
		mean += tail
		second += float64(2*i+1) * tail
		tail *= p
	}
	return mean, second - mean*mean
}

// Steps is the number of verify steps that yield so many tokens. The number is
// close to normal with mean tokens/Accepted and variance tokens·σ²/Accepted³
// (renewal theory); z is a standard normal draw of the request's own.
func (d *Drafting) Steps(tokens int32, z float64) int32 {
	if d.Drafts == 0 || tokens == 0 {
		return tokens
	}
	n, a := float64(tokens), d.Accepted
	steps := math.Round(n/a + z*math.Sqrt(n*d.variance/(a*a*a)))
	fewest := (tokens + int32(d.Drafts)) / int32(d.Drafts+1)
	return min(max(int32(steps), fewest), tokens)
}

// Plan sets how a request will decode its answer: the first token comes out of the
// prefill, the others take steps verify steps, over which the context grows evenly.
func (r *Request) Plan(steps int32) {
	r.Target = r.Input
	r.Context = int64(r.Input) << cost.ContextShift
	r.Steps = steps
	if steps > 0 {
		r.Slope = int64(r.Output-1) << cost.ContextShift / int64(steps)
	}
}

// Resume sets a planned request's state to after so many of its steps.
func (r *Request) Resume(steps int32) {
	r.StepsDone = steps
	r.Context += int64(steps) * r.Slope
	r.Target = int32(r.Context >> cost.ContextShift)
}
