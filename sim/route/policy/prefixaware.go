package policy

var prefixAware = Policy{
	Name: "prefix-aware",
	Doc:  "the rank with the least load once the request is there, less weight times what it has cached of the prompt",
	Long: `The cost of a rank is its load with the request on it plus the mean load of its instance's ranks
with it. The request counts in the unit of loads (its prompt tokens in a prefill pool, 1 elsewhere),
less weight times the cached share of its prompt: with weight 1 a cached token is one token less
in a prefill pool, and a prompt that is cached whole is one request less elsewhere. The lowest
cost wins; of equals the rank that least-loaded would pick, then the first. With weight 0 it is
least-loaded.

The form is that of Dynamo's KV router: prefill work, less a credit for cached blocks, plus decode
load (NVIDIA Dynamo, Routing Concepts), where the credit is 1 unless told otherwise.

A pick looks at the load of every rank, and into the caches of those that would win if they had all
of the prompt: O(ranks + blocks found there).`,
	Weighs: true,
	Weight: 1,
	New: func(s Setup) Pick {
		return func(v *View, r *Request) (instance, rank int) {
			return cheapest(v, r, s.Weight)
		}
	},
}

// cheapest is the rank with the lowest cost. Costs are in the unit of keys and leave out the request's own load, which is the
// same everywhere. Products are rounded before they are subtracted, so that a cost is the same number on every machine.
func cheapest(v *View, r *Request, weight float64) (instance, rank int) {
	instance, rank = least(v, r)
	if v.Cached == nil || len(r.Prefix) == 0 {
		return instance, rank
	}
	token := weight * float64(r.Load) * float64(v.Ranks+1) / float64(r.Prompt) // what a cached one is worth
	most := float64(token * float64(r.Prompt))
	cost := func(i, k int) float64 {
		return float64(v.Loads.RankKey(i, k)) - float64(token*float64(v.Cached(r, i, k)))
	}
	lowest := cost(instance, rank)
	for i := range v.Instances {
		for k := range v.Ranks {
			if float64(v.Loads.RankKey(i, k))-most >= lowest {
				continue // even if all of the prompt were cached
			}
			if c := cost(i, k); c < lowest {
				instance, rank, lowest = i, k, c
			}
		}
	}
	return instance, rank
}
