package route

import (
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/serve"
)

// pool is a pool's instances with their place among the entities, and its router.
type pool struct {
	Pool
	first     int // entity of the first instance
	instances []*serve.Instance
	kvBytes   int64

	pick policy.Pick
	view policy.View    // what the router looks at
	asks policy.Request // the last request that it was asked for
}

// open gives a pool its router and the view of its instances.
func (p *pool) open(board *serve.Board, cfg *Config) {
	p.pick = cfg.Policy.New(policy.Setup{
		Draws: des.NewKey(cfg.Seed, "router "+p.Name), Weight: cfg.Weight, Prefills: p.Spec.Prefills(),
	})
	p.view = policy.View{Instances: p.Instances, Ranks: p.Spec.Ranks, Loads: board}
	if p.Spec.KeepsPrefixes() {
		p.view.Cached = func(r *policy.Request, instance, rank int) int64 {
			return p.instances[instance].Cached(rank, r.Prefix, r.Prompt)
		}
	}
}

// reserve asks the router for a rank, which takes a turn, and gives the request a place
// and cache there. Where that rank has no room the request asks again later, one turn on.
func (p *pool) reserve(h int32, r *serve.Request) bool {
	instance, rank := p.rankFor(r)
	p.view.Turn++
	return p.instances[instance].Reserve(h, rank, p.Spec.Memory.SequenceBytes(int64(r.Target)))
}

// rankFor asks the router where a request should go in this turn.
func (p *pool) rankFor(r *serve.Request) (instance, rank int) {
	p.asks = policy.Request{
		Number: r.Number, Session: r.Session, Prompt: int64(r.Target), Prefix: r.Prefix, Load: p.Spec.QueueLoad(r),
	}
	return p.pick(&p.view, &p.asks)
}
