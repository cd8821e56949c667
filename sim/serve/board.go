package serve

import "github.com/clustersim/clustersim/sim/des"

// Board is the load of every rank of a pool, as routers see it: prompt tokens
// waiting on prefill ranks, requests on ranks that decode. It answers "where is
// the least" in O(1) and is updated in O(log).
type Board struct {
	ranks     int
	load      []int64
	total     []int64       // by instance
	rank      []*des.Winner // least loaded rank of each instance
	instances *des.Winner   // least loaded instance
}

// NewBoard makes the board of a pool of instances with so many ranks each.
func NewBoard(instances, ranks int) *Board {
	b := &Board{
		ranks: ranks, load: make([]int64, instances*ranks), total: make([]int64, instances),
		rank: make([]*des.Winner, instances), instances: des.NewWinner(instances),
	}
	for i := range b.rank {
		b.rank[i] = des.NewWinner(ranks)
		for r := range ranks {
			b.rank[i].Set(r, 0)
		}
		b.instances.Set(i, 0)
	}
	return b
}

// Add changes the load of a rank.
func (b *Board) Add(instance, rank int, delta int64) {
	i := instance*b.ranks + rank
	b.load[i] += delta
	b.total[instance] += delta
	b.rank[instance].Set(rank, des.Time(b.load[i]))
	b.instances.Set(instance, des.Time(b.Key(instance)))
}

// Key orders instances: what their least loaded rank has, plus the mean of all
// their ranks, because all step together; in units of a rank's load × ranks.
func (b *Board) Key(instance int) int64 {
	_, least := b.rank[instance].Next()
	return int64(least)*int64(b.ranks) + b.total[instance]
}

// Least is the instance with the lowest key.
func (b *Board) Least() int {
	i, _ := b.instances.Next()
	return i
}

// LeastRank is an instance's least loaded rank.
func (b *Board) LeastRank(instance int) int {
	r, _ := b.rank[instance].Next()
	return r
}

// RankKey orders the ranks of all instances in the same way: Key is the lowest of an
// instance.
func (b *Board) RankKey(instance, rank int) int64 {
	return b.load[instance*b.ranks+rank]*int64(b.ranks) + b.total[instance]
}
