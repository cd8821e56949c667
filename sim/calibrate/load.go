package calibrate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/des"
)

// heaviest is the load of the rank that a row timed.
type heaviest struct {
	pairs, touched float64
	skewed         bool
	part           string
}

type skewKey struct{ tokens, topk, count, ep, alpha float64 }

// heaviest is the load of the timed rank: a rank's even share where loads are
// balanced or uniform, the heaviest one's where they follow a power law.
func (r *Reader) heaviest(e *experts) (heaviest, string) {
	pairs, own := e.tokens*e.topk/e.ep, e.count/e.ep
	switch {
	case e.spread == "balanced":
		return heaviest{pairs: pairs, touched: min(own, pairs)}, ""
	case e.spread == "uniform":
		return heaviest{pairs: pairs, touched: touched(own, pairs), part: "uniform"}, ""
	}
	text, ok := strings.CutPrefix(e.spread, "power_law_")
	alpha, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil || !(alpha > 0 && alpha < 5) || e.count > 1<<14 || e.ep > e.count {
		return heaviest{}, fmt.Sprintf("experts' loads %q: no rule is known for them", e.spread)
	}
	key := skewKey{e.tokens, e.topk, e.count, e.ep, alpha}
	h, ok := r.loads[key]
	if !ok {
		h = drawHeaviest(key)
		r.loads[key] = h
	}
	return h, ""
}

// skewLayers is how many layers' loads are drawn for the mean heaviest rank.
const skewLayers = 16

// drawHeaviest draws experts' loads from p(x) ∝ x^-α on [0.1, 1], or on [0.01, 2]
// when there are no more tokens than experts (the rule by which the tables' rows
// reproduce), scaled to all pairs and rounded, and takes the fullest of the ranks.
func drawHeaviest(k skewKey) heaviest {
	low, high := 0.1, 1.0
	if k.tokens <= k.count {
		low, high = 0.01, 2
	}
	h := heaviest{skewed: true, part: fmt.Sprintf("power law %g", k.alpha)}
	n, per := int(k.count), max(int(k.count/k.ep), 1)
	random := des.NewKey(0, "calibrate/power-law")
	loads := make([]float64, n)
	for layer := range uint64(skewLayers) {
		sum := 0.0
		for i := range loads {
			loads[i] = powerLaw(random.Uniform(layer, uint64(i)), k.alpha, low, high)
			sum += loads[i]
		}
		best, bestTouched := -1.0, 0.0
		for rank := range slices.Chunk(loads, per) {
			pairs, hit := 0.0, 0.0
			for _, w := range rank {
				p := math.Round(w / sum * k.tokens * k.topk)
				pairs += p
				hit += min(p, 1)
			}
			if pairs > best {
				best, bestTouched = pairs, hit
			}
		}
		h.pairs += max(best, 1) / skewLayers
		h.touched += max(bestTouched, 1) / skewLayers
	}
	return h
}

// powerLaw is the inverse transform of p(x) ∝ x^-α on [low, high].
func powerLaw(u, alpha, low, high float64) float64 {
	if math.Abs(alpha-1) < 1e-9 {
		return low * math.Pow(high/low, u)
	}
	a, b := math.Pow(low, 1-alpha), math.Pow(high, 1-alpha)
	return math.Pow(a+(b-a)*u, 1/(1-alpha))
}

// touched is how many of own experts pairs that fall on them at random reach.
func touched(own, pairs float64) float64 {
	if own <= 0 {
		return 0
	}
	return min(own*(1-math.Pow(1-1/max(own, 1), pairs)), pairs)
}

// picks is how many pairs the tokens that reach a rank bring: of k picks each, at
// least one is here, by the share s of all picks that are: here tokens are
// all·(1 − (1 − s)^k), and pairs all·k·s.
func picks(here, all, k, ep float64) float64 {
	if here >= all || all <= 0 {
		return here * max(1, k/ep)
	}
	s := 1 - math.Pow(1-here/all, 1/k)
	return max(all*k*s, here)
}
