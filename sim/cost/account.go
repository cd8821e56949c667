package cost

import (
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// accountAttention books f times the attention of a stack on a rank with this
// work: time by cause, and the work in it. Rows that only pad take time, but are
// nobody's FLOPs.
func (s *Stepper) accountAttention(p *part, r *recorder, ks []attention, w *work, rows, f float64) {
	for i := range ks {
		k := &ks[i]
		decode, prefill := s.attentionTimes(k, w, rows)
		count := k.count * f
		if k.wholeBlock() {
			p.kernels += count * float64(len(k.linears)+k.a.SmallKernels)
		} else {
			p.kernels += count
		}
		var total operator
		s.blockWork(&total, k, w)
		// nearly always within the peaks even with what does not count; NaN is not
		if t := decode.Total() + prefill.Total(); !(total.atPeak <= t && total.bytes*s.perByte <= t) {
			if err := s.beats(k, w, &total, t); err != nil {
				panic(err)
			}
		}
		p.add(nil, total, count, decode)
		p.add(nil, operator{}, count, prefill)
		if r != nil {
			parts := s.split(k, w, rows)
			r.attention(k, parts, false, count, decode)
			r.attention(k, parts, true, count, prefill)
		}
	}
}

// blockWork adds the work in one layer's attention: of its core, and of its projections
// where the design's law covers them.
func (s *Stepper) blockWork(o *operator, k *attention, w *work) {
	if k.wholeBlock() {
		tokens := w.rows + w.chunkTokens
		o.flops, o.bytes, o.atPeak = tokens*k.linearFlops, k.block.Bytes, tokens*k.linearAtPeak
	}
	if w.sequences > 0 {
		s.addCore(o, k, k.core(w, false), false)
	}
	if w.chunkTokens > 0 {
		s.addCore(o, k, k.core(w, true), true)
	}
}

// core is the work of one phase's attention core and indexer. Bytes are compulsory:
// entries read once a sequence, entries and state written once a row; a prompt's own
// entries may stay on chip, so prefill counts only its writes.
// Projecting a cached prefix again (projected, beside flops) is work of a projection's
// precision, not of the core's.
type core struct{ flops, projected, read, write, indexFlops, indexBytes float64 }

// atPeak is the time of a phase's core and of projecting the prefix at the rank's peaks.
func (s *Stepper) atPeak(k *attention, c core, prefill bool) float64 {
	rate := k.decodePeak
	if prefill {
		rate = k.prefillPeak
	}
	return c.flops/rate + c.projected*k.projectedAtPeak
}

func (k *attention) core(w *work, prefill bool) core {
	if prefill {
		return core{
			flops: sum(&k.pairFlops, &w.pairs) + k.stateChunkFlops*w.chunkTokens, projected: k.prefixFlops * w.prefix,
			write: k.write * w.chunkTokens, indexFlops: sum(&k.indexPairFlops, &w.pairs),
		}
	}
	perSequence := w.rows / w.sequences
	state := k.stateBytes * w.sequences
	if k.form == linearForm { // read once, written after every row
		state = k.stateBytes / 2 * (w.sequences + w.rows)
	}
	return core{
		flops: sum(&k.flops, &w.context)*perSequence + k.stateFlops*w.rows,
		read:  sum(&k.readBytes, &w.context), write: k.write*w.rows + state,
		indexFlops: sum(&k.indexFlops, &w.context) * perSequence, indexBytes: sum(&k.indexBytes, &w.context),
	}
}

func (s *Stepper) addCore(o *operator, k *attention, c core, prefill bool) {
	o.flops += c.flops + c.projected
	o.bytes += c.read + c.write
	o.atPeak += s.atPeak(k, c, prefill)
	if k.a.RunsIndexer {
		o.flops += c.indexFlops
		o.bytes += c.indexBytes
		o.atPeak += c.indexFlops / k.indexPeak
	}
}

// portion is one operator inside an attention law, with what decides its share of
// the law's time: weight bytes, seconds of FLOPs at the peak, cache bytes.
type portion struct {
	operator
	prefill        bool
	weights, cache float64
}

// attention records a law's time, split over the operators that it covers in
// proportion to what each contributes to its terms; floors and activations stay a
// row of their own. Where it covers several, the time of each is apportioned: nobody
// timed the parts.
func (r *recorder) attention(k *attention, parts []portion, prefill bool, count float64, t law.Time) {
	if t == (law.Time{}) {
		return
	}
	var weights, atPeak, cache float64
	sharing := 0
	for i := range parts {
		if parts[i].prefill == prefill {
			sharing++
			weights, atPeak, cache = weights+parts[i].weights, atPeak+parts[i].atPeak, cache+parts[i].cache
		}
	}
	rest := t
	for i := range parts {
		x := &parts[i]
		if x.prefill != prefill {
			continue
		}
		var share law.Time
		if weights > 0 {
			share.Weights = t.Weights * x.weights / weights
		}
		if atPeak > 0 {
			share.Compute = t.Compute * x.atPeak / atPeak
		}
		if cache > 0 {
			share.KV = t.KV * x.cache / cache
		}
		rest.Weights, rest.Compute, rest.KV = rest.Weights-share.Weights, rest.Compute-share.Compute, rest.KV-share.KV
		x.apportioned = sharing > 1
		r.operator(x.operator, count, share)
	}
	rest.Weights, rest.Compute, rest.KV = max(0, rest.Weights), max(0, rest.Compute), max(0, rest.KV)
	name := "decode floors, activations"
	if prefill {
		name = "prefill floors, activations"
	}
	r.operator(operator{kind: k.label, name: name, class: "attention", precision: string(topologies.BF16)}, count, rest)
}

// split lists the operators inside a design's law.
func (s *Stepper) split(k *attention, w *work, rows float64) (parts []portion) {
	prefilling := w.chunkTokens > 0
	if k.wholeBlock() {
		for i := range k.linears {
			l := &k.linears[i]
			parts = append(parts, portion{operator: operator{
				kind: k.label, name: l.name, class: "gemm", precision: string(l.precision), m: rows, n: l.n, k: l.k,
				flops: rows * l.flops, bytes: l.bytes, atPeak: rows * l.atPeak,
			}, prefill: prefilling, weights: l.bytes})
		}
	}
	if w.sequences > 0 {
		parts = s.cores(parts, k, w, false)
	}
	if prefilling {
		parts = s.cores(parts, k, w, true)
	}
	return parts
}

// cores adds the attention core and the indexer of one phase.
func (s *Stepper) cores(parts []portion, k *attention, w *work, prefill bool) []portion {
	c, phase, m, precision := k.core(w, prefill), "decode", w.rows, k.decodes
	if prefill {
		phase, m, precision = "prefill", w.chunkTokens, k.prefills
	}
	parts = append(parts, portion{operator: operator{
		kind: k.label, name: phase + " core", class: "attention", precision: string(precision), m: m, n: k.heads, k: float64(k.a.HeadDim),
		flops: c.flops + c.projected, bytes: c.read + c.write, atPeak: s.atPeak(k, c, prefill),
	}, prefill: prefill, cache: c.read + 1})
	if !k.a.RunsIndexer {
		return parts
	}
	return append(parts, portion{operator: operator{
		kind: k.label, name: phase + " indexer", class: "attention", precision: string(k.indexPrecision), m: m,
		n: float64(k.a.IndexHeads), k: float64(k.a.IndexDim),
		flops: c.indexFlops, bytes: c.indexBytes, atPeak: c.indexFlops / k.indexPeak,
	}, prefill: prefill, cache: c.indexBytes})
}

// indexPrecision is what index scores are computed in.
func (s *Stepper) indexPrecision(k *attention) topologies.Precision {
	switch {
	case has(s.config.Chip, topologies.FP8):
		return topologies.FP8
	case multipliesIntegers(s.config.Chip):
		return topologies.INT8
	}
	return topologies.BF16
}
