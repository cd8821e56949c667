package route

import (
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/sim/spec"
)

// Policy picks the rank of a pool that a request goes to.
type Policy struct {
	Name string
	Doc  string
	pick func(p *picker, number uint64) (instance, rank int)
}

// policies are the routers, the default first.
var policies = [...]Policy{
	{"least-loaded", "the instance with the least prompt tokens waiting (prefill) or requests (decode), and its least loaded rank", leastLoaded},
	{"power-of-two", "the less loaded of two instances drawn at random", powerOfTwo},
	{"round-robin", "instances in turn, then their ranks in turn", roundRobin},
	{"round-robin-instances", "instances in turn, and the least loaded rank of each", roundRobinInstances},
}

// Policies lists the routers, the default first.
func Policies() []Policy { return policies[:] }

// FindPolicy resolves a router's name; the empty name is the default.
func FindPolicy(name string) (Policy, error) {
	names := make([]string, len(policies))
	for i, p := range policies {
		if name == p.Name || name == "" {
			return p, nil
		}
		names[i] = p.Name
	}
	return Policy{}, spec.UnknownName("router policy", name, names)
}

// picker is what a policy decides on.
type picker struct {
	board            *serve.Board
	instances, ranks int
	turn             uint64  // picks so far
	key              des.Key // draws by request number
}

func leastLoaded(p *picker, _ uint64) (instance, rank int) {
	instance = p.board.Least()
	return instance, p.board.LeastRank(instance)
}

func powerOfTwo(p *picker, number uint64) (instance, rank int) {
	a := int(p.key.Uniform(number, 0) * float64(p.instances))
	if p.instances > 1 {
		// the second differs from the first
		b := int(p.key.Uniform(number, 1) * float64(p.instances-1))
		if b >= a {
			b++
		}
		if p.board.Key(b) < p.board.Key(a) {
			a = b
		}
	}
	return a, p.board.LeastRank(a)
}

func roundRobin(p *picker, _ uint64) (instance, rank int) {
	n := p.turn
	p.turn++
	return int(n % uint64(p.instances)), int(n / uint64(p.instances) % uint64(p.ranks))
}

func roundRobinInstances(p *picker, number uint64) (instance, rank int) {
	instance, _ = roundRobin(p, number)
	return instance, p.board.LeastRank(instance)
}
