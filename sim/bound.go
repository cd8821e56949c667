package sim

import (
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/metrics"
)

// Bound says what a run's time is spent on most.
type Bound struct {
	Phase    string  // prefill or decode
	Cause    string  // the largest cause, a name of cost.CauseNames
	Fraction float64 // its share of the phase's working time, idle left out
	Group    string  // what a buyer would ask for: memory bandwidth, compute, …
	Share    float64 // the group's share of the same
	Sentence string
}

// causeGroups puts causes into what would have to improve, with a name for the
// cause in a sentence. Idle time is of no group.
var causeGroups = [cost.NumCauses]struct{ group, part string }{
	cost.Compute:       {"compute", "arithmetic"},
	cost.HBMWeights:    {"memory bandwidth", "weights"},
	cost.HBMKV:         {"memory bandwidth", "KV cache"},
	cost.HBMAct:        {"memory bandwidth", "activations"},
	cost.CommBandwidth: {"communication bandwidth", "bytes on links"},
	cost.CommLatency:   {"latency", "communication"},
	cost.Launch:        {"latency", "kernel launches and floors"},
	cost.Host:          {"the host", "scheduling and sampling"},
	cost.Imbalance:     {"imbalance", "waiting for the slowest rank"},
}

// idleTie is how far two pools' idle shares may differ and still count as equally
// short of capacity.
const idleTie = 0.05

// Bound names the phase that is short of capacity, and in it the group of causes
// that takes the most working time.
func (r *Result) Bound() Bound {
	phase, shares := metrics.Decode, &r.Causes.Decode
	switch {
	case r.Causes.Prefill.working() == 0 && shares.working() == 0:
		return Bound{Sentence: "Nothing ran."}
	case r.prefillIsShort():
		phase, shares = metrics.Prefill, &r.Causes.Prefill
	}
	b := StepBound(phase, shares.List())
	if shares.Idle > 0.5 {
		b.Sentence = fmt.Sprintf("Instances are idle %s of the time; when they work, %s", percent(shares.Idle),
			strings.ToLower(b.Sentence[:1])+b.Sentence[1:])
	}
	return b
}

// prefillIsShort compares the phases. Where instances are shared, the one with more
// working time is short. Of separate pools it is the one whose instances idle less;
// where both are about as busy, the one whose latency is nearer its bound.
func (r *Result) prefillIsShort() bool {
	prefill, decode := &r.Causes.Prefill, &r.Causes.Decode
	switch {
	case prefill.working() == 0 || decode.working() == 0:
		return decode.working() == 0
	case r.Deployment.Prefill == nil:
		return r.Causes.NS.Prefill.working() > r.Causes.NS.Decode.working()
	}
	slo := &r.Goodput.SLO
	if ahead := decode.Idle - prefill.Idle; ahead > idleTie || ahead < -idleTie || slo.TTFT == 0 || slo.TPOT == 0 {
		return ahead > 0
	}
	return r.Latency.TTFT.P90/slo.TTFT.Seconds() > r.Latency.TPOT.P90/slo.TPOT.Seconds()
}

// StepBound is the same for one step, or any other split of a phase's time.
func StepBound(phase metrics.Phase, causes [cost.NumCauses]float64) Bound {
	name := metrics.PhaseNames[phase]
	var working float64
	groups := map[string]float64{}
	for c := range cost.Idle {
		working += causes[c]
		groups[causeGroups[c].group] += causes[c]
	}
	if working <= 0 {
		return Bound{Phase: name, Sentence: strings.ToUpper(name[:1]) + name[1:] + " did not run."}
	}
	first := cost.Compute
	for c := range cost.Idle {
		better := groups[causeGroups[c].group] - groups[causeGroups[first].group]
		if better > 0 || better == 0 && causes[c] > causes[first] {
			first = c
		}
	}
	b := Bound{
		Phase: name, Cause: cost.CauseNames[first], Fraction: causes[first] / working,
		Group: causeGroups[first].group, Share: groups[causeGroups[first].group] / working,
	}
	var parts []string
	for c := range cost.Idle {
		if causeGroups[c].group == b.Group && causes[c] >= 0.005*working {
			parts = append(parts, causeGroups[c].part+" "+percent(causes[c]/working))
		}
	}
	b.Sentence = fmt.Sprintf("%s is bound by %s: %s of a step (%s).",
		strings.ToUpper(name[:1])+name[1:], b.Group, percent(b.Share), strings.Join(parts, ", "))
	return b
}

func percent(f float64) string { return fmt.Sprintf("%.0f %%", 100*f) }

func (s *Shares) working() float64 {
	var sum float64
	for c, f := range s.List() {
		if cost.Cause(c) != cost.Idle {
			sum += f
		}
	}
	return sum
}

func (p *PhaseNS) working() int64 {
	return p.Compute + p.HBMWeights + p.HBMKV + p.HBMAct + p.CommBandwidth + p.CommLatency + p.Launch + p.Host + p.Imbalance
}
