package result

import (
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/sim/cause"
)

// Resource is what a buyer would ask for more of, and the causes of time that it stands
// for; memory's capacity stands for none.
type Resource struct {
	Key    string // in JSON
	Name   string // in words, the group of its causes
	Causes []cause.Cause
}

// MemoryCapacity is the key of the resource that holds the KV cache.
const MemoryCapacity = "memory_capacity"

// Resources are all there are: the groups of causes, and room for the KV cache.
var Resources = []Resource{
	{"compute", "compute", []cause.Cause{cause.Compute}},
	{"memory_bandwidth", "memory bandwidth", []cause.Cause{cause.HBMWeights, cause.HBMKV, cause.HBMAct}},
	{"communication_bandwidth", "communication bandwidth", []cause.Cause{cause.CommBandwidth}},
	{"latency", "latency", []cause.Cause{cause.CommLatency, cause.Launch}},
	{"host", "the host", []cause.Cause{cause.Host}},
	{"imbalance", "imbalance", []cause.Cause{cause.Imbalance}},
	{MemoryCapacity, "memory capacity", nil},
}

// Bottleneck is what limits the capacity of a deployment, by the estimate of a plan: the
// pool that sustains least within the SLO, and what a tenth more of each resource would
// be worth to it.
type Bottleneck struct {
	Pool   string `json:"pool"`
	Limit  string `json:"limit"`            // what keeps its rate from being higher: TTFT, TPOT, KV cache, …
	Misses bool   `json:"misses,omitempty"` // the SLO, even when almost empty: gains are of the latency then
	// Gains are by what share its rate within the SLO rises with a tenth more of a
	// resource, by its key, or with latencies as much shorter.
	Gains map[string]float64 `json:"gains"`
	// Capacities are what each pool by itself sustains, in requests a second.
	Capacities map[string]float64 `json:"capacity_requests_per_s"`
	Sentence   string             `json:"sentence,omitempty"`
}

// worth is the least gain that is spoken of.
const worth = 0.005

// Most is the resource that is worth most, and how much; one without a name where none is
// worth anything.
func (b *Bottleneck) Most() (resource Resource, gain float64) {
	for _, r := range Resources {
		if g := b.Gains[r.Key]; g > gain && g >= worth {
			resource, gain = r, g
		}
	}
	return resource, gain
}

// Words are the bottleneck in short: prefill: TTFT; compute.
func (b *Bottleneck) Words() string {
	words := b.Limit
	if resource, _ := b.Most(); resource.Name != "" {
		words += "; " + resource.Name
	}
	if b.Pool != "serve" {
		words = b.Pool + ": " + words
	}
	return words
}

// Of is the bottleneck with its sentence about a run.
func (b *Bottleneck) Of(r *Result) *Bottleneck {
	if b == nil {
		return nil
	}
	out := *b
	out.Sentence = b.bound(r).Sentence
	return &out
}

func (b *Bottleneck) bound(r *Result) Bound {
	shares := r.sharesOf(b.Pool)
	resource, gain := b.Most()
	out := boundBy(b.Pool, &shares, resource.Name)
	out.Words = b.Words()
	var s strings.Builder
	switch {
	case b.Misses && b.Pool == "serve":
		fmt.Fprintf(&s, "The SLO is missed by %s even when almost empty", b.Limit)
	case b.Misses:
		fmt.Fprintf(&s, "%s misses the SLO by its %s even when almost empty", title(b.Pool), b.Limit)
	case b.Pool == "serve":
		fmt.Fprintf(&s, "Capacity is limited by %s, at an estimated %s", b.Limit, b.rates())
	default:
		fmt.Fprintf(&s, "%s limits capacity, by its %s, at an estimated %s", title(b.Pool), b.Limit, b.rates())
	}
	switch {
	case resource.Name == "":
		s.WriteString("; a tenth more of no resource alone would change that.")
	case out.Share == 0:
		fmt.Fprintf(&s, ". It is bound by %s: %s.", resource.Name, b.gives(gain))
	default:
		fmt.Fprintf(&s, ". It is bound by %s, %s: %s.", resource.Name, out.taken(&shares), b.gives(gain))
	}
	s.WriteString(b.larger(&shares, &out))
	out.Sentence = whenIdle(&shares, s.String())
	return out
}

// gives says what a tenth more of the resource is worth.
func (b *Bottleneck) gives(gain float64) string {
	if b.Misses {
		return fmt.Sprintf("10 %% more of it would bring it %.1f %% nearer", 100*gain)
	}
	return fmt.Sprintf("10 %% more of it gives %s more requests/s", more(gain))
}

// more is a gain in words: where the SLO is nearly missed, a little more of a resource may
// make many times the capacity, of which no digit is to be believed.
func more(gain float64) string {
	if gain > 1 {
		return "over 100 %"
	}
	return fmt.Sprintf("%.1f %%", 100*gain)
}

// rates are the pools' own capacities, the one that limits first.
func (b *Bottleneck) rates() string {
	text := fmt.Sprintf("%.4g requests/s", b.Capacities[b.Pool])
	for _, name := range []string{prefill, decode} {
		if rate, there := b.Capacities[name]; there && name != b.Pool {
			text += fmt.Sprintf(" (%s %.4g)", name, rate)
		}
	}
	return text
}

// larger says so where another group takes more of a step than the one that is worth most.
func (b *Bottleneck) larger(shares *Shares, bound *Bound) string {
	largest := boundOf(b.Pool, shares)
	if bound.Group == "" || bound.Share == 0 || largest.Group == "" || largest.Share <= bound.Share {
		return ""
	}
	gain := 0.0
	for _, r := range Resources {
		if r.Name == largest.Group {
			gain = b.Gains[r.Key]
		}
	}
	return fmt.Sprintf(" %s takes more of a step, %s, and 10 %% more of it gives %s.", title(largest.Group), percent(largest.Share), more(gain))
}

// sharesOf are the causes of a pool's time: a phase's, or of both where a pool serves.
func (r *Result) sharesOf(pool string) Shares {
	switch pool {
	case prefill:
		return r.Causes.Prefill
	case decode:
		return r.Causes.Decode
	}
	var s Shares
	sum := 0.0
	for c := range s {
		s[c] = float64(r.Causes.NS.Prefill.Causes[c] + r.Causes.NS.Decode.Causes[c])
		sum += s[c]
	}
	for c := range s {
		if sum > 0 {
			s[c] /= sum
		}
	}
	return s
}
