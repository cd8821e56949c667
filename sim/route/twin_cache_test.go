package route_test

import (
	"slices"

	"github.com/clustersim/clustersim/sim/serve"
)

// twinCache is a prefix cache as a list of chains, the least recently used first.
type twinCache struct {
	block  int64
	chains [][]uint64
}

func (c *twinCache) saved(blocks int, prompt int64) int64 {
	return min(int64(blocks), max(0, prompt-1)/c.block) * c.block
}

func (c *twinCache) at(chain []uint64) int {
	return slices.IndexFunc(c.chains, func(x []uint64) bool { return slices.Equal(x, chain) })
}

// use puts the chains of the leading blocks behind all others, the longest first.
func (c *twinCache) use(ids []uint64, blocks int) {
	for n := blocks; n > 0; n-- {
		i := c.at(ids[:n])
		c.chains = append(slices.Delete(c.chains, i, i+1), slices.Clone(ids[:n]))
	}
}

// leading is how many of the first blocks are here.
func (c *twinCache) leading(ids []uint64) (blocks int) {
	for blocks < len(ids) && c.at(ids[:blocks+1]) >= 0 {
		blocks++
	}
	return blocks
}

func (c *twinCache) match(ids []uint64) (blocks int) {
	blocks = c.leading(ids)
	c.use(ids, blocks)
	return blocks
}

func (c *twinCache) insert(ids []uint64) {
	for n := 1; n <= len(ids); n++ {
		if c.at(ids[:n]) < 0 {
			c.chains = append(c.chains, slices.Clone(ids[:n]))
		}
	}
	c.use(ids, len(ids))
}

func (c *twinCache) shrink(spec *serve.Spec, used int64) (dropped bool) {
	if c.block == 0 {
		return false
	}
	for int64(len(c.chains)) > max(0, (spec.Memory.Free-used)/spec.BlockBytes) {
		c.chains = c.chains[1:]
		dropped = true
	}
	return dropped
}
