package topologies

import (
	"fmt"
	"math"
	"slices"

	"github.com/clustersim/clustersim/sim/spec"
)

// MoE is one dispatch or combine of a mixture-of-experts layer.
type MoE struct {
	Ranks        int     // EP degree
	Tokens       float64 // of one rank
	TopK         int     // routed experts a token
	BytesPerCopy float64 // of one token to one expert, quantisation scales included
	Experts      int     // slots in all, redundant copies among them
	Groups       int     // most expert groups a token may go to (node-limited routing); 0: no limit
	ExpertGroups int     // that experts fall in, laid on ranks in order
	SMs          int     // given to the library; 0: its default
	Stride       int     // between members among contiguous ranks; 0 is 1
	// HotRank and HotDomain are what the heaviest rank and the heaviest innermost
	// domain receive in dispatch, and send in combine, over the mean; 0 is 1.
	HotRank, HotDomain float64
	// Balanced says that a token's experts lie on min(TopK, Ranks) ranks, as in the
	// tables of benchmarks; otherwise the expectation under uniform routing is sent.
	Balanced bool
}

// MoELaw prices dispatch or combine:
//
//	t = α + max over levels (bytes·(1 + g·log₂(EP/8)) / (e·bw)) + prepare
//	α = a + outer·[N>1] + log_outer·log₂N + log_ranks·log₂EP + rank·R + expert·E
//
// N counts innermost domains. EP in the fan-out law stops at 384, where it was
// never seen to grow on. One traversal is in α, two in prepare.
//
// With sm_rate the law is that of kernels that copy with SMs:
// t = a + T·sm_token/SMs + max(copies/(SMs·sm_rate), bytes/(e·bw)).
type MoELaw struct {
	For          []string   `yaml:"for"`    // chips or families it was fitted on
	Copies       string     `yaml:"copies"` // pairs, rank or node
	KeepsOwn     bool       `yaml:"own"`    // copies to the rank itself take the inner path too
	OverheadByte float64    `yaml:"overhead_bytes"`
	AUs          float64    `yaml:"a_us"`
	OuterUs      float64    `yaml:"outer_us"`
	LogOuterUs   float64    `yaml:"log_outer_us"`
	LogRanksUs   float64    `yaml:"log_ranks_us"`
	Inner        float64    `yaml:"e_inner"`
	Outer        float64    `yaml:"e_outer"`
	FanOut       float64    `yaml:"fan_out"` // g
	Single       *SingleLaw `yaml:"single"`
	Prepare      *Prepare   `yaml:"prepare"`
	SMs          int        `yaml:"sms"`
	SMRate       float64    `yaml:"sm_GBps"`
	SMTokenUs    float64    `yaml:"sm_token_us"`
	Source       string     `yaml:"source"`
	MedianPct    float64    `yaml:"median_error_pct"`
	P90Pct       float64    `yaml:"p90_error_pct"`
}

// SingleLaw replaces α and e where the group lies in one domain and a finer fit
// exists. The rank term is linear to eight ranks and logarithmic beyond.
type SingleLaw struct {
	AUs       float64 `yaml:"a_us"`
	RankUs    float64 `yaml:"rank_us"`
	ExpertUs  float64 `yaml:"expert_us"`
	Inner     float64 `yaml:"e_inner"`
	MedianPct float64 `yaml:"median_error_pct"`
	P90Pct    float64 `yaml:"p90_error_pct"`
}

// Prepare is the exchange of counts that a two-sided all-to-all does first.
type Prepare struct {
	AUs        float64 `yaml:"a_us"`
	LogRanksUs float64 `yaml:"log_ranks_us"`
	TokenUs    float64 `yaml:"token_us"`
}

// How a library counts what it sends.
const (
	copyPairs = "pairs" // every token to every chosen expert
	copyRank  = "rank"  // once to each rank that has any of them
	copyNode  = "node"  // once to each domain, and inside it once to each rank
)

// fanOutEnd is the EP degree at which the fan-out law stops: the largest that
// experts and their redundant copies fill.
const fanOutEnd = 384

func chooseMoE(laws []MoELaw, c *Chip) (law *MoELaw, own bool) {
	i, own := match(len(laws), func(i int) []string { return laws[i].For }, c)
	return &laws[i], own
}

func (m *MoELaw) check(doc *spec.Doc, path string) {
	if !slices.Contains([]string{copyPairs, copyRank, copyNode}, m.Copies) {
		doc.Errorf(path+".copies", "%v", spec.UnknownName("way of counting copies", m.Copies, []string{copyPairs, copyRank, copyNode}))
	}
	checkShare(doc, path+".e_inner", m.Inner)
	checkShare(doc, path+".e_outer", m.Outer)
	times := map[string]float64{"a_us": m.AUs, "outer_us": m.OuterUs, "log_outer_us": m.LogOuterUs, "log_ranks_us": m.LogRanksUs,
		"fan_out": m.FanOut, "overhead_bytes": m.OverheadByte, "sm_GBps": m.SMRate, "sm_token_us": m.SMTokenUs}
	for _, k := range []string{"a_us", "outer_us", "log_outer_us", "log_ranks_us", "fan_out", "overhead_bytes", "sm_GBps", "sm_token_us"} {
		checkTime(doc, path+"."+k, times[k])
	}
	if m.SMRate > 0 && m.SMs < 1 {
		doc.Errorf(path+".sms", "must be at least 1 where sm_GBps is given, got %d", m.SMs)
	}
	if s := m.Single; s != nil {
		checkShare(doc, path+".single.e_inner", s.Inner)
		for i, v := range []float64{s.AUs, s.RankUs, s.ExpertUs} {
			checkTime(doc, fmt.Sprintf("%s.single.%s", path, []string{"a_us", "rank_us", "expert_us"}[i]), v)
		}
	}
	if p := m.Prepare; p != nil {
		for i, v := range []float64{p.AUs, p.LogRanksUs, p.TokenUs} {
			checkTime(doc, fmt.Sprintf("%s.prepare.%s", path, []string{"a_us", "log_ranks_us", "token_us"}[i]), v)
		}
	}
}

// CheckEP refuses an expert-parallel degree beyond the expert slots: a rank
// without an expert has nothing to receive.
func (m MoE) CheckEP() error {
	if m.Ranks > m.Experts {
		return fmt.Errorf("EP %d is more than the %d expert slots (routed and redundant)", m.Ranks, m.Experts)
	}
	return nil
}

// Dispatch sends the tokens of every rank to their experts' ranks.
func (t *Topology) Dispatch(lib *Library, m MoE) Comm { return t.moe(lib, lib.Dispatch, m) }

// Combine brings the experts' results back.
func (t *Topology) Combine(lib *Library, m MoE) Comm { return t.moe(lib, lib.Combine, m) }

func (t *Topology) moe(lib *Library, law *MoELaw, m MoE) Comm {
	if m.Ranks <= 1 || m.Tokens <= 0 {
		return Comm{}
	}
	if law == nil { // a library without one moves the copies by its all-to-all
		return t.AllToAll(lib, m.Ranks, m.Tokens*m.copies(copyRank, m.Ranks)*m.BytesPerCopy, m.Stride)
	}
	g := t.meet(m.Ranks, m.Stride)
	if law.SMRate > 0 {
		return lib.copied(law, &g, m)
	}
	a := lib.moeAlpha(law, &g, m)
	eInner, single := law.Inner, law.Single
	if single != nil && g.outer() <= 1 {
		eInner = single.Inner
	}
	bytes := m.Tokens * m.copies(law.Copies, m.Ranks) * (m.BytesPerCopy + law.OverheadByte) * max(1, m.HotRank)
	fan := 1 + law.FanOut*max(0, math.Log2(min(float64(m.Ranks), fanOutEnd)/8))
	time := g.exchange(bytes*fan, eInner, law.Outer)
	if law.KeepsOwn {
		lv := &g.levels[0]
		own := bytes * fan * (g.bytesAt(0) + 1/g.ranks)
		time = max(time, own/(eInner*lv.port))
	}
	return a.sum(time)
}

// copies is how many times a token is sent to ranks of the group, its own among them.
func (m MoE) copies(how string, ranks int) float64 {
	k, n := float64(m.TopK), float64(ranks)
	switch {
	case how == copyPairs:
		return k
	case m.Balanced:
		return min(k, n)
	}
	return m.Spread(n)
}

// Spread is the expected number of n equal parts of the ranks, in order, that hold
// any of a token's experts under uniform routing. Of g groups a token goes to t and
// finds its experts in d = t(1−(1−1/t)^k) of them. Parts smaller than a group are hit
// as if only t/g of them were there; a larger one holds g/n groups and is missed when
// none of the d falls on it: Γ(g−g/n+1)·Γ(g−d+1) / (Γ(g−g/n−d+1)·Γ(g+1)).
func (m MoE) Spread(n float64) float64 {
	k, t, g := float64(m.TopK), float64(m.Groups), float64(m.ExpertGroups)
	switch {
	case m.Groups == 0 || t >= g:
		return distinct(n, k)
	case n >= g:
		return distinct(n*t/g, k)
	}
	d := distinct(t, k)
	free := g - g/n - d + 1
	if free <= 0 {
		return n
	}
	hit := n * (1 - math.Exp(logGamma(g-g/n+1)+logGamma(g-d+1)-logGamma(free)-logGamma(g+1)))
	return min(hit, distinct(n, k)) // d is a mean, and overstates by up to 0.4 % where the limit hardly binds
}

func logGamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

// distinct is the expected number of n equal bins that k draws hit.
func distinct(n, k float64) float64 { return n * (1 - math.Pow(1-1/n, k)) }

// moeAlpha is the fitted α with its traversals moved from the fabric it was
// fitted on to this one, and prepare's.
func (l *Library) moeAlpha(law *MoELaw, g *group, m MoE) alpha {
	n, ep := g.outer(), float64(m.Ranks)
	us := law.AUs + law.LogRanksUs*math.Log2(ep)
	if n > 1 {
		us += law.OuterUs + law.LogOuterUs*math.Log2(n)
	} else if s := law.Single; s != nil {
		ranks := min(ep, 8) + 4*max(0, math.Log2(ep/8))
		us = s.AUs + s.RankUs*ranks + s.ExpertUs*float64(m.Experts)
	}
	a := alpha{software: l.software(us, 1, n <= 1), tau: g.far()}
	if p := law.Prepare; p != nil {
		a.software += l.software(p.AUs+p.LogRanksUs*math.Log2(ep)+p.TokenUs*m.Tokens, 2, n <= 1)
		a.tau += 2 * g.far()
	}
	return a
}

// copied is the law of kernels that copy with SMs (DeepEP normal). Between
// domains a token goes once to each that has any of its experts, then on to the
// ranks inside.
func (l *Library) copied(law *MoELaw, g *group, m MoE) Comm {
	sms := float64(law.SMs)
	if m.SMs > 0 {
		sms = float64(m.SMs)
	}
	token := m.Tokens * (m.BytesPerCopy + law.OverheadByte)
	toRanks := token * m.copies(copyRank, m.Ranks) * max(1, m.HotRank)
	inner := &g.levels[0]
	bytes := toRanks / (sms * law.SMRate * 1e9)
	bytes = max(bytes, toRanks*(g.ranks-1)/g.ranks/(law.Inner*inner.spreadPort()))
	n := g.outer()
	if n > 1 {
		toDomains := token * m.Spread(n) * max(1, m.HotDomain)
		for i := range g.n {
			if lv := &g.levels[i]; !lv.inner {
				bytes = max(bytes, toDomains*(n-1)/n/(law.Outer*min(lv.spread, lv.port)))
			}
		}
	}
	a := alpha{software: l.software(law.AUs, 1, n <= 1), tau: g.far()}
	a.software += m.Tokens * law.SMTokenUs * microsecond / sms
	return a.sum(bytes)
}

// spreadPort is the all-to-all bandwidth of a level for bytes that leave the rank.
func (l *level) spreadPort() float64 { return min(l.spread, l.port) }
