package policy_test

import (
	"slices"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/serve"
)

// bed is a pool as a router may find it: a board of loads, and caches that hold the
// prompts of some families.
type bed struct {
	board *serve.Board
	naive naiveLoads
	cache map[[2]int][]uint64 // the prompt that a rank has last computed
	view  policy.View
	pick  policy.Pick
}

// naiveLoads is a second implementation of policy.Loads: everything is added up.
type naiveLoads [][]int64

func (b naiveLoads) RankKey(i, r int) int64 {
	total := int64(0)
	for _, l := range b[i] {
		total += l
	}
	return b[i][r]*int64(len(b[i])) + total
}

func (b naiveLoads) Key(i int) int64 { return b.RankKey(i, b.LeastRank(i)) }

func (b naiveLoads) LeastRank(i int) int { return slices.Index(b[i], slices.Min(b[i])) }

func (b naiveLoads) Least() (best int) {
	for i := range b {
		if b.Key(i) < b.Key(best) {
			best = i
		}
	}
	return best
}

const blockTokens = 10

// newBed is an idle pool with a router. Its loads are a board's, or the naive ones.
func newBed(p *policy.Policy, instances, ranks int, setup policy.Setup, naive bool) *bed {
	b := &bed{board: serve.NewBoard(instances, ranks), cache: map[[2]int][]uint64{}, pick: p.New(setup)}
	for range instances {
		b.naive = append(b.naive, make([]int64, ranks))
	}
	b.view = policy.View{Instances: instances, Ranks: ranks, Loads: b.board, Cached: b.cached}
	if naive {
		b.view.Loads = b.naive
	}
	return b
}

func (b *bed) cached(r *policy.Request, instance, rank int) (tokens int64) {
	has := b.cache[[2]int{instance, rank}]
	for k := 0; k < min(len(has), len(r.Prefix)) && has[k] == r.Prefix[k]; k++ {
		tokens += blockTokens
	}
	return min(tokens, r.Prompt-1)
}

func (b *bed) add(instance, rank int, load int64) {
	b.board.Add(instance, rank, load)
	b.naive[instance][rank] += load
}

// take sends a request where the router says: the rank has it as load and its prompt in its cache.
func (b *bed) take(r *policy.Request) (instance, rank int) {
	instance, rank = b.pick(&b.view, r)
	b.view.Turn++
	b.add(instance, rank, r.Load)
	b.cache[[2]int{instance, rank}] = r.Prefix
	return instance, rank
}

func setup(seed uint64) policy.Setup {
	return policy.Setup{Draws: des.NewKey(seed, "router"), Weight: 1, Prefills: true}
}

// prompt is a request of one load whose prompt of six blocks belongs to a family, but for
// the last two.
func prompt(number, family uint64) *policy.Request {
	r := &policy.Request{Number: number, Session: family, Prompt: 6 * blockTokens, Load: 1}
	for k := range uint64(6) {
		id := family*100 + k
		if k >= 4 {
			id = number*1000 + k
		}
		r.Prefix = append(r.Prefix, id)
	}
	return r
}
