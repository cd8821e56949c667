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

// Bound names the phase that is short of capacity, and in it the group of causes
// that takes the most working time. With separate pools that phase is the one whose
// instances idle less; where they are shared, the one with more working time.
func (r *Result) Bound() Bound {
	prefill, decode := &r.Causes.Prefill, &r.Causes.Decode
	phase, shares := metrics.Decode, decode
	shared := r.Deployment.Prefill == nil
	switch {
	case decode.working() == 0 && prefill.working() == 0:
		return Bound{Sentence: "Nothing ran."}
	case decode.working() == 0,
		shared && r.Causes.NS.Prefill.working() > r.Causes.NS.Decode.working(),
		!shared && prefill.working() > decode.working():
		phase, shares = metrics.Prefill, prefill
	}
	b := StepBound(phase, shares.List())
	if shares.Idle > 0.5 {
		b.Sentence = fmt.Sprintf("Instances are idle %s of the time; when they work, %s", percent(shares.Idle),
			strings.ToLower(b.Sentence[:1])+b.Sentence[1:])
	}
	return b
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
