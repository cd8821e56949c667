package serve

import "github.com/clustersim/clustersim/sim/cost"

// holdsBack reports whether the prompts that this step could begin wait for a later
// one, while others decode: until enough of them have come together (BatchWait), or,
// with data-parallel attention, until every rank has one (Balance), so that the step
// that they make slow for all of them is worth it. Both give up after so many steps
// (NVIDIA/TensorRT-LLM, _torch/pyexecutor/py_executor.py: _waiting_requests,
// _balance_adp_requests).
func (in *Instance) holdsBack() bool {
	switch {
	case in.spec.Role == cost.Decode:
		return false
	case in.spec.Ranks > 1 && in.spec.Balance.Steps > 0:
		return in.unbalanced()
	case in.spec.Ranks == 1 && in.spec.BatchWait.Steps > 0:
		return in.gathering()
	}
	return false
}

// gathering waits for a share of a step's tokens.
func (in *Instance) gathering() bool {
	offered, decoding := in.offered(0), in.loads[0].Sequences*in.spec.DecodeRows
	if offered == 0 || decoding == 0 {
		return false
	}
	w := &in.spec.BatchWait
	if in.waited >= int64(w.Steps) || float64(offered+decoding) >= w.Share*float64(in.spec.MaxTokens) {
		in.waited = 0
		return false
	}
	in.waited++
	return true
}

// unbalanced waits for a prompt on every rank, and then as many steps more as the
// engine lets further ones come in.
func (in *Instance) unbalanced() bool {
	prompts, decoding := true, true
	for i := range in.ranks {
		prompts = prompts && in.offered(i) > 0
		decoding = decoding && in.loads[i].Sequences > 0
	}
	b := &in.spec.Balance
	if prompts {
		in.waited = 0
		if !decoding {
			return false
		}
		if in.gathered < int64(b.Gather) {
			in.gathered++
			return true
		}
		in.gathered = 0
		return false
	}
	in.waited++
	if in.waited < int64(b.Steps) && decoding {
		return true
	}
	in.waited = 0
	return false
}

// offered is how many prompt tokens fill would put into a rank's step: 0 when the
// first prompt cannot be held. Whether all of them can is not looked at.
func (in *Instance) offered(rankIndex int) (tokens int64) {
	budget := in.spec.MaxTokens - in.loads[rankIndex].Sequences*in.spec.DecodeRows
	h := in.ranks[rankIndex].queue.head
	for range in.ranks[rankIndex].seen {
		r := in.shared.Table.At(h)
		n := in.share(int64(r.Target-r.Filled), budget-tokens, tokens == 0)
		if n == 0 || tokens == 0 && r.Held == 0 && !in.admits(rankIndex, in.spec.Memory.SequenceBytes(int64(r.Target))) {
			break
		}
		tokens += n
		h = r.next
	}
	return tokens
}

// share is what a prompt of so many tokens gets of a step's remaining ones: what there
// is, or, where prompts are not cut, all or nothing. The first of such a step gets all:
// with chunked prefill off TensorRT-LLM's max_num_tokens is at least the longest prompt
// and the largest batch (NVIDIA/TensorRT-LLM tensorrt_llm/bench/benchmark/utils/general.py,
// get_settings), and it refuses a prompt that is longer.
func (in *Instance) share(tokens, budget int64, first bool) int64 {
	switch {
	case in.spec.WholePrompts && (first || tokens <= budget):
		return tokens
	case in.spec.WholePrompts || budget <= 0:
		return 0
	}
	return min(tokens, budget)
}
