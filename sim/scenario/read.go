package scenario

import (
	"bytes"
	"fmt"
	"math"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/route/policy"
	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/traces"
)

// Fault takes what is wrong with the value at a dotted path of the scenario.
type Fault func(path, format string, args ...any)

// Check reports what is wrong with a scenario beyond its own structure: names that
// only those know who resolve them.
type Check func(s *Scenario, fault Fault)

// Read reads a scenario file strictly: every fault is reported with its line, those
// that the checks find as well. It fills nothing in; Defaults does.
func Read(name string, data []byte, checks ...Check) (*Scenario, error) {
	s := &Scenario{}
	doc := spec.Parse(name, data, s)
	doc.Explain(elsewhere())
	// What could not be read is zero: only what could is checked beside it.
	fault := doc.ErrorfUnlessFaulty
	if s.Version == 0 {
		fault("version", "must be %d, got %d", Version, s.Version)
	}
	if doc.Loaded() {
		file := keysOf(data)
		for _, path := range zeros(file, s) {
			fault(path, "%s", zeroFault(path))
		}
		s.seedZero = s.Seed == 0 && file["seed"] != nil
		d, _ := file["deployment"].(map[string]any)
		mtp, _ := d["mtp"].(map[string]any)
		s.Deployment.MTP.Off = s.Deployment.MTP.Drafts == 0 && mtp["drafts"] != nil
	}
	s.check(fault, checks)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Marshal writes the scenario as a file that reads back identically.
func (s *Scenario) Marshal() ([]byte, error) {
	var out bytes.Buffer
	d, err := yaml.NewDumper(&out, yaml.WithIndent(2))
	if err != nil {
		return nil, err
	}
	if err := d.Dump(s); err != nil {
		return nil, err
	}
	return out.Bytes(), d.Close()
}

// CheckAs reports every fault of a scenario that stands at a path of a larger file.
func (s *Scenario) CheckAs(doc *spec.Doc, at string, checks ...Check) {
	fault := func(path, format string, args ...any) { doc.Errorf(at+"."+path, format, args...) }
	s.missing(fault)
	s.check(fault, checks)
}

// Validate reports every fault that shows without loading what the scenario names.
func (s *Scenario) Validate(checks ...Check) error {
	var problems spec.Problems
	fault := func(path, format string, args ...any) {
		problems = append(problems, spec.Problem{File: "scenario", Path: path, Text: fmt.Sprintf(format, args...)})
	}
	s.missing(fault)
	s.check(fault, checks)
	if len(problems) == 0 {
		return nil
	}
	return problems
}

// Defaults fills in what a scenario leaves open, but for layouts, rates and numbers
// of requests, which a plan decides. An SLO is taken as it is given: only where there is
// none at all stands the default one.
func (s *Scenario) Defaults() {
	if s.Version == 0 {
		s.Version = Version
	}
	if s.Seed == 0 && !s.seedZero {
		s.Seed = 1
	}
	if s.SLO == (slo.Limits{}) {
		s.SLO = slo.Default()
	}
	s.Router.defaults()
	d := &s.Deployment
	if d.Routing == "" {
		d.Routing = DefaultRouting
	}
	if d.Mode == "" {
		d.Mode = "auto"
		switch {
		case d.Serve != nil:
			d.Mode = "aggregated"
		case d.Prefill != nil && d.Decode != nil:
			d.Mode = "disaggregated"
		}
	}
	for _, p := range d.pools() {
		p.pool.defaults()
	}
	s.workloadDefaults()
}

func (p *Pool) defaults() {
	for _, n := range []*int{&p.TP, &p.DP, &p.PP, &p.CP} { // EP depends on the model
		if *n == 0 {
			*n = 1
		}
	}
}

func (s *Scenario) workloadDefaults() {
	if s.Trace == nil && s.Workload == nil {
		s.Workload = &Workload{}
	}
	if t := s.Trace; t != nil {
		if t.Format == "" {
			t.Format = "auto"
		}
		if t.RateScale == 0 {
			t.RateScale = 1
		}
	}
	if w := s.Workload; w != nil {
		if w.Profile == "" && (w.InputTokens == nil || w.OutputTokens == nil) {
			w.Profile = "chat"
		}
		if w.Start == "" {
			w.Start = "stationary"
			if w.Concurrency > 0 || w.AllAtOnce() {
				w.Start = "empty"
			}
		}
		if w.Window == "" && w.Concurrency > 0 {
			w.Window = "steady"
		}
	}
}

// defaults name the first policy where none is named, and a policy's own weight.
func (r *Router) defaults() {
	p, err := policy.Find(r.Policy)
	if err != nil {
		return // check says so
	}
	r.Policy = p.Name
	if p.Weighs && r.Weight == nil {
		weight := p.Weight
		r.Weight = &weight
	}
}

func (r *Router) check(fault Fault) {
	p, err := policy.Find(r.Policy)
	if err != nil {
		fault("router.policy", "%v", err)
		return
	}
	if r.Weight != nil {
		if err := p.CheckWeight(*r.Weight); err != nil {
			fault("router.weight", "%v", err)
		}
	}
}

// missing reports references that a scenario cannot do without.
func (s *Scenario) missing(fault Fault) {
	if s.Model == "" {
		fault("model", "is missing; name one of `clustersim model list`, a file, or a config.json")
	}
	if s.Topology == "" {
		fault("topology", "is missing; name one of `clustersim topo list` or a file")
	}
}

// check reports every fault of what is there with its path. What is missing may still
// come from flags.
func (s *Scenario) check(fault Fault, checks []Check) {
	if s.Trace != nil && s.Workload != nil {
		fault("workload", "a scenario has either a trace or a workload, not both")
	}
	if t := s.Trace; t != nil {
		t.check(fault)
	}
	if w := s.Workload; w != nil {
		w.check(fault)
	}
	if s.Version != 0 && s.Version != Version {
		fault("version", "must be %d, got %d", Version, s.Version)
	}
	s.checkPatches(fault)
	s.Router.check(fault)
	s.Limits.check(fault)
	s.checkLength(fault)
	s.Deployment.check(fault)
	for _, check := range checks {
		check(s, fault)
	}
}

func (t *Trace) check(fault Fault) {
	if t.File == "" {
		fault("trace.file", "is missing; give a path, - for standard input, or sample")
	}
	if t.Limit < 0 {
		fault("trace.limit", "must be at least 0 (all), got %d", t.Limit)
	}
	if t.From < 0 || t.To < 0 {
		fault("trace.from", "and to must be recorded times of at least 0, got %s and %s", t.From, t.To)
	} else if t.To > 0 && t.To <= t.From {
		fault("trace.to", "must be later than from (%s), got %s", t.From, t.To)
	}
	if !(t.RateScale >= 0) || t.RateScale > 1e9 {
		fault("trace.rate_scale", "must be above 0 and at most 1e9, got %v", t.RateScale)
	}
}

func (w *Workload) check(fault Fault) {
	if !(w.Rate >= 0) || w.Rate > 1e9 {
		fault("workload.rate", "must be above 0 and at most 1e9 requests a second, got %v", w.Rate)
	}
	if w.Requests < 0 {
		fault("workload.requests", "must be at least 1, got %d", w.Requests)
	}
	if w.Concurrency < 0 {
		fault("workload.concurrency", "must be at least 1, got %d", w.Concurrency)
	}
	if w.Concurrency > 0 && w.Rate > 0 {
		fault("workload.concurrency", "a closed loop has no rate; leave out one of the two")
	}
	if w.Concurrency > 0 && w.Duration > 0 {
		fault("workload.duration", "a closed loop ends after a number of requests; give requests instead")
	}
	if w.Concurrency == 0 && w.ThinkTime > 0 {
		fault("workload.think_time", "belongs to a closed loop; give concurrency, or leave it out")
	}
	if w.ThinkTime%1_000_000 != 0 {
		fault("workload.think_time", "must be a whole number of milliseconds, got %v", w.ThinkTime)
	}
	if limit := w.longestThink(); w.ThinkTime < 0 || w.ThinkTime > limit {
		fault("workload.think_time", "must be between 0 and %v, so that requests: %d with concurrency: %d stay within the clock's 292 years; got %v",
			limit, w.Requests, w.Concurrency, w.ThinkTime)
	}
	if w.Arrivals != "" {
		var a traces.Arrivals
		if err := a.UnmarshalText([]byte(w.Arrivals)); err != nil {
			fault("workload.arrivals", "%v", err)
		}
		if a.AllAtOnce() {
			w.checkBurst(fault)
		}
		if w.Concurrency > 0 {
			fault("workload.arrivals", "a closed loop has no arrival process; leave it out")
		}
	}
	switch w.Window {
	case "", "all":
	case "steady":
		if w.AllAtOnce() {
			fault("workload.window", "requests that all arrive at once have no steady state; leave it out")
		}
	default:
		fault("workload.window", "%v", spec.UnknownName("window", w.Window, []string{"steady", "all"}))
	}
	switch w.Start {
	case "", "empty":
	case "stationary":
		if w.Concurrency > 0 {
			fault("workload.start", "a closed loop starts empty; leave it out")
		}
	default:
		fault("workload.start", "%v", spec.UnknownName("start", w.Start, []string{"stationary", "empty"}))
	}
}

// longestThink is the think time with which the clients spend a quarter of the clock
// thinking, to the hour below where it is over one. They take turns, so that each thinks
// once for every request of its share, and once more before and after.
func (w *Workload) longestThink() spec.Duration {
	const hour = 3600 * 1_000_000_000
	turns := 3 + min(max(0, w.Requests)/int64(max(1, w.Concurrency)), math.MaxInt32<<16)
	limit := math.MaxInt64 / 4 / turns
	if limit > hour {
		limit -= limit % hour
	}
	return spec.Duration(limit)
}

// checkBurst reports what requests that all arrive at once cannot have.
func (w *Workload) checkBurst(fault Fault) {
	if w.Rate > 0 {
		fault("workload.rate", "requests that all arrive at once have no rate; leave it out, or give arrivals burst(N)")
	}
	if w.Duration > 0 {
		fault("workload.duration", "requests that all arrive at once are given by their number; give requests instead")
	}
	if w.Start == "stationary" {
		fault("workload.start", "requests that all arrive at once find an empty system; leave it out")
	}
}

// Modes are how pools can be divided; auto leaves it to a plan.
func Modes() []string { return []string{"auto", "aggregated", "disaggregated"} }

func (d *Deployment) check(fault Fault) {
	switch d.Mode {
	case "", "auto":
	case "aggregated":
		if d.Prefill != nil || d.Decode != nil {
			fault("deployment.mode", "aggregated instances are described by deployment.serve, not by prefill and decode")
		}
	case "disaggregated":
		if d.Serve != nil {
			fault("deployment.mode", "disaggregated pools are described by deployment.prefill and decode, not by serve")
		}
	default:
		fault("deployment.mode", "%v", spec.UnknownName("mode", d.Mode, Modes()))
	}
	if d.Serve != nil && (d.Prefill != nil || d.Decode != nil) {
		fault("deployment.serve", "stands beside prefill or decode; give either serve or those two")
	}
	if d.MTP.Drafts < 0 || d.MTP.Drafts > 16 {
		fault("deployment.mtp.drafts", "must be between 0 and 16, got %d", d.MTP.Drafts)
	}
	if a := d.MTP.AcceptedLength; a != 0 && !(a >= 1 && a <= float64(d.MTP.Drafts+1)) {
		fault("deployment.mtp.accepted_length", "must be between 1 and drafts + 1 = %d, got %v", d.MTP.Drafts+1, a)
	}
	for _, p := range d.pools() {
		p.pool.check(p.path, fault)
		if own := p.pool.Overlap; own != "" && d.Overlap != "" && own != d.Overlap {
			fault("deployment.overlap", "%s of all pools, and %s.overlap says %s; give one of the two (null leaves one open)", d.Overlap, p.path, own)
		}
	}
}

// placed is a pool by its path.
type placed struct {
	path string
	pool *Pool
}

// pools are those that there are.
func (d *Deployment) pools() []placed {
	var out []placed
	for _, p := range []placed{{"deployment.prefill", d.Prefill}, {"deployment.decode", d.Decode}, {"deployment.serve", d.Serve}} {
		if p.pool != nil {
			out = append(out, p)
		}
	}
	return out
}

func (p *Pool) check(path string, fault Fault) {
	for _, n := range []struct {
		name  string
		value int
	}{
		{"instances", p.Instances}, {"tp", p.TP}, {"dp", p.DP}, {"ep", p.EP}, {"pp", p.PP}, {"cp", p.CP},
		{"max_tokens", p.MaxTokens}, {"max_sequences", p.MaxSequences}, {"experts.redundant", p.Experts.Redundant},
	} {
		if n.value < 0 || n.value > 1<<24 {
			fault(path+"."+n.name, "must be between 0 and %d, got %d", 1<<24, n.value)
		}
	}
}

// Incomplete lists the paths that are left open for a plan to decide. A scenario that
// leaves none open runs as it stands.
func (s *Scenario) Incomplete() []string {
	var open []string
	add := func(is bool, path string) {
		if is {
			open = append(open, path)
		}
	}
	d := &s.Deployment
	switch d.Mode {
	case "aggregated":
		add(d.Serve == nil, "deployment.serve")
	case "disaggregated":
		add(d.Prefill == nil, "deployment.prefill")
		add(d.Decode == nil, "deployment.decode")
	default:
		add(true, "deployment.mode")
	}
	for _, p := range d.pools() {
		add(p.pool.Instances == 0, p.path+".instances")
	}
	if w := s.Workload; w != nil {
		add(w.Concurrency == 0 && w.Rate == 0 && !w.AllAtOnce(), "workload.rate")
		add(w.Requests == 0 && w.Duration == 0, "workload.requests")
	}
	return open
}
