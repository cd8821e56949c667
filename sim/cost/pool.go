package cost

import "github.com/clustersim/clustersim/models"

// pool is a rank's cache as blocks of one size, of which groups take what they need.
type pool struct {
	groups []group
	block  int64 // bytes of a block on the stage that has most of it
}

// newPool sizes a block: of every size as many tensors as the group that has most of
// them, on the stage whose block is largest.
func newPool(groups []group, stages int) *pool {
	p := &pool{groups: groups}
	for stage := range stages {
		most := map[int64]int64{}
		for i := range groups {
			for size, n := range groups[i].sizes[stage] {
				most[size] = max(most[size], n)
			}
		}
		bytes := int64(0)
		for size, n := range most {
			bytes += size * n
		}
		p.block = max(p.block, bytes)
	}
	return p
}

// hold writes what a sequence takes while it decodes into c: of each group the blocks of
// what it keeps, half a block for the last one, and for a window half a block at its
// other end.
func (p *pool) hold(c *cacheBytes, breaks []int64) {
	for i := range p.groups {
		g := &p.groups[i]
		at := -1
		for j, b := range breaks {
			if g.window == b || g.window == 0 && b == models.Unlimited {
				at = j
			}
		}
		switch {
		case g.window == state:
			c.fixed += p.block
		case g.window == 0:
			c.unit[at] += p.block * (c.scale / g.tokens)
			c.fixed += p.block / 2
		case at >= 0:
			c.unit[at] += p.block * (c.scale / g.tokens)
			c.fixed += p.block
		default: // of a few tokens that no law cuts at
			c.fixed += (ceilDiv(g.window, g.tokens) + 1) * p.block
		}
	}
}

// blocks is how many blocks a request of a length may take at once, its windows as long
// as a step of maxTokens makes them (SlidingWindowSpec.max_memory_usage_bytes).
func (p *pool) blocks(tokens, maxTokens int64) int64 {
	n := int64(0)
	for i := range p.groups {
		switch g := &p.groups[i]; g.window {
		case state:
			n++
		case 0:
			n += ceilDiv(tokens, g.tokens)
		default:
			n += ceilDiv(min(g.window-1+maxTokens, tokens), g.tokens) + 1
		}
	}
	return n
}

// inFlight is what the windows of a step of maxTokens take before it has ended, all
// sequences together.
func (p *pool) inFlight(maxTokens int64) int64 {
	n := int64(0)
	for i := range p.groups {
		if g := &p.groups[i]; g.window > 0 {
			n += ceilDiv(maxTokens, g.tokens)
		}
	}
	return n * p.block
}

// uneven reports groups whose blocks cover different numbers of tokens: blocks of
// such a pool cannot be counted as tokens.
func (p *pool) uneven() bool {
	least, most := p.blockTokens()
	return least != most
}

// blockTokens is the least and the most that a block covers of what grows.
func (p *pool) blockTokens() (least, most int64) {
	for i := range p.groups {
		if g := &p.groups[i]; g.window != state {
			if least == 0 || g.tokens < least {
				least = g.tokens
			}
			most = max(most, g.tokens)
		}
	}
	return least, most
}

// Holding is what a rank's cache holds in the units that engines print.
type Holding struct {
	Bytes int64 // of the rank's pool
	// Tokens is what the engine says at start-up that it holds, EngineBytes what that
	// makes a token, ModelBytes what a token adds to a long sequence by the model's own
	// figures.
	Tokens                  int64
	EngineBytes, ModelBytes float64
}

// Holds is the cache of one rank. Layers that keep every token alike have pages of so many
// tokens. Where layers hold different things, vLLM counts the blocks of one group, as if
// all groups took as many; others, and vLLM where blocks cover different numbers of tokens,
// count requests of the longest context. vLLM after 0.19 does so for every pool
// (vllm-project/vllm#40694): of two groups it prints more tokens, and as many requests.
func (m *Memory) Holds() Holding {
	c := Holding{Bytes: max(0, m.Free), ModelBytes: m.exact.slope()}
	switch p := m.pool; {
	case p != nil && !p.uneven():
		n := int64(len(p.groups))
		least, _ := p.blockTokens()
		c.Tokens = c.Bytes / p.block / n * least
		c.EngineBytes = float64(p.block*n) / float64(least)
	case p == nil && m.exact.even():
		c.EngineBytes = m.cache.slope()
		c.Tokens = int64(float64(c.Bytes)/(c.EngineBytes*float64(m.page))) * m.page
	default:
		c.Tokens = int64(m.Concurrency(m.longest) * float64(m.longest))
		c.EngineBytes = float64(m.RequestBytes(m.longest)) / float64(m.longest)
	}
	return c
}

// Concurrency is how many requests of a length, prompt and answer, a rank holds at once,
// as engines count it when they start: vLLM's "Maximum concurrency".
func (m *Memory) Concurrency(tokens int64) float64 {
	if m.Free <= 0 || tokens <= 0 {
		return 0
	}
	if m.pool != nil {
		return float64(m.Free/m.pool.block) / float64(m.pool.blocks(tokens, m.maxTokens))
	}
	return float64(m.Free) / float64(m.RequestBytes(tokens))
}

// RequestBytes is what a request of a length takes of a rank at its most.
func (m *Memory) RequestBytes(tokens int64) int64 {
	if m.pool != nil {
		return m.pool.blocks(tokens, m.maxTokens) * m.pool.block
	}
	return m.SequenceBytes(tokens)
}
