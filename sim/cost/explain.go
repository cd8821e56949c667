package cost

import (
	"math"

	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost/law"
)

// Explanation is one step operator by operator.
type Explanation struct {
	StepNs    int64            `json:"step_ns"`
	CausesNs  map[string]int64 `json:"causes_ns"`
	TauNs     int64            `json:"tau_ns"`
	HiddenNs  int64            `json:"hidden_ns"`
	Operators []Operator       `json:"operators"`
}

// Operator is one row: an operator of a layer kind. Flops and Bytes are of one
// layer on one rank, Ns is the share of the step of all Count layers, so the rows'
// Ns sum to StepNs exactly. A row of communication holds only what overlap leaves
// exposed. Cause is the one with the largest share of the row.
type Operator struct {
	LayerKind string  `json:"layer_kind"`
	Name      string  `json:"name"`
	Class     string  `json:"class"`
	Precision string  `json:"precision"`
	Count     int     `json:"count"`
	M         int64   `json:"m"`
	N         int64   `json:"n"`
	K         int64   `json:"k"`
	Flops     float64 `json:"flops"`
	Bytes     float64 `json:"bytes"`
	Ns        int64   `json:"ns"`
	Cause     string  `json:"cause"`
	// Apportioned: the operator is part of a block that was timed as a whole, and Ns is
	// the share of the block's time that its work stands for.
	Apportioned bool `json:"apportioned"`
}

// Explain prices the same step as Step and lists what it is made of: the mean
// rank's operators, and what waiting for the slowest adds.
func (s *Stepper) Explain(loads []Load) Explanation {
	r := &recorder{weight: 1}
	var step Step
	s.price(loads, r, &step)
	x := Explanation{
		StepNs: int64(step.Time), CausesNs: map[string]int64{}, TauNs: int64(step.Tau), HiddenNs: int64(step.Hidden),
		Operators: []Operator{},
	}
	for c, t := range step.Causes {
		x.CausesNs[cause.Names[c]] = int64(t)
	}
	r.settle(&x)
	return x
}

// recorder collects the operators of a step while it is priced.
type recorder struct {
	rows   []row
	weight float64 // passes that the operators being recorded stand for
}

type row struct {
	operator
	count    float64
	time     [cause.Count]float64
	exchange bool // dispatch or combine that overlap may hide
}

// operator records count operators with a law's time.
func (r *recorder) operator(o operator, count float64, t law.Time) {
	x := row{operator: o, count: count}
	f := count * r.weight
	x.time[cause.Launch], x.time[cause.Compute], x.time[cause.HBMWeights] = f*t.Launch, f*t.Compute, f*t.Weights
	x.time[cause.HBMKV], x.time[cause.HBMAct], x.time[cause.CommBandwidth] = f*t.KV, f*t.Act, f*t.Wire
	r.rows = append(r.rows, x)
}

// communication records a collective, count times.
func (r *recorder) communication(o operator, count float64, c *comm) {
	x := row{operator: o, count: count, exchange: o.class == "all-to-all" && c.bandwidth > 0}
	x.time[cause.CommLatency], x.time[cause.CommBandwidth] = count*r.weight*c.latency, count*r.weight*c.bandwidth
	r.rows = append(r.rows, x)
}

// other records what no operator stands for.
func (r *recorder) other(kind, name string, c cause.Cause, seconds float64) {
	if r == nil || seconds == 0 {
		return
	}
	x := row{operator: operator{kind: kind, name: name, class: cause.Names[c]}, count: 1}
	x.time[c] = seconds
	r.rows = append(r.rows, x)
}

// times does to the rows what part.times does to their sum.
func (r *recorder) times(f float64) {
	if r == nil {
		return
	}
	for i := range r.rows {
		for c := range r.rows[i].time {
			r.rows[i].time[c] *= f
		}
	}
}

// stretch does to the rows what part.stretch does to their sum.
func (r *recorder) stretch(f, tax float64) {
	if r == nil {
		return
	}
	for i := range r.rows {
		t := &r.rows[i].time
		for c := range t {
			if cause.Cause(c) != cause.CommBandwidth && cause.Cause(c) != cause.CommLatency {
				t[c] *= f
			}
		}
		t[cause.Compute] *= tax
	}
}

// exposed leaves a fraction of what dispatch and combine take, and of what launches do.
func (r *recorder) exposed(f, floors float64) {
	if r == nil {
		return
	}
	for i := range r.rows {
		x := &r.rows[i]
		x.time[cause.Launch] *= floors
		if x.exchange {
			for c := range x.time {
				x.time[c] *= f
			}
		}
	}
}

// settle rounds the rows by their running sum, the last one to the step's end.
func (r *recorder) settle(x *Explanation) {
	var running float64
	var before int64
	for i := range r.rows {
		o := &r.rows[i]
		best := cause.Cause(0)
		for c, t := range o.time {
			running += t
			if t > o.time[best] {
				best = cause.Cause(c)
			}
		}
		now := min(int64(math.Round(running*1e9)), x.StepNs)
		if i == len(r.rows)-1 {
			now = x.StepNs
		}
		x.Operators = append(x.Operators, Operator{
			LayerKind: o.kind, Name: o.name, Class: o.class, Precision: o.precision, Count: int(math.Ceil(o.count)),
			M: int64(math.Round(o.m)), N: int64(math.Round(o.n)), K: int64(math.Round(o.k)), Flops: o.flops, Bytes: o.bytes,
			Ns: now - before, Cause: cause.Names[best], Apportioned: o.apportioned,
		})
		before = now
	}
}
