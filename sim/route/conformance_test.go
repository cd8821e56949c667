package route

import (
	"math/rand/v2"
	"testing"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/serve"
)

func newPicker(instances, ranks int, seed uint64) *picker {
	return &picker{board: serve.NewBoard(instances, ranks), instances: instances, ranks: ranks, key: des.NewKey(seed, "router")}
}

// sizes of pools, and how the tests below walk through them.
var sizes = [][2]int{{1, 1}, {1, 7}, {2, 1}, {3, 4}, {16, 8}, {5, 128}}

// What every policy in the table must do: picks that exist, the same with the same
// seed, and work for every rank when requests come in and go again.
func TestPoliciesConform(t *testing.T) {
	for _, p := range Policies() {
		if found, err := FindPolicy(p.Name); err != nil || found.Name != p.Name || p.Doc == "" {
			t.Errorf("%s: found %q, %v; doc %q", p.Name, found.Name, err, p.Doc)
		}
		for _, size := range sizes {
			instances, ranks := size[0], size[1]
			a, b := newPicker(instances, ranks, 9), newPicker(instances, ranks, 9)
			picked := make([]int, instances*ranks)
			type place struct{ instance, rank int }
			var held []place
			random := rand.New(rand.NewPCG(1, 2))
			for n := range 60 * instances * ranks {
				i, r := p.pick(a, uint64(n))
				if j, s := p.pick(b, uint64(n)); i != j || r != s {
					t.Fatalf("%s %v: pick %d is %d, %d and %d, %d with one seed", p.Name, size, n, i, r, j, s)
				}
				if i < 0 || i >= instances || r < 0 || r >= ranks {
					t.Fatalf("%s %v: pick %d is %d, %d", p.Name, size, n, i, r)
				}
				picked[i*ranks+r]++
				held = append(held, place{i, r})
				a.board.Add(i, r, 1)
				b.board.Add(i, r, 1)
				if len(held) > 3*instances*ranks {
					k := random.IntN(len(held))
					x := held[k]
					held[k] = held[len(held)-1]
					held = held[:len(held)-1]
					a.board.Add(x.instance, x.rank, -1)
					b.board.Add(x.instance, x.rank, -1)
				}
			}
			for k, n := range picked {
				if n < 20 || n > 180 { // 60 in the mean
					t.Errorf("%s %v: rank %d of instance %d was picked %d times, 60 in the mean", p.Name, size, k%ranks, k/ranks, n)
				}
			}
		}
	}
	if _, err := FindPolicy("least-loadd"); err == nil {
		t.Error("a misspelt policy was found")
	}
	if p, err := FindPolicy(""); err != nil || p.Name != policies[0].Name {
		t.Errorf("the default is %q, %v", p.Name, err)
	}
}

// board is a brute-force board.
type slowBoard [][]int64

func (b slowBoard) key(i int) int64 {
	least, total := b[i][0], int64(0)
	for _, l := range b[i] {
		least, total = min(least, l), total+l
	}
	return least*int64(len(b[i])) + total
}

func (b slowBoard) leastRank(i int) (best int) {
	for r, l := range b[i] {
		if l < b[i][best] {
			best = r
		}
	}
	return best
}

// Least-loaded picks the least of all, power-of-two the lesser of the two it drew,
// whatever the loads.
func TestPoliciesPickTheLeast(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, size := range sizes {
		instances, ranks := size[0], size[1]
		p := newPicker(instances, ranks, 3)
		slow := make(slowBoard, instances)
		for i := range slow {
			slow[i] = make([]int64, ranks)
		}
		lower := 0
		for n := range 4000 {
			i, r := random.IntN(instances), random.IntN(ranks)
			load := random.Int64N(1000)
			p.board.Add(i, r, load-slow[i][r])
			slow[i][r] = load

			best := 0
			for k := range slow {
				if slow.key(k) < slow.key(best) {
					best = k
				}
			}
			if i, r := leastLoaded(p, uint64(n)); i != best || r != slow.leastRank(best) {
				t.Fatalf("%v: least-loaded picks %d, %d, the least is %d, %d", size, i, r, best, slow.leastRank(best))
			}
			i, r = powerOfTwo(p, uint64(n))
			if r != slow.leastRank(i) {
				t.Fatalf("%v: power-of-two picks rank %d, the least of instance %d is %d", size, r, i, slow.leastRank(i))
			}
			for k := range slow {
				if slow.key(k) < slow.key(i) {
					lower++
				}
			}
		}
		// The lesser of two drawn of m has (m−2)/3 below it in the mean.
		if mean, want := float64(lower)/4000, max(0, float64(instances-2)/3); mean < 0.85*want || mean > 1.15*want {
			t.Errorf("%v: %.2f instances below power-of-two's pick, want %.2f", size, mean, want)
		}
	}
}

// Both lists of arrivals in order: an open loop's, and the heap of clients.
func TestClientsComeInOrder(t *testing.T) {
	var a arrivals
	random := rand.New(rand.NewPCG(7, 8))
	pending := map[des.Time]int{}
	for n := range 5000 {
		if len(a.due) == 0 || random.IntN(2) == 0 && n < 4000 {
			at := des.Time(random.IntN(300))
			a.push(at)
			pending[at]++
			continue
		}
		least := des.Never
		for at := range pending {
			least = min(least, at)
		}
		if got := a.pop(); got != least {
			t.Fatalf("client at %d, the first is at %d", got, least)
		}
		if pending[least]--; pending[least] == 0 {
			delete(pending, least)
		}
	}
}
