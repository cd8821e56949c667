package plant

import (
	"fmt"
	"io"

	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/traces"
)

// OpenTrace is the source of a scenario's trace; stdin is what a file named - is read from.
func OpenTrace(t *scenario.Trace, seed uint64, stdin io.Reader, warn func(string)) (traces.Source, error) {
	o := traces.Options{
		Format: t.Format, Limit: t.Limit, RateScale: t.RateScale, Start: t.From, Seed: seed, Stdin: stdin, Warn: warn,
	}
	if t.To > 0 {
		o.Duration = t.To - t.From
	}
	return traces.Open(t.File, o)
}

// TakeArrivals writes into a scenario that its workload sends all at once, where only the
// profile says so: such a workload has no rate, which a plan would look for.
func TakeArrivals(s *scenario.Scenario) error {
	w := s.Workload
	if w == nil || w.Profile == "" || w.Arrivals != "" || w.Concurrency > 0 {
		return nil
	}
	p, err := traces.LoadProfile(w.Profile, s.Patches.Under("workload")...)
	if err != nil || !p.Arrivals.AllAtOnce() {
		return err
	}
	if w.Rate > 0 {
		return fmt.Errorf("workload.rate: profile %s sends all requests at once; leave the rate out, or give arrivals", w.Profile)
	}
	w.Arrivals = p.Arrivals.String()
	return Validate(s)
}

// Generator is a scenario's workload as the generator takes it; what the profile
// says, with the scenario's patches laid over it, is filled in. Limits are
// left to the caller: the source never ends, but for one that sends all at once.
func Generator(w *scenario.Workload, patches spec.Patches, seed uint64) (traces.Workload, error) {
	g := traces.Workload{Profile: w.Profile, Patches: patches.Under("workload"), Rate: w.Rate, Seed: seed}
	if w.InputTokens != nil {
		g.Input = *w.InputTokens
	}
	if w.OutputTokens != nil {
		g.Output = *w.OutputTokens
	}
	if w.Arrivals != "" {
		if err := g.Arrivals.UnmarshalText([]byte(w.Arrivals)); err != nil {
			return g, fmt.Errorf("workload.arrivals: %w", err)
		}
	}
	if g.Arrivals.AllAtOnce() {
		g.Requests = w.Requests
	}
	if w.Concurrency > 0 {
		g.Rate = 1 // a closed loop takes the lengths alone
		if err := g.Arrivals.UnmarshalText([]byte("poisson")); err != nil {
			return g, err
		}
	}
	return g.Resolve()
}
