package cost

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// Layout says how one instance is spread over ranks. Zero degrees mean 1. Ranks are
// numbered with TP innermost, then CP, DP and PP.
type Layout struct {
	TP, DP, PP, EP, CP int
	Redundant          int      // redundant expert copies of a layer, in slots over the EP group
	Overlap            Overlap  // empty: the engine's default for the role
	Exchange           Exchange // empty: Dispatch; of data-parallel attention over experts
	Routing            Routing  // zero value: uniform
}

// String is the layout as reports name it: TP1 DP128 EP128.
func (l Layout) String() string {
	s := fmt.Sprintf("TP%d DP%d EP%d", l.TP, l.DP, l.EP)
	if l.PP > 1 {
		s += fmt.Sprintf(" PP%d", l.PP)
	}
	if l.CP > 1 {
		s += fmt.Sprintf(" CP%d", l.CP)
	}
	if l.Redundant > 0 {
		s += fmt.Sprintf(" +%d experts", l.Redundant)
	}
	return s
}

func (l Layout) withDefaults() Layout {
	for _, p := range []*int{&l.TP, &l.DP, &l.PP, &l.EP, &l.CP} {
		if *p == 0 {
			*p = 1
		}
	}
	if l.Exchange == "" {
		l.Exchange = Dispatch
	}
	if l.Routing.Kind == "" {
		l.Routing.Kind = Uniform
	}
	return l
}

// groups is how many TP groups have rows of their own: the data-parallel attention
// ranks, each cut over its context-parallel ones.
func (l Layout) groups() int { return l.DP * l.CP }

// DefaultEP is the expert parallelism of a layout that names none: where TP groups have
// rows of their own (data-parallel attention, context parallelism) the experts are spread
// over all of them, otherwise every rank has a slice of each.
func DefaultEP(m *models.Model, tp, dp, cp int) int {
	if groups := max(1, dp) * max(1, cp); groups > 1 && m.Experts() > 0 {
		return max(1, tp) * groups
	}
	return 1
}

// Overlap says what runs at the same time as communication.
type Overlap string

// NoOverlap: one after the other. TwoBatch: the batch is cut in two and the
// attention of one half hides the communication of the other. Wave: dispatch,
// experts and combine are pipelined inside one kernel (MegaMoE).
const (
	NoOverlap Overlap = "none"
	TwoBatch  Overlap = "two-batch"
	Wave      Overlap = "wave"
)

// OverlapNames are all there are.
func OverlapNames() []string { return []string{string(NoOverlap), string(TwoBatch), string(Wave)} }

// ParseOverlap reads an overlap's name; the empty name is the engine's default.
func ParseOverlap(s string) (Overlap, error) {
	name := spec.NameIn(s, OverlapNames())
	if s != "" && name == "" {
		return "", spec.UnknownName("overlap", s, OverlapNames())
	}
	return Overlap(name), nil
}

// Exchange is how the rows of data-parallel attention ranks meet their experts.
type Exchange string

// Dispatch: each row travels to the ranks of its experts and back (DeepEP, NVLink
// all-to-all). Gather: every rank gets all rows, padded to those of the longest rank,
// its kernel picks the pairs of its own experts out of all, and the sums are
// reduce-scattered: what SGLang does without --moe-a2a-backend, and TensorRT-LLM where
// it has no all-to-all.
const (
	Dispatch Exchange = "dispatch"
	Gather   Exchange = "gather"
)

// ParseExchange reads an exchange's name; the empty name is Dispatch.
func ParseExchange(s string) (Exchange, error) {
	switch x := Exchange(s); x {
	case "":
		return Dispatch, nil
	case Dispatch, Gather:
		return x, nil
	}
	return "", spec.UnknownName("exchange", s, []string{string(Dispatch), string(Gather)})
}

// RoutingKind names how tokens fall on experts.
type RoutingKind string

// Uniform: every set of k experts is equally likely. PowerLaw: expert loads are
// Pareto(Alpha) draws on [0.1, 1], which at 1.01 and EP32 costs a prefill the 1.18 that
// DeepSeek-V3's own traffic is published to cost over perfect balance. (The MegaMoE
// tables draw on [1, 0.8·tokens] instead, and their heaviest rank of 32 has up to
// 3.4 of the mean.) Histogram: measured loads, one number an expert.
const (
	Uniform   RoutingKind = "uniform"
	PowerLaw  RoutingKind = "power-law"
	Histogram RoutingKind = "histogram"
)

// Routing is how tokens fall on experts.
type Routing struct {
	Kind      RoutingKind
	Alpha     float64   // PowerLaw's exponent
	Histogram []float64 // Histogram's loads, in any unit, one an expert
}

// ParseRouting reads `uniform` or `power-law(1.01)`. A histogram comes from a
// file, which only the caller can open: see ReadHistogram.
func ParseRouting(s string) (Routing, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == string(Uniform) {
		return Routing{Kind: Uniform}, nil
	}
	if arg, ok := strings.CutPrefix(s, string(PowerLaw)); ok {
		arg, open := strings.CutPrefix(arg, "(")
		arg, closed := strings.CutSuffix(arg, ")")
		a, err := strconv.ParseFloat(arg, 64)
		if !open || !closed || err != nil || !(a > 0 && a <= 10) {
			return Routing{}, fmt.Errorf("routing %q: want power-law(A) with 0 < A ≤ 10, for example power-law(1.01)", s)
		}
		return Routing{Kind: PowerLaw, Alpha: a}, nil
	}
	return Routing{}, spec.UnknownName("routing", s, []string{string(Uniform), "power-law(1.01)", "histogram FILE"})
}

// ReadHistogram reads measured expert loads: numbers separated by white space or
// commas, one an expert, `#` to the end of the line is a comment.
func ReadHistogram(name string, data []byte) (Routing, error) {
	var r []float64
	for i, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		for _, f := range strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(" \t\r,", c) }) {
			v, err := strconv.ParseFloat(f, 64)
			if err != nil || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
				return Routing{}, fmt.Errorf("%s:%d: %q is not an expert's load; want a finite number ≥ 0", name, i+1, f)
			}
			r = append(r, v)
		}
	}
	sum := 0.0
	for _, v := range r {
		sum += v
	}
	if sum <= 0 || math.IsInf(sum, 0) {
		return Routing{}, fmt.Errorf("%s: expert loads must sum to a finite number above 0, got %g", name, sum)
	}
	return Routing{Kind: Histogram, Histogram: r}, nil
}

// Role is what an instance does.
type Role string

// Prefill runs prompts only, Decode generates only, Mixed does both.
const (
	Prefill Role = "prefill"
	Decode  Role = "decode"
	Mixed   Role = "mixed"
)

// Config is everything the cost of a step depends on. Zero MaxTokens,
// MaxSequences and PageTokens take the engine's values for the role.
type Config struct {
	Model    *models.Model
	Topology *topologies.Topology
	Chip     *topologies.Chip // nil: the topology's
	Layout   Layout
	Engine   *Engine // nil: DefaultEngine of the chip
	// Libraries are those of LoadLibraries; nil loads them. They are only read, so
	// that many steppers may share them.
	Libraries    *topologies.Libraries
	Role         Role    // empty: Mixed
	Drafts       int     // MTP drafts a step
	Accepted     float64 // mean tokens a verify step yields; the engine's clock uses it, the step's cost does not
	MaxTokens    int     // prompt tokens a rank takes in a step at most
	MaxSequences int     // sequences a rank decodes at most
	PageTokens   int     // tokens of a page of the KV cache
}
