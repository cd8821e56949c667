package policy

import (
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/spec"
)

// Policy is a way to pick ranks.
type Policy struct {
	Name string
	Doc  string // what it picks, in a line
	Long string // formula, units and source, where a line does not say them
	// Balances says that requests are spread evenly over all ranks, whatever they are.
	Balances bool
	// Weighs says that the policy has a weight, from 0 to MaxWeight; Weight is the one it has when
	// none is given.
	Weighs bool
	Weight float64
	// New makes a router for a pool.
	New func(Setup) Pick
}

// policies are all there are, the default first.
var policies = [...]*Policy{
	&leastLoaded,
	&powerOfTwo,
	&roundRobin,
	&roundRobinInstances,
	&prefixAware,
	&sessionSticky,
}

// All lists the policies, the default first.
func All() []*Policy { return policies[:] }

// Names are those of all policies, the default first.
func Names() []string {
	names := make([]string, len(policies))
	for i, p := range policies {
		names[i] = p.Name
	}
	return names
}

// Find resolves a policy's name; the empty name is the default.
func Find(name string) (*Policy, error) {
	if name == "" {
		return policies[0], nil
	}
	for _, p := range policies {
		if strings.EqualFold(name, p.Name) {
			return p, nil
		}
	}
	return nil, spec.UnknownName("router policy", name, Names())
}

// MaxWeight bounds weights: with it a cached token counts as much as all load there can be.
const MaxWeight = 1e9

// CheckWeight reports what is wrong with a weight that was given for the policy.
func (p *Policy) CheckWeight(weight float64) error {
	if !p.Weighs {
		return fmt.Errorf("%s has no weight; leave it out, or choose a policy that has one: %s", p.Name, weighing())
	}
	if !(weight >= 0 && weight <= MaxWeight) {
		return fmt.Errorf("must be from 0 to %g, got %v", MaxWeight, weight)
	}
	return nil
}

// weighing names the policies that have a weight.
func weighing() (names string) {
	for _, p := range policies {
		if p.Weighs {
			if names != "" {
				names += ", "
			}
			names += p.Name
		}
	}
	return names
}

// Setup is what a router is made for: one pool of a run.
type Setup struct {
	Draws    des.Key // of random numbers
	Weight   float64 // of a policy that has one
	Prefills bool    // the pool computes prompts, so that what its ranks have cached is worth something
}

// Pick picks a rank of the pool for a request.
type Pick func(*View, *Request) (instance, rank int)

// Request is what a router knows of a request.
type Request struct {
	Number  uint64   // in order of arrival; one that was decoding at the start has a number above 2^63
	Session uint64   // its conversation, 0 when unknown
	Prompt  int64    // tokens to compute; after a pre-emption the answer so far is among them
	Prefix  []uint64 // ids of the prompt's leading blocks
	Load    int64    // by which it raises a rank's load: Prompt in a prefill pool, 1 elsewhere
}

// View is a pool as a router sees it while it picks, to be looked at only.
type View struct {
	Instances, Ranks int    // of the pool, and of each instance
	Turn             uint64 // taken so far, one whenever a request wants a place in the pool
	Loads            Loads
	// Cached is how many tokens of the request's prompt a rank would not have to compute. It is nil where
	// ranks keep no prefixes.
	Cached func(r *Request, instance, rank int) int64
}

// Loads answers where the load is least. Keys order instances and ranks: a rank's is its load plus the
// mean load of its instance, because all ranks of an instance step together, times Ranks to be whole.
type Loads interface {
	Least() (instance int)            // with the lowest key, the first of equals
	LeastRank(instance int) int       // of an instance, the first of equals
	Key(instance int) int64           // of its least loaded rank
	RankKey(instance, rank int) int64 // of any rank
}
