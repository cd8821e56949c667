package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/route/policy"
)

// sizes of pools, and how the tests below walk through them.
var sizes = [][2]int{{1, 1}, {1, 7}, {2, 1}, {3, 4}, {16, 8}, {5, 32}}

// What every policy in the table must do: picks that exist, the same with the same
// seed whatever the order of maps and whoever adds the loads up, a view left as it was,
// the same answer when it is asked again, and nothing allocated. Only one that balances
// must give work to every rank when requests come in and go again.
func TestPoliciesConform(t *testing.T) {
	for _, p := range policy.All() {
		if found, err := policy.Find(p.Name); err != nil || found != p || p.Doc == "" {
			t.Errorf("%s: found %v, %v; doc %q", p.Name, found, err, p.Doc)
		}
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%dx%d", p.Name, size[0], size[1]), func(t *testing.T) {
				picked := conform(t, p, size[0], size[1])
				if !p.Balances {
					return
				}
				for k, n := range picked {
					if n < 20 || n > 180 { // 60 in the mean
						t.Errorf("rank %d of instance %d was picked %d times, 60 in the mean", k%size[1], k/size[1], n)
					}
				}
			})
		}
	}
}

// conform walks two equal pools through the same requests and counts the picks by rank.
func conform(t *testing.T, p *policy.Policy, instances, ranks int) []int {
	a, b := newBed(p, instances, ranks, setup(9), false), newBed(p, instances, ranks, setup(9), true)
	picked := make([]int, instances*ranks)
	var held [][2]int
	random := rand.New(rand.NewPCG(1, 2))
	for n := range uint64(60 * instances * ranks) {
		r := prompt(n, uint64(random.IntN(9)))
		was, asked := a.view, *r
		asked.Prefix = slices.Clone(r.Prefix)
		i, k := a.pick(&a.view, r)
		if a.view.Turn != was.Turn || a.view.Instances != was.Instances || a.view.Ranks != was.Ranks || a.view.Loads != was.Loads {
			t.Fatalf("pick %d changes the view from %+v to %+v", n, was, a.view)
		}
		if r.Number != asked.Number || r.Session != asked.Session || r.Prompt != asked.Prompt || r.Load != asked.Load || !slices.Equal(r.Prefix, asked.Prefix) {
			t.Fatalf("pick %d changes the request from %+v to %+v", n, asked, r)
		}
		if j, s := a.take(r); i != j || k != s {
			t.Fatalf("pick %d is %d, %d, and %d, %d when asked again", n, i, k, j, s)
		}
		if j, s := b.take(r); i != j || k != s {
			t.Fatalf("pick %d is %d, %d and %d, %d with one seed", n, i, k, j, s)
		}
		if i < 0 || i >= instances || k < 0 || k >= ranks {
			t.Fatalf("pick %d is %d, %d", n, i, k)
		}
		picked[i*ranks+k]++
		held = append(held, [2]int{i, k})
		if len(held) > 3*instances*ranks {
			at := random.IntN(len(held))
			a.add(held[at][0], held[at][1], -1)
			b.add(held[at][0], held[at][1], -1)
			held[at] = held[len(held)-1]
			held = held[:len(held)-1]
		}
	}
	r := prompt(1<<40, 3)
	if n := testing.AllocsPerRun(100, func() { a.pick(&a.view, r) }); n != 0 {
		t.Errorf("%v allocations a pick", n)
	}
	return picked
}

// Policies that go by what prompts have in common have nothing to go by where ranks keep no
// prefixes and only decode: they are least-loaded there, request by request.
func TestDecodePoolsAreBalanced(t *testing.T) {
	leastLoaded, _ := policy.Find("least-loaded")
	for _, p := range policy.All() {
		if p.Balances {
			continue
		}
		s := setup(1)
		s.Prefills = false
		a, b := newBed(p, 3, 4, s, false), newBed(leastLoaded, 3, 4, s, false)
		a.view.Cached, b.view.Cached = nil, nil
		for n := range uint64(500) {
			r := prompt(n, n%5)
			r.Load = 1 + int64(n*7%11)
			i, k := a.take(r)
			if j, s := b.take(r); i != j || k != s {
				t.Fatalf("%s: request %d goes to %d, %d, least-loaded to %d, %d", p.Name, n, i, k, j, s)
			}
		}
	}
}

func TestFind(t *testing.T) {
	if _, err := policy.Find("least-loadd"); err == nil || !strings.Contains(err.Error(), `did you mean "least-loaded"`) {
		t.Errorf("a misspelt policy: %v", err)
	}
	if p, err := policy.Find(""); err != nil || p.Name != "least-loaded" {
		t.Errorf("the default is %q, %v", p.Name, err)
	}
}

func TestWeights(t *testing.T) {
	for _, p := range policy.All() {
		for _, x := range []struct {
			weight float64
			ok     bool
		}{{0, true}, {1, true}, {policy.MaxWeight, true}, {-1e-9, false}, {2 * policy.MaxWeight, false}} {
			err := p.CheckWeight(x.weight)
			if (err == nil) != (p.Weighs && x.ok) {
				t.Errorf("%s with weight %v: %v", p.Name, x.weight, err)
			}
			if !p.Weighs && !strings.Contains(err.Error(), "prefix-aware") {
				t.Errorf("%s: %v names no policy that has a weight", p.Name, err)
			}
		}
		if p.Weighs && p.CheckWeight(p.Weight) != nil || !p.Weighs && p.Weight != 0 {
			t.Errorf("%s: its own weight is %v", p.Name, p.Weight)
		}
	}
}
