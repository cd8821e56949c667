package cost

import (
	"testing"

	"github.com/clustersim/clustersim/sim/des"
)

func TestSkewOfChance(t *testing.T) {
	// Simulated heaviest of 320 ranks, top-8: 4 tokens a rank 1.60, 32 1.19, 128 1.09.
	s := newSkew(Routing{}, 320, 0, 320, 8)
	for tokens, want := range map[float64]float64{4: 1.60, 32: 1.19, 128: 1.09} {
		near(t, "heaviest of 320", s.factor(8*tokens), want, 0.06)
	}
	if one := newSkew(Routing{Kind: PowerLaw, Alpha: 1.01}, 256, 0, 1, 8); one.factor(100) != 1 {
		t.Error("one rank is its own mean")
	}
}

func TestPlacement(t *testing.T) {
	// Four experts on two ranks in order: loads 4+3 against 2+1 is 1.4 of the mean.
	if h, near := top(place([]float64{4, 3, 2, 1}, 0, 2)); h != 1.4 || near != 1 {
		t.Errorf("got %g, %g", h, near)
	}
	// Two more slots go to the heaviest a copy: 4 → 2+2, then 3 → 1.5+1.5; packed
	// heaviest first, three a rank: 2+2+1 and 2+1.5+1.5.
	h, near2 := top(place([]float64{4, 3, 2, 1}, 2, 2))
	if h != 1 || near2 != 2 {
		t.Errorf("packed: got %g, %g", h, near2)
	}
	if got := replicate([]float64{4, 3, 2, 1}, 2); len(got) != 6 || got[0] != 2 || got[2] != 1.5 {
		t.Errorf("slots %v", got)
	}
	if h, _ := top(place([]float64{0, 0}, 0, 2)); h != 1 {
		t.Errorf("no load at all: %g", h)
	}
	// Four ranks of 4, 3, 2, 1 in two domains: 7 against 3, 1.4 of the mean where a rank has 1.6.
	if h, _ := top(grouped(place([]float64{4, 3, 2, 1}, 0, 4), 2)); h != 1.4 {
		t.Errorf("domains: %g", h)
	}
}

// Uneven routing loads the wires to the heaviest rank as it loads the rank, and
// less so those to its node; copies of the heavy experts take both back. Published
// size, prefill on EP32 with 4K prompts: SGLang on 32 H100 7,417 tokens/s a GPU with
// perfect balance, 6,288 with the traffic's own (1.18); CloudMatrix384 6,688 and 5,655 (1.18).
func TestUnevenRoutingCostsWhatIsPublished(t *testing.T) {
	seconds := func(topology string, routing Routing, redundant int) float64 {
		s := newStepper(t, "v3", topology, Config{
			Role: Prefill, MaxTokens: 16384,
			Layout: Layout{DP: 32, EP: 32, Redundant: redundant, Overlap: TwoBatch, Routing: routing},
		})
		return s.Step(everywhere(s, prefill(s, 4, 4096, 0))).Time.Seconds()
	}
	uneven := Routing{Kind: PowerLaw, Alpha: 1.01}
	for _, topology := range []string{"hgx-h100:32", "cloudmatrix384"} {
		even := seconds(topology, Routing{}, 0)
		near(t, topology+", uneven over even", seconds(topology, uneven, 0)/even, 1.18, 0.08)
		if r := seconds(topology, uneven, 32) / even; r > 1.06 {
			t.Errorf("%s: with 32 copies of the heavy experts still %.3f of the even time", topology, r)
		}
	}
	s := newStepper(t, "v3", "hgx-h100:32", Config{Layout: Layout{DP: 32, EP: 32, Routing: uneven}})
	if k := s.main.ffns[1].moe.skew; !(k.heaviest > k.domain && k.domain > 1) {
		t.Errorf("heaviest rank %g, heaviest node %g", k.heaviest, k.domain)
	}
}

// Experts touched when their loads differ, against a simulation of independent
// picks: fewer than under uniform routing while a batch leaves some untouched, and all
// of them in the end. With equal loads it is the closed form.
func TestUnevenRoutingTouchesFewer(t *testing.T) {
	load := func(text string) *experts {
		r, err := ParseRouting(text)
		if err != nil {
			t.Fatal(err)
		}
		s := newStepper(t, "gpt-oss-120b", "hgx-h100", Config{Layout: Layout{TP: 1, EP: 1, Routing: r}})
		return s.main.ffns[0].moe
	}
	even, uneven := load("uniform"), load("power-law(1.01)")
	key := des.NewKey(7, "test")
	for _, tokens := range []float64{1, 4, 16, 64, 256} {
		simulated := 0.0
		rounds := int(20_000 / tokens)
		for round := range rounds {
			hit := map[int]bool{}
			for token := range int(tokens) {
				for i, p := range uneven.odds {
					if key.Uniform(uint64(round*1000+token), uint64(i)) < p {
						hit[i] = true
					}
				}
			}
			simulated += float64(len(hit)) / float64(rounds)
		}
		_, flat := even.share(tokens, 1)
		_, got := uneven.share(tokens, 1)
		near(t, "touched", got, simulated, 0.02)
		if got > flat*(1+1e-9) {
			t.Errorf("%g tokens touch %g experts, %g when routing is uniform", tokens, got, flat)
		}
	}
	// The size: 16 tokens of four experts touch 128·(1 − (31/32)^16) = 51 under uniform
	// routing; with loads from 0.1 to 1 of the heaviest, 47.
	if _, got := uneven.share(16, 1); got < 46 || got > 48 {
		t.Errorf("16 tokens touch %g of 128 experts", got)
	}
	same := Routing{Kind: Histogram, Histogram: []float64{3, 3, 3, 3}}
	for _, p := range same.odds(4, 0, 2) {
		near(t, "equal loads", p, 0.5, 1e-12)
	}
}
