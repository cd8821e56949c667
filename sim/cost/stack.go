package cost

import (
	"math"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// stack is a run of layers: the main model's or the draft module's.
type stack struct {
	attentions []attention
	ffns       []ffn
	linears    []linear // of the draft module, outside its layers
	layers     float64
	tokens     table[part]    // by rows of a rank
	experts    table[mixture] // by rows of a rank and of the group
}

// dense is everything of a stack that depends on the rows of one rank alone:
// projections outside whole-block laws, dense and shared FFNs, routers, small
// kernels, hyper-connections and the tensor-parallel collectives.
func (s *Stepper) dense(st *stack, rows int64) *part {
	p, ok := st.tokens.at(rows, 0)
	if !ok {
		*p = part{}
		s.fillDense(p, nil, st, float64(rows))
	}
	return p
}

func (s *Stepper) fillDense(p *part, r *recorder, st *stack, rows float64) {
	for i := range st.attentions {
		k := &st.attentions[i]
		if k.wholeBlock() {
			continue
		}
		for j := range k.linears {
			s.gemm(p, r, k.label, &k.linears[j], rows, k.count)
		}
		s.smallKernels(p, r, k.label, k.small, k.smallBytes*rows, k.count)
	}
	for i := range st.ffns {
		f := &st.ffns[i]
		for j := range f.linears {
			s.gemm(p, r, f.label, &f.linears[j], rows, f.count)
		}
		s.smallKernels(p, r, f.label, f.small, f.smallBytes*rows, f.count)
	}
	for i := range st.linears {
		s.gemm(p, r, "draft", &st.linears[i], rows, st.layers)
	}
	s.hyperConnections(p, r, st, rows)
	s.tensorParallel(p, r, st, rows)
	s.contextParallel(p, r, st, rows)
}

func (s *Stepper) hyperConnections(p *part, r *recorder, st *stack, rows float64) {
	if s.config.Model.HC <= 1 {
		return
	}
	flops := 0.0
	if len(s.config.Model.Layers) > 0 {
		flops = float64(s.config.Model.Layers[0].HCFlops) * rows
	}
	p.kernels += 4 * st.layers
	p.add(r, operator{
		kind: "all", name: "hyper-connections", class: "elementwise", precision: string(topologies.BF16),
		m: rows, n: float64(s.config.Model.HC), k: float64(s.config.Model.Hidden),
		flops: flops, atPeak: flops / peak(s.config.Chip, topologies.BF16),
	}, st.layers, s.laws.MHC(rows, float64(s.config.Model.Hidden)))
}

// tensorParallel books the collectives of a TP group: the sum after the output
// projection, the one after the FFN, and those of norms across heads. Where experts
// are dispatched over several TP groups, each TP rank dispatches its share of the rows
// and the second collective gathers them.
func (s *Stepper) tensorParallel(p *part, r *recorder, st *stack, rows float64) {
	tp := s.config.Layout.TP
	if tp <= 1 {
		return
	}
	bytes := rows * float64(s.config.Model.Hidden) * 2
	c := s.comms.allReduce(tp, bytes)
	o := operator{kind: "all", name: "all-reduce", class: "all-reduce", precision: string(topologies.BF16), m: rows, n: float64(s.config.Model.Hidden), bytes: bytes}
	p.communicate(r, o, st.layers, &c)
	for i := range st.attentions {
		s.normSums(p, r, &st.attentions[i], rows)
	}
	for i := range st.ffns {
		f := &st.ffns[i]
		o.kind = f.label
		if f.moe != nil && s.config.Layout.groups() > 1 {
			g := s.comms.allGather(tp, bytes)
			o.name, o.class = "all-gather", "all-gather"
			p.communicate(r, o, f.count, &g)
			continue
		}
		o.name, o.class = "all-reduce", "all-reduce"
		p.communicate(r, o, f.count, &c)
	}
}

// normSums books what a norm across all heads costs a TP group: the sums of
// squares of every row in FP32, one all-reduce a layer for query and key together,
// and a kernel of its own that forms them (vllm-project/vllm#31493,
// sgl-project/sglang#14416: sum, all-reduce, norm).
func (s *Stepper) normSums(p *part, r *recorder, k *attention, rows float64) {
	if k.a.NormSums == 0 {
		return
	}
	bytes := rows * float64(k.a.NormSums) * 4
	c := s.comms.allReduce(s.config.Layout.TP, bytes)
	o := operator{kind: k.label, name: "all-reduce of norms", class: "all-reduce", precision: "fp32", m: rows, n: float64(k.a.NormSums), bytes: bytes}
	p.communicate(r, o, k.count, &c)
	s.smallKernels(p, r, k.label, 1, 0, k.count)
}

// mixture is the expert part of a stack: on the mean rank, what the heaviest rank
// takes beyond it, the dispatch and combine, and what a wave-overlapped kernel hid.
type mixture struct {
	mean      part
	imbalance float64
	comm      part // what two-batch overlap may hide
	hidden    float64
}

// mixture looks up the expert part; the kernels that dispatch prompts' tokens are
// not those of decode, so prefill is part of the key.
func (s *Stepper) mixture(st *stack, rows, total int64, prefill bool) *mixture {
	key := 2 * total
	if prefill {
		key++
	}
	x, ok := st.experts.at(rows, key)
	if !ok {
		*x = mixture{}
		s.fillMixture(x, nil, st, float64(rows), float64(total), prefill)
	}
	return x
}

func (s *Stepper) fillMixture(x *mixture, r *recorder, st *stack, rows, total float64, prefill bool) {
	for i := range st.ffns {
		f := &st.ffns[i]
		if f.moe == nil {
			continue
		}
		mean, heaviest := s.routed(f.moe, total)
		x.mean.kernels += 4 * f.count
		if !s.dispatched() {
			x.mean.add(r, s.routedOperator(f, total), f.count, mean)
			x.imbalance += f.count * max(0, heaviest.Total()-mean.Total())
			s.gathered(x, r, f, rows)
			continue
		}
		// Each TP rank sends its share of the rows.
		tokens := math.Ceil(rows / float64(s.config.Layout.TP))
		dispatch, combine := s.comms.exchange(f.moe, tokens, prefill)
		if s.config.Layout.Overlap == Wave {
			s.wave(x, r, f, mean, heaviest, &dispatch, &combine, tokens, total)
			continue
		}
		x.mean.add(r, s.routedOperator(f, total), f.count, mean)
		x.imbalance += f.count * max(0, heaviest.Total()-mean.Total())
		there, back := s.comms.exchanged(f.moe, tokens)
		o := operator{
			kind: f.label, name: "dispatch", class: "all-to-all", precision: string(f.moe.arithmetic.precision),
			m: tokens, n: float64(f.moe.m.In), k: float64(f.moe.m.TopK), bytes: tokens * float64(f.moe.m.TopK) * there.BytesPerCopy,
		}
		x.comm.communicate(r, o, f.count, &dispatch)
		o.name, o.precision, o.bytes = "combine", string(topologies.BF16), tokens*float64(f.moe.m.TopK)*back.BytesPerCopy
		x.comm.communicate(r, o, f.count, &combine)
	}
}

// gathered books how the rows of data- or context-parallel ranks meet experts without a dispatch:
// all ranks' rows, padded to those of the longest, are gathered in BF16 before the
// experts, and each rank's are scattered back, summed, after them.
func (s *Stepper) gathered(x *mixture, r *recorder, f *ffn, rows float64) {
	ranks := s.config.Layout.groups()
	if ranks == 1 {
		return
	}
	all := rows * float64(ranks)
	bytes := all * float64(f.moe.m.In) * 2
	gather, scatter := s.comms.allGather(ranks, bytes), s.comms.reduceScatter(ranks, bytes)
	o := operator{
		kind: f.label, name: "gather rows", class: "all-gather", precision: string(topologies.BF16),
		m: all, n: float64(f.moe.m.In), bytes: bytes,
	}
	x.comm.communicate(r, o, f.count, &gather)
	o.name, o.class = "scatter sums", "reduce-scatter"
	x.comm.communicate(r, o, f.count, &scatter)
}

// dispatched says that tokens travel to their experts' ranks; otherwise every rank
// of the group has the same tokens, by an all-reduce before or by gathering them.
func (s *Stepper) dispatched() bool {
	l := s.config.Layout
	return l.groups() > 1 && l.EP > 1 && l.Exchange == Dispatch
}

// share is how the group's tokens fall on the mean rank: pairs, and the experts
// they touch, Σ over its slots of 1 − (1 − p)^tokens, where p = k/all slots when routing is
// uniform. Uneven routing touches fewer.
func (e *experts) share(tokens float64, ep int) (pairs, touched float64) {
	k := float64(e.m.TopK)
	pairs = tokens * k / float64(ep)
	if e.odds != nil {
		for _, p := range e.odds {
			touched -= math.Expm1(tokens * math.Log1p(-p))
		}
		return pairs, touched / float64(ep)
	}
	miss := math.Log1p(-min(1-1e-12, k/(e.slots*float64(ep))))
	return pairs, e.slots * -math.Expm1(tokens*miss)
}

// loads are the pairs and touched experts of the mean and of the most loaded rank.
func (s *Stepper) loads(e *experts, tokens float64) (pairs, touched, most, reached float64) {
	pairs, touched = e.share(tokens, s.config.Layout.EP)
	most = max(pairs, min(pairs*e.skew.factor(pairs), tokens*min(float64(e.m.TopK), e.slots)))
	return pairs, touched, most, e.skew.most(touched, e.slots)
}

// routed is the time of one layer's routed experts on the mean and on the most
// loaded rank.
func (s *Stepper) routed(e *experts, tokens float64) (mean, heaviest law.Time) {
	pairs, touched, most, reached := s.loads(e, tokens)
	x := law.MoE{
		Variant: e.arithmetic.variant, Tokens: tokens, TopK: float64(e.m.TopK),
		Hidden: float64(e.m.In), Inter: e.inter, Mats: float64(e.m.Mats),
		Pairs: pairs, Touched: touched,
		Dispatched: s.dispatched(), Skewed: s.config.Layout.Routing.Kind != Uniform,
	}
	mean = s.laws.MoE(x)
	if s.config.Layout.EP == 1 {
		return mean, mean
	}
	x.Pairs, x.Touched = most, reached
	return mean, s.laws.MoE(x)
}

func (s *Stepper) routedOperator(f *ffn, tokens float64) operator {
	e := f.moe
	pairs, touched := e.share(tokens, s.config.Layout.EP)
	flops := pairs * 2 * float64(e.m.Mats*e.m.In) * e.inter
	return operator{
		kind: f.label, name: "routed experts", class: "grouped-gemm", precision: string(e.arithmetic.precision),
		m: pairs, n: e.inter, k: float64(e.m.In), flops: flops, bytes: touched * e.bytes,
		atPeak: flops / peak(s.config.Chip, e.arithmetic.precision),
	}
}

// wave books a layer whose dispatch, experts and combine are one pipelined kernel:
//
//	t = launch + (memory^p + compute^p + wire^p)^(1/p) + τ of both ways
//
// With a library that has such a kernel, launch, efficiencies and p are its own
// (laws-communication §4); otherwise the terms are those of the separate operators
// and p is the engine's. Software latencies of separate collectives vanish with
// the kernels that had them; what the sum of the parts takes beyond t is hidden.
// The heaviest rank's surplus is imbalance.
func (s *Stepper) wave(x *mixture, r *recorder, f *ffn, mean, heaviest law.Time, d, c *comm, tokens, total float64) {
	p, wire := s.config.Engine.WaveExponent, d.bandwidth+c.bandwidth
	apart := mean.Total() + d.total() + c.total()
	if fused := s.comms.fused(); fused != nil {
		pairs, touched, most, reached := s.loads(f.moe, total)
		mean, heaviest = s.fusedTerms(f.moe, pairs, touched), s.fusedTerms(f.moe, most, reached)
		p, wire = fused.P, s.comms.wire(f.moe, tokens)
	}
	kernel := waveTime(mean, wire, p)
	worst := waveTime(heaviest, wire, p)
	tau := d.tau + c.tau
	x.hidden += f.count * max(0, apart-kernel.Total()-tau)
	x.imbalance += f.count * max(0, worst.Total()-kernel.Total())
	x.mean.add(r, s.routedOperator(f, total), f.count, kernel)
	way := comm{latency: tau, tau: tau}
	for t := range way.link {
		way.link[t] = d.link[t] + c.link[t]
	}
	o := operator{kind: f.label, name: "dispatch, combine", class: "all-to-all", precision: string(f.moe.arithmetic.precision), m: tokens, n: float64(f.moe.m.In), k: float64(f.moe.m.TopK)}
	x.mean.communicate(r, o, f.count, &way)
}

// waveTime is the p-norm of memory, compute and wire, split by their p-th powers.
func waveTime(t law.Time, wire, p float64) law.Time {
	memory := t.Weights + t.Act + t.KV
	longest := max(memory, t.Compute, wire)
	if longest == 0 {
		return t
	}
	m, c, w := math.Pow(memory/longest, p), math.Pow(t.Compute/longest, p), math.Pow(wire/longest, p)
	norm := longest * math.Pow(m+c+w, 1/p) / (m + c + w)
	out := law.Time{Launch: t.Launch, Compute: c * norm, Wire: w * norm}
	if memory > 0 {
		out.Weights, out.Act, out.KV = m*norm*t.Weights/memory, m*norm*t.Act/memory, m*norm*t.KV/memory
	}
	return out
}
