package cost

import (
	"errors"
	"fmt"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/topologies"
)

// contextShare is what one layer's attention on a rank has from the other
// context-parallel ranks, in bytes as the cache stores them.
type contextShare struct {
	gathered float64 // a token: entries and index keys of all tokens, which every rank keeps
	windowed float64 // a token of a window: what its next block attends to
	state    float64 // a block: rows that a compressor has pending
	format   models.Format
}

// contextOf splits an attention's cache pieces by who needs them; share is the rank's part
// of what tensor parallelism divides.
func contextOf(a *models.Attention, share float64) (c contextShare) {
	for _, p := range a.Pieces {
		c.format = p.Format
		bytes := float64(p.BytesStored) / float64(p.Stride)
		if p.PerHead {
			bytes *= share
		}
		if p.StoreBreak == 0 {
			c.gathered += bytes
		} else {
			c.windowed += bytes
		}
	}
	c.state = float64(a.StateBytes)
	return c
}

// passed is what a rank hands to its neighbours at the ends of its two blocks of a chunk:
// the window before the next block, of no more than the chunk, and the compressor's rows.
func (k *attention) passed(chunk float64) float64 {
	return k.context.windowed*min(2*k.window, chunk) + 2*k.context.state
}

// contextParallel books what every layer costs a context-parallel group: an all-gather
// of the chunk's cache entries, which each rank writes into a cache of its own, and a
// message to either neighbour of what reaches over a block's end. rows are a rank's.
func (s *Stepper) contextParallel(p *part, r *recorder, st *stack, rows float64) {
	cp := float64(s.config.Layout.CP)
	if cp == 1 {
		return
	}
	chunk := rows * cp
	for i := range st.attentions {
		k := &st.attentions[i]
		o := operator{kind: k.label, class: "all-gather", precision: string(k.context.format), m: chunk}
		if o.bytes = chunk * k.context.gathered; o.bytes > 0 {
			o.name, o.n = "gather entries", k.context.gathered
			g := s.comms.share(o.bytes)
			p.communicate(r, o, k.count, &g)
			p.bytes += k.count * o.bytes * (1 - 1/cp)
		}
		if o.bytes = k.passed(chunk); o.bytes > 0 {
			o.name, o.class, o.n = "hand over windows", "send", k.context.windowed
			x := s.comms.pass(o.bytes)
			p.communicate(r, o, k.count, &x)
			p.bytes += k.count * o.bytes
		}
	}
}

// gatherHidden books the gather of the last layer's rows, chunk of a rank, that puts a
// prompt back in order before the head.
func (s *Stepper) gatherHidden(p *part, r *recorder, chunk float64) {
	cp := s.config.Layout.CP
	if cp == 1 || chunk == 0 {
		return
	}
	rows, width := chunk*float64(cp), float64(s.config.Model.Hidden)
	o := operator{kind: "head", name: "gather prompt", class: "all-gather", precision: string(topologies.BF16), m: rows, n: width, bytes: 2 * rows * width}
	g := s.comms.share(o.bytes)
	p.communicate(r, o, 1, &g)
	p.bytes += o.bytes * (1 - 1/float64(cp))
}

// gatheredBytes is the workspace that a rank has for what it gathers at MaxTokens: the
// last layer's rows, or the keys and values of all heads where MLA projects them again.
func (s *Stepper) gatheredBytes() int64 {
	if s.config.Layout.CP == 1 {
		return 0
	}
	widest := float64(s.config.Model.Hidden)
	for i := range s.main.attentions {
		if again, err := s.main.attentions[i].reprojects(); err == nil && again != nil {
			widest = max(widest, again.n)
		}
	}
	return 2 * int64(s.config.MaxTokens) * int64(widest)
}

// checkContext refuses context parallelism where no engine has it or its price is unknown.
func (c *Config) checkContext() error {
	cp := c.Layout.CP
	if cp == 1 {
		return nil
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Role == Decode || c.Role == Mixed {
		fail("cp: %d ranks would share each prompt of a %s instance, and only instances that prefill alone are modelled so: "+
			"what decodes is the same on every rank of the group (SGLang refuses --enable-prefill-cp on decode workers); use cp in the prefill pool of a disaggregated deployment", cp, c.Role)
	}
	if !c.Engine.ContextParallel {
		fail("cp: engine %s does not cut prompts over context-parallel ranks, so only 1, got %d; --set engine.context_parallel=true prices it all the same", c.Engine.Name, cp)
	}
	for _, layer := range c.Model.Layers {
		a := layer.Attention
		if f, err := formOf(a); err == nil && f == linearForm {
			fail("cp: %s has %s layers, whose state passes from one block of a prompt to the next: its ranks would wait for each other, so only 1, got %d", c.Model.Name, a.Label, cp)
			break
		}
	}
	if c.MaxTokens >= 1 && cp > c.MaxTokens {
		fail("cp: %d ranks share a step's %d prompt tokens (max_tokens): some would have none", cp, c.MaxTokens)
	}
	return errors.Join(errs...)
}
