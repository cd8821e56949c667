package cost

import (
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// part is the time of some operators on one rank, by cause, and the work in them.
// Seconds, FLOPs and bytes.
type part struct {
	time         [cause.Count]float64
	tau          float64 // of time[CommLatency]
	flops, bytes float64 // model FLOPs and compulsory HBM bytes of the rank
	atPeak       float64 // seconds that the FLOPs take at the chip's peaks
	link         [MaxTiers]float64
	kernels      float64 // launches
}

func (p *part) total() float64 {
	sum := 0.0
	for _, t := range p.time {
		sum += t
	}
	return sum
}

// plus adds f parts like q.
func (p *part) plus(q *part, f float64) {
	for c := range p.time {
		p.time[c] += q.time[c] * f
	}
	for t := range p.link {
		p.link[t] += q.link[t] * f
	}
	p.tau += q.tau * f
	p.flops += q.flops * f
	p.bytes += q.bytes * f
	p.atPeak += q.atPeak * f
	p.kernels += q.kernels * f
}

// times makes it f parts like itself.
func (p *part) times(f float64) {
	q := *p
	*p = part{}
	p.plus(&q, f)
}

// scaleTime stretches time alone, work stays.
func (p *part) scaleTime(f float64) {
	for c := range p.time {
		p.time[c] *= f
	}
	p.tau *= f
}

// operator is what a row of Explain says of one operator.
type operator struct {
	kind, name, class, precision string
	m, n, k                      float64
	flops, bytes                 float64 // of one layer
	atPeak                       float64
	apportioned                  bool // its time is a share of a block's
}

// add books count operators with a law's time.
func (p *part) add(r *recorder, o operator, count float64, t law.Time) {
	p.time[cause.Launch] += count * t.Launch
	p.time[cause.Compute] += count * t.Compute
	p.time[cause.HBMWeights] += count * t.Weights
	p.time[cause.HBMKV] += count * t.KV
	p.time[cause.HBMAct] += count * t.Act
	p.time[cause.CommBandwidth] += count * t.Wire
	p.flops += count * o.flops
	p.bytes += count * o.bytes
	p.atPeak += count * o.atPeak
	if r != nil {
		r.operator(o, count, t)
	}
}

// gemm books count products of a projection at a number of rows.
func (s *Stepper) gemm(p *part, r *recorder, kind string, l *linear, rows, count float64) {
	t := s.laws.GEMM(l.variant, rows, l.n, l.k)
	if l.quantises && s.config.Engine.FusesQuantisation {
		t = fuse(t)
	}
	p.kernels += count
	p.add(r, operator{
		kind: kind, name: l.name, class: "gemm", precision: string(l.precision),
		m: rows, n: l.n, k: l.k, flops: rows * l.flops, bytes: l.bytes, atPeak: rows * l.atPeak,
	}, count, t)
}

// fusedQuantisation is what fusing the quantisation of activations takes off a GEMM
// of the kernel tables: fitted, as one number for all engines, to 1,826 published
// steps of vLLM, SGLang and TensorRT-LLM (SemiAnalysisAI/InferenceX@843c6254 and
// ai-dynamo/aiconfigurator@095f58a).
const fusedQuantisation = 1e-6

// fuse takes the fused quantisation off the pass that the kernel tables time for it,
// then off the floor.
func fuse(t law.Time) law.Time {
	off := min(t.Act, fusedQuantisation)
	t.Act -= off
	t.Launch = max(0, t.Launch-fusedQuantisation+off)
	return t
}

// smallKernels books the launches of small kernels between the big operators.
func (s *Stepper) smallKernels(p *part, r *recorder, kind string, each, bytes, count float64) {
	if each == 0 {
		return
	}
	p.kernels += each * count
	p.add(r, operator{kind: kind, name: "small kernels", class: "elementwise", precision: string(topologies.BF16)},
		count, s.laws.SmallKernels(each*s.smallKernel, bytes))
}

// communicate books a collective, count times.
func (p *part) communicate(r *recorder, o operator, count float64, c *comm) {
	p.time[cause.CommLatency] += count * c.latency
	p.time[cause.CommBandwidth] += count * c.bandwidth
	p.tau += count * c.tau
	p.kernels += count
	for t, b := range c.link {
		p.link[t] += count * b
	}
	if r != nil {
		r.communication(o, count, c)
	}
}
