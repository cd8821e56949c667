package route_test

import (
	"cmp"
	"slices"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
)

// pick is the policies' documentation, word by word.
func (t *twin) pick(p int, number uint64) (instance, rank int) {
	pool := t.cfg.Pools[p]
	ranks := pool.Spec.Ranks
	load := func(i, r int) int64 { return t.rankLoad(p, i, r) }
	leastRank := func(i int) (best int) {
		for r := range ranks {
			if load(i, r) < load(i, best) {
				best = r
			}
		}
		return best
	}
	key := func(i int) int64 {
		total := int64(0)
		for r := range ranks {
			total += load(i, r)
		}
		return load(i, leastRank(i))*int64(ranks) + total
	}
	switch t.cfg.Policy.Name {
	case "round-robin":
		n := t.turns[p]
		t.turns[p]++
		return int(n % uint64(pool.Instances)), int(n / uint64(pool.Instances) % uint64(ranks))
	case "round-robin-instances":
		t.turns[p]++
		i := int((t.turns[p] - 1) % uint64(pool.Instances))
		return i, leastRank(i)
	case "power-of-two":
		draw := des.NewKey(t.cfg.Seed, "router "+pool.Name)
		a := int(draw.Uniform(number, 0) * float64(pool.Instances))
		if pool.Instances > 1 {
			var others []int
			for i := range pool.Instances {
				if i != a {
					others = append(others, i)
				}
			}
			if b := others[int(draw.Uniform(number, 1)*float64(len(others)))]; key(b) < key(a) {
				a = b
			}
		}
		return a, leastRank(a)
	}
	for i := range pool.Instances {
		if key(i) < key(instance) {
			instance = i
		}
	}
	return instance, leastRank(instance)
}

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
		t.rec.Cut(&done)
	}
	return true
}

func byNumber(a, b *twinSeq) int { return cmp.Compare(a.number, b.number) }
