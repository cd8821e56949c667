package cost

import (
	"slices"

	"github.com/clustersim/clustersim/sim/cause"
)

// Relieved prices the steps of an instance that has by times as much of what some causes
// of time stand for: arithmetic, bandwidth, or latencies as much shorter. What these
// operators took is divided before overlap hides any of it, so that a step gains what it
// would gain: nothing where the time was hidden, more than its own where something else
// was hidden behind it. Waiting for slower ranks shrinks as the work that they do.
//
// It shares its tables with the stepper it is made of; the two must not be used at the
// same time.
func (s *Stepper) Relieved(by float64, causes ...cause.Cause) *Stepper {
	out := *s
	out.works, out.busy = slices.Clone(s.works), nil
	relief := &[cause.Count]float64{}
	for c := range relief {
		relief[c] = 1
		if slices.Contains(causes, cause.Cause(c)) {
			relief[c] = 1 / by
		}
	}
	out.relief = relief
	return &out
}

// Roomier prices the same steps and has by times as much room for its cache.
func (s *Stepper) Roomier(by float64) *Stepper {
	out := s.Relieved(1)
	out.memory.Free = int64(by * float64(out.memory.Free))
	return out
}

// relieve shortens what has been booked since a state of the part.
func (s *Stepper) relieve(p, since *part) {
	if s.relief == nil {
		return
	}
	for c, f := range s.relief {
		p.time[c] = since.time[c] + (p.time[c]-since.time[c])*f
	}
}

// relieveLayers shortens layers and their communication, and the waiting for slower ranks
// as it does the layers.
func (s *Stepper) relieveLayers(layers, comm *part, imbalance *float64) {
	if s.relief == nil {
		return
	}
	before := layers.total()
	s.relieve(layers, &part{})
	s.relieve(comm, &part{})
	if before > 0 {
		*imbalance *= layers.total() / before
	}
	*imbalance *= s.relief[cause.Imbalance]
}

// relieved is the share that is left of a cause's time.
func (s *Stepper) relieved(c cause.Cause) float64 {
	if s.relief == nil {
		return 1
	}
	return s.relief[c]
}
