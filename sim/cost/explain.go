package cost

// Explanation is one step operator by operator.
type Explanation struct {
	StepNs    int64            `json:"step_ns"`
	CausesNs  map[string]int64 `json:"causes_ns"`
	TauNs     int64            `json:"tau_ns"`
	HiddenNs  int64            `json:"hidden_ns"`
	Operators []Operator       `json:"operators"`
}

// Operator is one row: an operator of a layer kind, all its layers together. The
// rows' Ns sum to StepNs exactly; what overlap hides is a row with negative Ns.
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
}

// Explain prices the same step as Step and lists what it is made of, on the rank
// that governs.
func (s *Stepper) Explain(loads []Load) Explanation { return Explanation{} }
