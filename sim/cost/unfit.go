package cost

import (
	"fmt"
	"strings"
)

// unfit says why a model does not fit, with the arithmetic and what would fit.
func (m *Memory) unfit(s *Stepper) error {
	if m.holdsOne() {
		return nil
	}
	gb := func(b int64) string { return fmt.Sprintf("%.2f GB", float64(b)/1e9) }
	var parts, items []string
	for _, w := range m.Weights {
		parts = append(parts, w.Name+" "+gb(w.Bytes))
	}
	one := m.SequenceBytes(1)
	sum := one
	for _, i := range m.Items() {
		sum += i.Bytes
		text := i.Name + " " + gb(i.Bytes)
		if i.Name == weightsItem {
			text += " (" + strings.Join(parts, ", ") + ")"
		}
		items = append(items, text)
	}
	return fmt.Errorf("%s does not fit a rank of %s with %s: %s + cache of one sequence %s = %s > %s; %s",
		s.config.Model.Name, s.config.Chip.Name, s.config.Layout, strings.Join(items, " + "), gb(one), gb(sum), gb(m.Capacity), s.remedy())
}

// holdsOne reports that a rank has room for a sequence.
func (m *Memory) holdsOne() bool { return m.Free >= m.SequenceBytes(1) }

// fewestTokens is the smallest prompt budget that a remedy names.
const fewestTokens = 256

// widest is the most ranks that a remedy names.
const widest = 1 << 16

// remedy names what would make the model fit: a smaller workspace, or the wider layout
// with the fewest ranks. Each has been tried by the account that refused the layout, so
// that it fits when it is followed. On the same ranks no layout holds less than one
// whose tensors and experts are cut over all of them, so what is tried has twice the
// ranks, four times, and so on: more of those that hold experts, or else tensors, or more stages.
func (s *Stepper) remedy() string {
	for c := s.config; c.MaxTokens > fewestTokens; {
		c.MaxTokens, c.MaxSequences = c.MaxTokens/2, max(1, c.MaxSequences/2)
		if c.holds() {
			return fmt.Sprintf("max_tokens %d and max_sequences %d would leave room", c.MaxTokens, c.MaxSequences)
		}
	}
	for by := 2; by <= widest; by *= 2 {
		for _, l := range s.config.wider(by) {
			c := s.config
			c.Layout = l
			if !c.holds() {
				continue
			}
			chips := ceilDiv(int64(l.TP*l.DP*l.PP*l.CP), int64(max(1, c.Chip.Dies)))
			if have := s.config.Topology.Chips; chips > int64(have) {
				return fmt.Sprintf("%s would, on %d chips, which are more than the %d of %s; on these it takes weights in fewer bytes", l, chips, have, c.Topology.Name)
			}
			return fmt.Sprintf("%s would, on %d chips", l, chips)
		}
	}
	return "no wider layout would: it takes weights or a cache in fewer bytes"
}

// wider are layouts with so many times the ranks: by experts over more data-parallel
// ranks, by tensors, by stages, and by tensors and stages.
func (c *Config) wider(by int) []Layout {
	var all []Layout
	for tp := by; tp >= 1; tp /= 2 {
		l := c.Layout
		l.TP *= tp
		l.PP *= by / tp
		if l.EP > 1 && l.groups() == 1 {
			l.EP *= tp
		} else if l.EP > 1 {
			l.EP = l.TP * l.groups()
		}
		all = append(all, c.filled(l))
	}
	if l := c.Layout; l.EP > 1 && l.groups() > 1 {
		l.DP, l.EP = l.DP*by, l.EP*by
		all = append([]Layout{c.filled(l)}, all...)
	}
	return all
}

// filled adds the redundant experts that let EP divide the slots.
func (c *Config) filled(l Layout) Layout {
	if n := int(c.Model.Experts()); n > 0 && (n+l.Redundant)%l.EP != 0 {
		l.Redundant = (l.EP - n%l.EP) % l.EP
	}
	return l
}

// holds reports whether a rank of a configuration has room for a sequence, on as many
// chips as it takes.
func (c Config) holds() bool {
	c.Layout.Routing = Routing{Kind: Uniform} // which changes no bytes
	endless := *c.Topology
	endless.Chips = widest
	c.Topology = &endless
	if c.check() != nil {
		return false
	}
	s := &Stepper{config: c, breaks: len(c.Model.Breaks), verify: float64(1 + c.Drafts)}
	if s.stacks() != nil {
		return false
	}
	m := s.account()
	return m.holdsOne()
}
