package cost

import (
	"errors"
	"fmt"
)

// check names every rule that a configuration breaks.
func (c *Config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Model == nil {
		fail("model: none given")
	}
	if c.Topology == nil {
		fail("topology: none given")
	}
	if c.Chip == nil {
		fail("chip: none given, and the topology has none")
	}
	l := c.Layout
	for _, d := range []struct {
		name string
		v    int
	}{{"tp", l.TP}, {"dp", l.DP}, {"pp", l.PP}, {"ep", l.EP}, {"cp", l.CP}} {
		if d.v < 1 || d.v > 1<<20 {
			fail("%s: must be from 1 to %d, got %d", d.name, 1<<20, d.v)
		}
	}
	if l.Redundant < 0 {
		fail("redundant: must not be negative, got %d", l.Redundant)
	}
	if _, err := ParseExchange(string(l.Exchange)); err != nil {
		errs = append(errs, err)
	}
	switch c.Role {
	case Prefill, Decode, Mixed:
	default:
		fail("role: must be %s, %s or %s, got %q", Prefill, Decode, Mixed, c.Role)
	}
	for _, d := range []struct {
		name string
		v    int
	}{{"max_tokens", c.MaxTokens}, {"max_sequences", c.MaxSequences}, {"page_tokens", c.PageTokens}} {
		if d.v < 1 || d.v > 1<<24 {
			fail("%s: must be from 1 to %d, got %d", d.name, 1<<24, d.v)
		}
	}
	if c.Model == nil || c.Topology == nil || c.Chip == nil || min(l.TP, l.DP, l.PP, l.EP, l.CP) < 1 {
		return errors.Join(errs...)
	}
	errs = append(errs, c.checkChips(), c.checkContext(), c.checkExperts(), c.checkDrafts())
	return errors.Join(errs...)
}

func (c *Config) checkChips() error {
	l := c.Layout
	dies := max(1, c.Chip.Dies)
	ranks, degrees := float64(l.TP)*float64(l.DP)*float64(l.PP)*float64(l.CP), fmt.Sprintf("TP %d × DP %d × PP %d", l.TP, l.DP, l.PP)
	if l.CP > 1 {
		degrees += fmt.Sprintf(" × CP %d", l.CP)
	}
	var errs []error
	if have := float64(c.Topology.Chips) * float64(dies); ranks > have {
		errs = append(errs, fmt.Errorf("layout: %s = %.0f ranks, but %s has %d chips of %d dies: %.0f ranks",
			degrees, ranks, c.Topology.Name, c.Topology.Chips, dies, have))
	}
	if l.PP > len(c.Model.Layers) {
		errs = append(errs, fmt.Errorf("pp: %d stages for %d layers of %s", l.PP, len(c.Model.Layers), c.Model.Name))
	}
	errs = append(errs, c.checkHeads())
	return errors.Join(errs...)
}

// checkHeads refuses a TP that would cut a head: engines give every rank whole ones, as
// many as the others, and copies of a key-value head where there are fewer of these
// (vLLM: ModelConfig.verify_with_parallel_config and QKVParallelLinear; SGLang and
// TensorRT-LLM assert the same). A linear layer's key heads have a state and are not copied.
func (c *Config) checkHeads() error {
	tp, name := int64(c.Layout.TP), c.Model.Name
	for _, layer := range c.Model.Layers {
		a := layer.Attention
		keys := max(1, a.KVHeads)
		switch {
		case a.Heads%tp != 0:
			return fmt.Errorf("tp: engines refuse %d ranks, which do not divide the %d attention heads of %s", tp, a.Heads, name)
		case a.Design == "linear" && keys%tp != 0:
			return fmt.Errorf("tp: engines refuse %d ranks, which do not divide the %d key heads of the linear layers of %s", tp, keys, name)
		case keys%tp != 0 && tp%keys != 0:
			return fmt.Errorf("tp: engines refuse %d ranks for the %d key-value heads of %s: one must divide the other", tp, keys, name)
		}
	}
	return nil
}

func (c *Config) checkExperts() error {
	l := c.Layout
	experts := int64(0)
	for _, layer := range c.Model.Layers {
		if m := layer.FFN.MoE; m != nil {
			experts = max(experts, m.Experts)
		}
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if experts == 0 {
		if l.EP > 1 {
			fail("ep: %s has no experts, so only 1, got %d", c.Model.Name, l.EP)
		}
		if l.Redundant > 0 {
			fail("redundant: %s has no experts, got %d", c.Model.Name, l.Redundant)
		}
		return errors.Join(errs...)
	}
	slots := experts + int64(l.Redundant)
	switch {
	case l.groups() > 1 && l.EP != l.TP*l.groups() && (l.EP > 1 || l.TP > 1):
		fail("ep: with %s = %d, or 1 with TP 1, got %d", l.spread(), l.TP*l.groups(), l.EP)
	case l.groups() > 1 && l.TP > 1 && l.Exchange == Gather:
		fail("exchange: gather is modelled with TP 1, got %d", l.TP)
	case l.groups() == 1 && l.TP%l.EP != 0:
		fail("ep: with DP 1 it must divide TP %d, got %d", l.TP, l.EP)
	}
	switch {
	case int64(l.EP) > slots:
		fail("ep: %d ranks for %d experts + %d redundant = %d slots: some would hold none", l.EP, experts, l.Redundant, slots)
	case slots%int64(l.EP) != 0:
		up := ceilDiv(slots, int64(l.EP)) * int64(l.EP)
		fail("ep: %d must divide %d experts + %d redundant = %d slots; %d redundant would do", l.EP, experts, l.Redundant, slots, up-experts)
	}
	if l.Routing.Kind == Histogram && int64(len(l.Routing.Histogram)) != experts {
		fail("routing: the histogram has %d experts, %s has %d", len(l.Routing.Histogram), c.Model.Name, experts)
	}
	return errors.Join(errs...)
}

// spread says over which ranks experts are spread where TP groups have rows of their own.
func (l Layout) spread() string {
	if l.CP > 1 {
		return fmt.Sprintf("context parallelism it is TP × CP × DP = %d × %d × %d", l.TP, l.CP, l.DP)
	}
	return fmt.Sprintf("data-parallel attention it is TP × DP = %d × %d", l.TP, l.DP)
}

func (c *Config) checkDrafts() error {
	switch {
	case c.Drafts < 0 || c.Drafts > 64:
		return fmt.Errorf("drafts: must be from 0 to 64, got %d", c.Drafts)
	case c.Drafts > 0 && len(c.Model.MTP) == 0:
		return fmt.Errorf("drafts: %s has no MTP layers, so only 0, got %d", c.Model.Name, c.Drafts)
	case c.Drafts > 0 && c.Accepted != 0 && !(c.Accepted >= 1 && c.Accepted <= float64(1+c.Drafts)):
		return fmt.Errorf("accepted: a verify step of %d drafts yields 1 to %d tokens, got %g", c.Drafts, 1+c.Drafts, c.Accepted)
	}
	return nil
}
