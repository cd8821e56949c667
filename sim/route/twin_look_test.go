package route_test

import (
	"cmp"
	"slices"

	"github.com/clustersim/clustersim/sim/cost"
)

// rankLoad is what the router sees: tokens of prompts that wait on a prefill rank,
// requests on a rank that decodes.
func (t *twin) rankLoad(p, i, r int) (load int64) {
	for _, s := range t.seqs {
		if s.pool != p || s.instance != i || s.rank != r || s.state == twinGone {
			continue
		}
		switch queued := s.state == twinQueued || s.state == twinPrefilling; {
		case t.cfg.Pools[p].Spec.Role != cost.Prefill:
			load++
		case queued:
			load += s.target - s.filled
		}
	}
	return load
}

// holding are the cache bytes and the requests that hold some on a rank.
func (t *twin) holding(p, i, r int) (bytes, requests int64) {
	var sums serveSums
	for _, s := range t.seqs {
		if s.fromHeld > 0 && p == 0 && s.from == [2]int{i, r} {
			bytes += s.fromHeld
			requests++
		}
		if s.pool != p || s.instance != i || s.rank != r {
			continue
		}
		if s.state == twinDecoding {
			sums.add(t.cfg.Pools[p].Spec.Breaks, s.context)
			requests++
		} else if s.held > 0 {
			bytes += s.held
			requests++
		}
	}
	if sums.n > 0 {
		bytes += t.cfg.Pools[p].Spec.Memory.KVBytes(sums.context, sums.n)
	}
	return bytes, requests
}

func (t *twin) admits(p, i, r int, bytes int64) bool {
	spec := t.cfg.Pools[p].Spec
	used, requests := t.holding(p, i, r)
	return requests < spec.MaxSequences && used+bytes+spec.Watermark <= spec.Memory.Free
}

// cut ends a run whose last measured requests take longer than all others.
func (t *twin) cut() bool {
	if t.cfg.Cut == 0 || float64(t.measured-t.finished) > t.cfg.Cut*float64(t.measured) || t.now < t.cutAt {
		return false
	}
	if p99 := t.rec.E2EP99(); t.now <= t.lastIn+p99 {
		t.cutAt = t.lastIn + p99 + 1
		return false
	}
	var left []*twinSeq
	for _, s := range t.seqs {
		if s.measured && s.state != twinDecoding {
			t.cutAt = t.now + 1_000_000_000
			return false
		}
		if s.measured {
			left = append(left, s)
		}
	}
	slices.SortFunc(left, byNumber)
	for _, s := range left {
		at, context := t.now, s.context
		if in := t.inst[s.pool][s.instance]; in.busy {
			at = in.began
			if !in.spec.PrefillFirst || in.prompt == 0 {
				context -= s.slope
			}
		}
		if t.inst[s.pool][s.instance].spec.PrefillFirst { // prompts may have run alone since
			if at = s.since - s.lag; s.started {
				at = s.last - s.lag
			}
		}
		at += s.lag
		s.book(at, &s.decode)
		t.seen[cutOff]++
		done := t.completion(s, at)
		done.OutputTokens = 1 + (context-s.input<<16)>>16
		done.Gaps = (context - s.input<<16) / max(1, s.slope)
		t.rec.Cut(&done)
		t.loop.ttft += float64(done.FirstToken - done.Arrival)
		t.loop.ttfts++
	}
	return true
}

func byNumber(a, b *twinSeq) int { return cmp.Compare(a.number, b.number) }
