// Package plant is what is built of a scenario, and where it stands: the model on its
// chips, the topology, the engine, and each pool's cost model and place.
//
// Load resolves what the scenario names; Build then lays out its pools, first come first
// placed, on contiguous ranges of chips. Check reports names in a scenario that nothing
// here knows. No request is simulated in this package.
//
// Not modelled: where one instance of a pool stands. A pool has a range of chips.
package plant

import (
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/scenario"
)

// Plant is a scenario's references, loaded, and its pools, placed.
type Plant struct {
	*Inputs
	Pools []Pool // one that serves, or prefill and decode
}

// Pool is a number of equal instances.
type Pool struct {
	Name    string
	Asked   *scenario.Pool // what the scenario says of it
	Stepper *cost.Stepper
	Place   Placement
}

// Build loads what a scenario names and lays out its pools. Faults that show without
// that are Validate's.
func Build(s *scenario.Scenario, from Source) (*Plant, error) {
	in, err := Load(s, from)
	if err != nil {
		return nil, err
	}
	p := &Plant{Inputs: in}
	d, next := &s.Deployment, 0
	add := func(name string, asked *scenario.Pool, role cost.Role) error {
		if asked.Instances < 1 {
			return fmt.Errorf("deployment.%s.instances: must be at least 1, got %d", name, asked.Instances)
		}
		stepper, err := in.Stepper(s, asked, role)
		if err != nil {
			return fmt.Errorf("deployment.%s: %w", name, err)
		}
		pool := Pool{Name: name, Asked: asked, Stepper: stepper}
		pool.Place = place(in.Topology, next, stepper.Chips(), asked.Instances)
		if next = pool.Place.End; next > in.Topology.Chips {
			return fmt.Errorf("deployment.%s: %d instances of %d chips need chips up to number %d, but %s has %d",
				name, asked.Instances, stepper.Chips(), next, in.Topology.Name, in.Topology.Chips)
		}
		p.note(s, &pool)
		p.Pools = append(p.Pools, pool)
		return nil
	}
	switch {
	case d.Serve != nil:
		err = add("serve", d.Serve, cost.Mixed)
	case d.Prefill == nil || d.Decode == nil:
		err = errors.New("deployment: has no pools; a plan has to choose the layout first")
	default:
		if err = add("prefill", d.Prefill, cost.Prefill); err == nil {
			err = add("decode", d.Decode, cost.Decode)
		}
	}
	return p, err
}

// note collects what a pool assumes, and the digests of what it alone reads.
func (p *Plant) note(s *scenario.Scenario, pool *Pool) {
	p.Warnings = append(p.Warnings, pool.Stepper.Assumptions()...)
	c := pool.Stepper.Config()
	if c.Chip != p.Topology.Chip {
		p.Digests = append(p.Digests, Digest("chip", c.Chip.Name, c.Chip))
	}
	if len(p.Pools) == 0 && c.Layout.Routing.Kind == cost.Histogram {
		p.Digests = append(p.Digests, Digest("routing", s.Deployment.Routing, c.Layout.Routing))
	}
}
