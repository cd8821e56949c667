package plant

import (
	"github.com/clustersim/clustersim/topologies"
)

// Placement is the contiguous range of chips that a pool takes.
type Placement struct {
	First, End int // the range, whole domains of the innermost tier
	Used       int // chips in instances
}

// place gives a pool's instances their chips from first on. Instances that fit a
// domain of the innermost tier (a node, a cabinet, a rack) are packed into domains
// without straddling, the first where the pool before has left room for it; larger
// ones take whole domains.
func place(t *topologies.Topology, first, chips, instances int) Placement {
	domain := t.Tiers[0].Size
	p := Placement{First: first, Used: chips * instances}
	if left := domain - first%domain; chips > left {
		p.First += left % domain
	}
	if chips > domain {
		p.End = p.First + (instances-1)*roundUp(chips, domain) + chips
		return p
	}
	at := p.First % domain
	here := min(instances, (domain-at)/chips)
	if p.End = p.First + here*chips; here < instances {
		each, rest := domain/chips, instances-here-1
		p.End = p.First - at + domain + rest/each*domain + (rest%each+1)*chips
	}
	return p
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// PoolEnd is the first chip behind a pool of instances of so many chips each that
// begins at chip first; it may lie beyond the topology.
func PoolEnd(t *topologies.Topology, first, chips, instances int) int {
	return place(t, first, chips, instances).End
}

// Peak is the package's rate at the fastest precision that the pool computes in.
func (p *Pool) Peak() float64 {
	loads := p.Stepper.Uniform(1, 0, 1, 0)
	if p.Stepper.Config().Layout.CP > 1 { // which decodes nothing
		loads = p.Stepper.Uniform(0, 1, 1, 1)
	}
	var peak float64
	for _, op := range p.Stepper.Explain(loads).Operators {
		peak = max(peak, float64(p.Stepper.Config().Chip.Peak[topologies.Precision(op.Precision)]))
	}
	return peak
}
