package validate

import (
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

// Steady is a measurement of one phase in a steady state, the other phase taken as
// unlimited: every rank does the same step over and over. It is priced as one step,
// without arrivals or a scheduler.
type Steady struct {
	Sequences int64 `yaml:"sequences,omitempty"` // decode: of a rank, each Context tokens long
	Prompts   int64 `yaml:"prompts,omitempty"`   // prefill: that a rank takes in a step
	Context   int64 `yaml:"context"`             // tokens of a sequence, or of a prompt
	Chunk     int64 `yaml:"chunk,omitempty"`     // prefill: last tokens of each prompt in the step; 0 is all
}

// check reports what cannot be priced: a step of one phase needs its own fields.
func (s *Steady) check(phase Phase, d *scenario.Deployment, fault func(field, format string, args ...any)) {
	const most = 1 << 24
	for _, n := range []struct {
		name  string
		value int64
		of    Phase
	}{{"sequences", s.Sequences, Decode}, {"prompts", s.Prompts, Prefill}} {
		switch {
		case n.of == phase && (n.value < 1 || n.value > most):
			fault(n.name, "must be from 1 to %d in the %s phase, got %d", most, phase, n.value)
		case n.of != phase && n.value != 0:
			fault(n.name, "belongs to phase: %s", n.of)
		}
	}
	if s.Context < 1 || s.Context > 1<<30 {
		fault("context", "must be from 1 to %d, got %d", 1<<30, s.Context)
	}
	if s.Chunk < 0 || s.Chunk > s.Context {
		fault("chunk", "must be from 0 (all of the prompt) to the context, %d, got %d", s.Context, s.Chunk)
	}
	switch {
	case phase == All:
		fault("", "needs phase: prefill or decode, the one that is in a steady state")
	case pool(d, phase) == nil:
		fault("", "needs deployment.%s or deployment.serve", phase)
	}
}

// pool is the one that a phase runs on.
func pool(d *scenario.Deployment, phase Phase) *scenario.Pool {
	switch {
	case phase == Prefill && d.Prefill != nil:
		return d.Prefill
	case phase != Prefill && d.Decode != nil:
		return d.Decode
	}
	return d.Serve
}

// steadyMetrics are those that a steady state has.
func steadyMetric(name string, phase Phase) bool {
	switch name {
	case "prefill_tokens_per_s_per_chip":
		return phase == Prefill
	case "output_tokens_per_s_per_chip", "tpot_ms_mean", "tpot_ms_p50", "itl_ms_mean", "itl_ms_p50":
		return phase == Decode
	}
	return false
}

// run prices the step. A decode step yields accepted tokens a sequence, so
// TPOT = step / accepted and ITL, the gap between two bursts, is the step.
func (s *Steady) run(sc *scenario.Scenario, phase Phase, o *sim.Options) outcome {
	sc = sc.Clone()
	sc.Defaults()
	in, err := plant.Load(sc, o.Source)
	if err != nil {
		return outcome{err: err}
	}
	p := pool(&sc.Deployment, phase)
	if p.PP > 1 {
		return outcome{err: errors.New("a steady state of pipeline stages is not priced")}
	}
	role, sequences := cost.Decode, s.Sequences
	if phase == Prefill {
		role = cost.Prefill
	}
	stepper, err := in.Stepper(sc, p, role)
	if err != nil {
		return outcome{err: err}
	}
	chunk := s.Chunk
	if chunk == 0 {
		chunk = s.Context
	}
	loads := stepper.Uniform(sequences, s.Prompts, s.Context, chunk)
	step := stepper.Step(loads)
	seconds := step.Time.Seconds()
	ranks := float64(len(loads))
	r := &result.Result{Scenario: sc, Deployment: result.DeploymentInfo{Chips: stepper.Chips()}}
	info := &result.PoolInfo{Instances: 1, ChipsPerInstance: stepper.Chips()}
	causes := &Causes{}
	shares := &causes.Decode
	if phase == Prefill {
		r.Deployment.Prefill = info
		r.Throughput.InputTokensPerS = ranks * float64(s.Prompts*chunk) / seconds
		shares, causes.Request.Prefill = &causes.Prefill, 1
	} else {
		r.Deployment.Decode = info
		accepted := stepper.Config().Accepted
		r.Throughput.OutputTokensPerS = ranks * float64(sequences) * accepted / seconds
		r.Latency.TPOT = same(1e3 * seconds / accepted)
		r.Latency.ITL = same(1e3 * seconds)
		causes.Request.Decode = 1
	}
	for c, t := range step.Causes {
		shares[c] = t.Seconds() / seconds
	}
	out := outcome{result: r, causes: causes, regime: Knee}
	if ranks*float64(max(sequences, s.Prompts)) <= lightRequests {
		out.regime = Light
	}
	m := stepper.Memory()
	if held := m.KVBytes(loads[0].Context, sequences); held > m.Free {
		out.doubt = fmt.Sprintf("the cache of this batch, %.1f GB a rank, is more than the %.1f GB that are free by our count", float64(held)/1e9, float64(m.Free)/1e9)
	}
	return out
}

// same is the distribution of a figure that never varies.
func same(v float64) result.Distribution {
	return result.Distribution{Mean: v, P50: v, P90: v, P95: v, P99: v, Max: v}
}
