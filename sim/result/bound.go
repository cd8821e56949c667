package result

import (
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/sim/cause"
)

// The phases by their names in results.
const prefill, decode = "prefill", "decode"

// Bound says what limits a run's capacity, or what its time is spent on most.
type Bound struct {
	Pool     string  // the pool, or the phase where pools are shared
	Cause    string  // the largest cause of the group there, a name of cause.Names
	Fraction float64 // its share of the pool's working time, idle left out
	Group    string  // what a buyer would ask for: memory bandwidth, compute, …
	Share    float64 // the group's share of the same
	Words    string  // in short: prefill: TTFT; compute
	Sentence string
}

// causeGroups puts causes into what would have to improve, with a name for the
// cause in a sentence. Idle time is of no group.
var causeGroups = [cause.Count]struct{ group, part string }{
	cause.Compute:       {"compute", "arithmetic"},
	cause.HBMWeights:    {"memory bandwidth", "weights"},
	cause.HBMKV:         {"memory bandwidth", "KV cache"},
	cause.HBMAct:        {"memory bandwidth", "activations"},
	cause.CommBandwidth: {"communication bandwidth", "bytes on links"},
	cause.CommLatency:   {"latency", "communication"},
	cause.Launch:        {"latency", "kernel launches and floors"},
	cause.Host:          {"the host", "scheduling and sampling"},
	cause.Imbalance:     {"imbalance", "waiting for the slowest rank"},
}

// idleTie is how far two pools' idle shares may differ and still count as equally
// short of capacity.
const idleTie = 0.05

// Bound names the pool that limits capacity, and in it the resource that is worth most,
// by the plan's estimate. Without one it is the phase that is short, and the group of
// causes that takes the most working time there.
func (r *Result) Bound() Bound {
	if b := r.Bottleneck; b != nil {
		return b.bound(r)
	}
	phase, shares := decode, &r.Causes.Decode
	switch {
	case r.Causes.Prefill.working() == 0 && shares.working() == 0:
		return Bound{Sentence: "Nothing ran."}
	case r.prefillIsShort():
		phase, shares = prefill, &r.Causes.Prefill
	}
	b := boundOf(phase, shares)
	b.Sentence = whenIdle(shares, b.Sentence)
	return b
}

// whenIdle says first that instances have little to do.
func whenIdle(s *Shares, sentence string) string {
	if idle := s[cause.Idle]; idle > 0.5 {
		return fmt.Sprintf("Instances are idle %s of the time; when they work, %s", percent(idle), strings.ToLower(sentence[:1])+sentence[1:])
	}
	return sentence
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
		return r.Causes.NS.Prefill.Working() > r.Causes.NS.Decode.Working()
	}
	promised := &r.Goodput.SLO
	if ahead := decode[cause.Idle] - prefill[cause.Idle]; ahead > idleTie || ahead < -idleTie || promised.TTFT.Limit == 0 || promised.TPOT == 0 {
		return ahead > 0
	}
	return r.Latency.TTFT.P90/promised.TTFT.Limit.Seconds() > r.Latency.TPOT.P90/promised.TPOT.Seconds()
}

// boundOf is what a phase's time is spent on most, by its shares or any other split.
func boundOf(name string, causes *Shares) Bound {
	working := causes.working()
	if working <= 0 {
		return Bound{Pool: name, Sentence: title(name) + " did not run."}
	}
	groups := map[string]float64{}
	for c := range cause.Idle {
		groups[causeGroups[c].group] += causes[c]
	}
	first := cause.Compute
	for c := range cause.Idle {
		better := groups[causeGroups[c].group] - groups[causeGroups[first].group]
		if better > 0 || better == 0 && causes[c] > causes[first] {
			first = c
		}
	}
	b := boundBy(name, causes, causeGroups[first].group)
	b.Words = name + ": " + b.Group
	b.Sentence = fmt.Sprintf("%s is bound by %s: %s.", title(name), b.Group, b.taken(causes))
	return b
}

// boundBy is a group of causes in the time of a pool or phase.
func boundBy(name string, causes *Shares, group string) Bound {
	b := Bound{Pool: name, Group: group}
	working := causes.working()
	if working <= 0 {
		return b
	}
	for c := range cause.Idle {
		if causeGroups[c].group != group {
			continue
		}
		share := causes[c] / working
		b.Share += share
		if share > b.Fraction || b.Cause == "" {
			b.Cause, b.Fraction = cause.Names[c], share
		}
	}
	return b
}

// taken says what the group takes of a step, part by part.
func (b *Bound) taken(causes *Shares) string {
	working := causes.working()
	var parts []string
	for c := range cause.Idle {
		if causeGroups[c].group == b.Group && causes[c] >= 0.005*working && working > 0 {
			parts = append(parts, causeGroups[c].part+" "+percent(causes[c]/working))
		}
	}
	return fmt.Sprintf("%s of a step (%s)", percent(b.Share), strings.Join(parts, ", "))
}

func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

func percent(f float64) string { return fmt.Sprintf("%.0f %%", 100*f) }

func (s *Shares) working() float64 {
	var sum float64
	for c, f := range s {
		if cause.Cause(c) != cause.Idle {
			sum += f
		}
	}
	return sum
}

// Working is the time in steps, in ns.
func (p *PhaseNS) Working() int64 {
	var sum int64
	for c, ns := range p.Causes {
		if cause.Cause(c) != cause.Idle {
			sum += ns
		}
	}
	return sum
}
