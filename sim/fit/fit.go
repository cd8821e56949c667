// Package fit finds the constants of a law from measurements: bounded nonlinear
// least squares with a loss that outliers cannot rule.
//
// The objective over residuals r_i (usually ln(predicted/measured)) is
//
//	Σ w_i · 2·s²·(√(1 + r_i²/s²) − 1)
//
// soft-L1: squares near 0, absolute values beyond s. Steps are Levenberg–Marquardt's
// on the reweighted squares, in the parameter or in its logarithm, cut at the bounds;
// derivatives are forward differences. Equal input gives equal output.
//
// A local minimum is found, not the global one: give several starts to Best.
package fit

import (
	"fmt"
	"math"
)

// Parameter is one constant to be found.
type Parameter struct {
	Name             string
	Start, Low, High float64
	// Log steps in the logarithm: for constants of unknown magnitude; Low must be
	// positive.
	Log bool
	// Step is the relative width of the differences; 0 is 1e-4. A simulation's
	// figures jump: give a width that moves many of them.
	Step float64
}

// Problem is what to fit.
type Problem struct {
	Parameters []Parameter
	// Residuals fills out with the residuals of the parameters' values.
	Residuals func(x, out []float64) error
	N         int       // residuals
	Weights   []float64 // one a residual; nil is 1 each
	Scale     float64   // s; 0 is 0.1
	Steps     int       // at most; 0 is 50
	// Tolerance ends the search when a step gains less than this share; 0 is 1e-6.
	Tolerance float64
}

// Result is what was found.
type Result struct {
	X     []float64 // by parameter
	Loss  float64
	Steps int
}

// Minimise searches from the parameters' starts.
func Minimise(p *Problem) (Result, error) {
	if err := p.check(); err != nil {
		return Result{}, err
	}
	s := newSearch(p)
	if err := s.evaluate(s.u, s.r); err != nil {
		return Result{}, err
	}
	loss, damping := p.loss(s.r), 1e-3
	steps := 0
	for ; steps < p.Steps; steps++ {
		if err := s.linearise(); err != nil {
			return Result{}, err
		}
		next, d, err := s.step(loss, damping)
		if err != nil {
			return Result{}, err
		}
		gained := loss - next
		loss, damping = next, d
		if gained <= p.Tolerance*loss {
			break
		}
	}
	return Result{X: s.values(s.u), Loss: loss, Steps: steps}, nil
}

// Best is the least of the minima found from the parameters' own starts and from
// others, one list of values a start.
func Best(p *Problem, starts ...[]float64) (Result, error) {
	best, err := Minimise(p)
	if err != nil {
		return best, err
	}
	for _, start := range starts {
		q := *p
		q.Parameters = append([]Parameter(nil), p.Parameters...)
		for i := range q.Parameters {
			q.Parameters[i].Start = start[i]
		}
		r, err := Minimise(&q)
		if err != nil {
			return best, err
		}
		if r.Loss < best.Loss {
			best = r
		}
	}
	return best, nil
}

func (p *Problem) check() error {
	if p.N < 1 || len(p.Parameters) < 1 || (p.Weights != nil && len(p.Weights) != p.N) {
		return fmt.Errorf("fit: %d residuals, %d weights, %d parameters", p.N, len(p.Weights), len(p.Parameters))
	}
	for _, q := range p.Parameters {
		if !(q.Low <= q.Start && q.Start <= q.High) || (q.Log && !(q.Low > 0)) {
			return fmt.Errorf("fit: %s starts at %g, outside [%g, %g]", q.Name, q.Start, q.Low, q.High)
		}
	}
	if p.Scale == 0 {
		p.Scale = 0.1
	}
	if p.Steps == 0 {
		p.Steps = 50
	}
	if p.Tolerance == 0 {
		p.Tolerance = 1e-6
	}
	return nil
}

func (p *Problem) weight(i int) float64 {
	if p.Weights == nil {
		return 1
	}
	return p.Weights[i]
}

func (p *Problem) loss(r []float64) float64 {
	var sum float64
	for i, v := range r {
		z := v / p.Scale
		sum += p.weight(i) * 2 * p.Scale * p.Scale * (math.Sqrt(1+z*z) - 1)
	}
	return sum
}

// search holds a point and the linear model around it. u is in the parameters'
// own scale: the value, or its logarithm.
type search struct {
	p        *Problem
	u, r     []float64
	jacobian [][]float64 // by parameter
	normal   [][]float64 // JᵀWJ
	slope    []float64   // JᵀWr
	try, at  []float64
}

func newSearch(p *Problem) *search {
	n := len(p.Parameters)
	s := &search{p: p, u: make([]float64, n), r: make([]float64, p.N), slope: make([]float64, n), try: make([]float64, p.N), at: make([]float64, n)}
	for i := range p.Parameters {
		s.u[i] = p.Parameters[i].scaled(p.Parameters[i].Start)
		s.jacobian = append(s.jacobian, make([]float64, p.N))
		s.normal = append(s.normal, make([]float64, n))
	}
	return s
}

func (q *Parameter) scaled(x float64) float64 {
	if q.Log {
		return math.Log(x)
	}
	return x
}

func (s *search) values(u []float64) []float64 {
	x := make([]float64, len(u))
	for i := range u {
		q := &s.p.Parameters[i]
		x[i] = u[i]
		if q.Log {
			x[i] = math.Exp(u[i])
		}
		x[i] = min(max(x[i], q.Low), q.High)
	}
	return x
}

func (s *search) evaluate(u, out []float64) error {
	if err := s.p.Residuals(s.values(u), out); err != nil {
		return err
	}
	for i, v := range out {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("fit: residual %d is %v at %v", i, v, s.values(u))
		}
	}
	return nil
}

// linearise takes the derivatives at u and the normal equations of the reweighted
// squares.
func (s *search) linearise() error {
	for i := range s.u {
		q := &s.p.Parameters[i]
		h := s.width(q, s.u[i])
		copy(s.at, s.u)
		if s.at[i]+h > q.scaled(q.High) {
			h = -h
		}
		s.at[i] += h
		if err := s.evaluate(s.at, s.jacobian[i]); err != nil {
			return err
		}
		for k := range s.jacobian[i] {
			s.jacobian[i][k] = (s.jacobian[i][k] - s.r[k]) / h
		}
	}
	for i := range s.u {
		s.slope[i] = s.dot(s.jacobian[i], s.r)
		for j := range i + 1 {
			s.normal[i][j] = s.dot(s.jacobian[i], s.jacobian[j])
			s.normal[j][i] = s.normal[i][j]
		}
	}
	return nil
}

// width of a difference: relative to the value, but no less than to the range.
func (s *search) width(q *Parameter, u float64) float64 {
	step := q.Step
	if step == 0 {
		step = 1e-4
	}
	if q.Log {
		return step
	}
	return step * max(math.Abs(u), 0.05*(q.High-q.Low))
}

func (s *search) dot(a, b []float64) float64 {
	var sum float64
	for k := range a {
		z := s.r[k] / s.p.Scale
		sum += s.p.weight(k) / math.Sqrt(1+z*z) * a[k] * b[k]
	}
	return sum
}

// step moves to a better point, damping until there is one; without one it stays.
func (s *search) step(loss, damping float64) (float64, float64, error) {
	const most = 1e9
	for ; damping < most; damping *= 10 {
		move, ok := s.solve(damping)
		if !ok {
			continue
		}
		for i := range s.u {
			q := &s.p.Parameters[i]
			s.at[i] = min(max(s.u[i]-move[i], q.scaled(q.Low)), q.scaled(q.High))
		}
		if err := s.evaluate(s.at, s.try); err != nil {
			return loss, damping, err
		}
		if next := s.p.loss(s.try); next < loss {
			copy(s.u, s.at)
			copy(s.r, s.try)
			return next, max(damping/10, 1e-9), nil
		}
	}
	return loss, damping, nil
}

// solve is the damped normal equations by elimination. A parameter at a bound that
// the slope pushes against stays there.
func (s *search) solve(damping float64) ([]float64, bool) {
	n := len(s.u)
	a := make([][]float64, n)
	for i := range n {
		a[i] = append(append(make([]float64, 0, n+1), s.normal[i]...), s.slope[i])
		a[i][i] += damping*s.normal[i][i] + 1e-12
		q := &s.p.Parameters[i]
		if (s.u[i] <= q.scaled(q.Low) && s.slope[i] > 0) || (s.u[i] >= q.scaled(q.High) && s.slope[i] < 0) {
			for j := range a[i] {
				a[i][j] = 0
			}
			a[i][i] = 1
		}
	}
	for i := range n {
		p := i
		for j := i + 1; j < n; j++ {
			if math.Abs(a[j][i]) > math.Abs(a[p][i]) {
				p = j
			}
		}
		if a[p][i] == 0 {
			return nil, false
		}
		a[i], a[p] = a[p], a[i]
		for j := i + 1; j < n; j++ {
			f := a[j][i] / a[i][i]
			for k := i; k <= n; k++ {
				a[j][k] -= f * a[i][k]
			}
		}
	}
	x := make([]float64, n)
	for i := n - 1; i >= 0; i-- {
		x[i] = a[i][n]
		for j := i + 1; j < n; j++ {
			x[i] -= a[i][j] * x[j]
		}
		x[i] /= a[i][i]
	}
	return x, true
}
