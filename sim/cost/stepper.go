package cost

import (
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// Stepper prices the steps of one kind of instance. It keeps tables of what it
// has priced and scratch space, so it is not safe for concurrent use; make one a
// goroutine.
type Stepper struct {
	config      Config
	laws        *law.Set
	comms       comms
	memory      Memory
	breaks      int
	mixed       bool    // some layer has experts
	verify      float64 // rows a sequence decodes a step: 1 + drafts
	smallKernel float64 // seconds
	perByte     float64 // seconds of a byte at a rank's HBM bandwidth
	main, draft stack
	heads       table[part]
	works       []work
	busy        []int                 // ranks that have work in the step being priced
	relief      *[cause.Count]float64 // shares of time that are left, by cause; nil for all of it
}

// New checks a configuration and prepares to price its steps. The error names
// every rule that the configuration breaks, with the arithmetic.
func New(c Config) (*Stepper, error) {
	s, err := build(c)
	if err != nil {
		return nil, err
	}
	s.memory = s.account()
	if err := errors.Join(s.memory.unfit(s), s.blocks()); err != nil {
		return nil, err
	}
	return s, nil
}

// CheckChip reports operator constants of a chip that no law takes, with the places where
// the files that it was read from have them.
func CheckChip(chip *topologies.Chip, from *topologies.Source) error {
	_, err := law.New(chip)
	many, is := err.(interface{ Unwrap() []error })
	if !is {
		return err
	}
	var faults []error
	for _, err := range many.Unwrap() {
		var w *law.Wrong
		if errors.As(err, &w) {
			if at := from.Where(w.Chip, w.Path); at != "" {
				err = fmt.Errorf("%s: %s", at, w.Text)
			}
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// build is New up to the account of memory.
func build(c Config) (*Stepper, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	laws, err := law.New(c.Chip)
	if err != nil {
		return nil, err
	}
	s := &Stepper{config: c, laws: laws, breaks: len(c.Model.Breaks), verify: float64(1 + c.Drafts), works: make([]work, c.Layout.DP)}
	if s.comms, err = newComms(&s.config); err != nil {
		return nil, err
	}
	s.perByte = 1 / s.hbm()
	if !c.Engine.FusesSmallKernels {
		s.smallKernel = laws.SmallKernel()
	}
	if err := s.formats(); err != nil {
		return nil, err
	}
	if err := s.stacks(); err != nil {
		return nil, err
	}
	if err := s.priced(); err != nil {
		return nil, err
	}
	for i := range s.main.ffns {
		s.mixed = s.mixed || s.main.ffns[i].moe != nil
	}
	return s, nil
}

// fill puts defaults where the configuration has zeros.
func (c *Config) fill() error {
	if c.Layout.EP == 0 && c.Model != nil {
		c.Layout.EP = DefaultEP(c.Model, c.Layout.TP, c.Layout.DP, c.Layout.CP)
	}
	c.Layout = c.Layout.withDefaults()
	if c.Chip == nil && c.Topology != nil {
		c.Chip = c.Topology.Chip
	}
	if c.Role == "" {
		c.Role = Mixed
	}
	if c.Chip == nil {
		return nil
	}
	if c.Engine == nil {
		e, err := DefaultEngine(c.Chip)
		if err != nil {
			return err
		}
		c.Engine = e
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = c.Engine.MaxTokens.Of(c.Role)
	}
	if c.MaxSequences == 0 {
		c.MaxSequences = c.Engine.MaxSequences.Of(c.Role)
	}
	if c.PageTokens == 0 {
		c.PageTokens = c.Engine.PageTokens
		if c.Model != nil {
			c.PageTokens = c.Engine.pageTokens(c.Model)
		}
	}
	if c.Layout.Overlap == "" {
		c.Layout.Overlap = c.Engine.Overlap.Of(c.Role)
		if c.Role != Prefill && c.Engine.Libraries.Dispatch == "megamoe" {
			c.Layout.Overlap = Wave
		}
	}
	return nil
}

// stacks groups the layers of the main model and of the draft module.
func (s *Stepper) stacks() error {
	m := s.config.Model
	var errs []error
	for _, l := range m.Layers {
		errs = append(errs, s.addLayer(&s.main, l))
	}
	for i := range s.config.Drafts {
		errs = append(errs, s.addLayer(&s.draft, m.MTP[min(i, len(m.MTP)-1)]))
	}
	for _, err := range errs {
		if err != nil { // the first of a design; every layer of it says the same
			return fmt.Errorf("model %s: %w", m.Name, err)
		}
	}
	for i := range s.main.attentions {
		s.main.attentions[i].sparse(s.verify, m.Breaks)
	}
	if s.config.Drafts > 0 {
		s.draft.linears = shardLinears(m.MTPLinears, 1, s.config.Chip)
	}
	return nil
}

func (s *Stepper) addLayer(st *stack, l models.Layer) error {
	s.addFFN(&st.ffns, l.FFN)
	st.layers++
	return s.addAttention(&st.attentions, l.Attention)
}

// Memory is the account of one rank's HBM.
func (s *Stepper) Memory() Memory { return s.memory }

// Config is the configuration with every default filled in.
func (s *Stepper) Config() Config { return s.config }

// Assumptions are the constants that the chip's laws and the topology's
// collectives take from elsewhere, one sentence each.
func (s *Stepper) Assumptions() []string {
	return append(s.laws.Assumptions(s.classes()...), s.comms.assumptions()...)
}

// Ranks is how many ranks one instance takes: dies on dual-die chips.
func (s *Stepper) Ranks() int {
	l := s.config.Layout
	return l.TP * l.DP * l.PP * l.CP
}

// Chips is how many packages one instance takes.
func (s *Stepper) Chips() int {
	dies := max(1, s.config.Chip.Dies)
	return (s.Ranks() + dies - 1) / dies
}

// InvariantError is a step that beats physics: a fault of the program, with the
// configuration that shows it.
type InvariantError struct {
	What   string
	Used   float64 // seconds at the peak
	Within float64 // seconds of the step
	Config string
}

func (e *InvariantError) Error() string {
	return fmt.Sprintf("cost: %s above 1: %.9g s of work at the peak in a step of %.9g s (%s)", e.What, e.Used, e.Within, e.Config)
}

// describe names a configuration in errors.
func (s *Stepper) describe() string {
	c := s.config
	return fmt.Sprintf("%s on %s, chip %s, %s, engine %s, %s, overlap %s, %d drafts",
		c.Model.Name, c.Topology.Name, c.Chip.Name, c.Layout, c.Engine.Name, c.Role, c.Layout.Overlap, c.Drafts)
}

// physics checks that nothing beats the chip's or the links' peaks.
func (s *Stepper) physics(p *part, seconds float64) {
	if s.relief != nil {
		return // it has more than the chip
	}
	within := seconds*(1+1e-9) + 1e-9
	var errs []error
	test := func(what string, used float64) {
		if used > within {
			errs = append(errs, &InvariantError{What: what, Used: used, Within: seconds, Config: s.describe()})
		}
	}
	if p.atPeak > within {
		test("MFU", p.atPeak)
	}
	if hbm := p.bytes / s.hbm(); hbm > within {
		test("MBU", hbm)
	}
	for t := range p.link {
		if p.link[t] > 0 && p.link[t] > within*s.comms.linkRate[t] {
			test(s.config.Topology.Tiers[t].Name+" link utilisation", p.link[t]/s.comms.linkRate[t])
		}
	}
	if errs != nil {
		panic(errors.Join(errs...))
	}
}

func (s *Stepper) hbm() float64 {
	return float64(s.config.Chip.Memory.Bandwidth) / float64(max(1, s.config.Chip.Dies))
}
