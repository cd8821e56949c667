package serve

import (
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/kv"
)

// enablePrefix gives every rank a cache of prompt blocks of so many tokens. Cached
// blocks use only memory that requests leave free, and go when they need it.
// A request that reuses blocks is charged for its whole context all the same: what
// sharing would save in memory is not modelled, what it saves in prefill is.
func (in *Instance) enablePrefix(blockTokens int) {
	for i := range in.ranks {
		in.ranks[i].prefix = kv.NewPrefix(blockTokens)
	}
}

// Cached is how many tokens of a prompt a rank would not have to compute if it were
// admitted now. Looking does not count as use.
func (in *Instance) Cached(rankIndex int, ids []uint64, promptTokens int64) int64 {
	prefix := in.ranks[rankIndex].prefix
	if prefix == nil {
		return 0
	}
	return int64(prefix.Saved(prefix.Present(ids), int(promptTokens)))
}

// reuse skips the part of an admitted prompt that the rank's cache holds.
func (in *Instance) reuse(r *Request) {
	prefix := in.ranks[r.Rank].prefix
	if prefix == nil || len(r.Prefix) == 0 {
		return
	}
	blocks := prefix.Match(r.Prefix)
	r.Cached = int32(prefix.Saved(blocks, int(r.Target)))
	r.Filled = r.Cached
	if in.spec.Role == cost.Prefill {
		in.addLoad(int(r.Rank), -int64(r.Cached))
	}
	in.shared.Recorder.Prefix(int64(len(r.Prefix)), int64(blocks))
}

// keep puts a finished prompt's blocks into the rank's cache.
func (in *Instance) keep(r *Request) {
	if prefix := in.ranks[r.Rank].prefix; prefix != nil && len(r.Prefix) > 0 {
		prefix.Insert(r.Prefix)
	}
}

// shrink drops cached blocks that no longer fit beside what requests hold.
func (in *Instance) shrink(rankIndex int, used int64) {
	prefix := in.ranks[rankIndex].prefix
	if prefix == nil {
		return
	}
	if room := int((in.spec.Memory.Free - used) / in.spec.BlockBytes); prefix.Blocks() > room {
		prefix.Evict(prefix.Blocks() - max(room, 0))
	}
}
