package plan

import (
	"testing"

	"github.com/clustersim/clustersim/sim/scenario"
)

// A probe's cut keeps the same share of both pools: 6 of 28 prefill and 3 of 13 decode
// instances would have 8 % more decode than the whole, and sustain more than it.
func TestCutKeepsTheProportion(t *testing.T) {
	p, of := &Plan{demand: demand{out: 500}}, &deployed{ttft: 1, tpot: 0.05}
	for _, c := range [][2]int{{28, 13}, {13, 28}, {28, 27}, {1427, 4072}, {10, 4}, {34, 1}, {57, 25}, {3, 3}, {5000, 7}} {
		for _, rate := range []float64{10, 1000, 6000, 100_000} {
			s := &scenario.Scenario{Deployment: scenario.Deployment{Prefill: &scenario.Pool{Instances: c[0]}, Decode: &scenario.Pool{Instances: c[1]}}}
			share := p.cut(s, of, rate)
			a, b := s.Deployment.Prefill.Instances, s.Deployment.Decode.Instances
			x, y := float64(a)/float64(c[0]), float64(b)/float64(c[1])
			if share != min(x, y) || max(x, y) > (1+uneven+1e-9)*share || a < 1 || b < 1 || share > 1 {
				t.Errorf("%v at %g requests/s: %d and %d instances, %.3f and %.3f of the pools, share %.3f", c, rate, a, b, x, y, share)
			}
		}
	}
}
