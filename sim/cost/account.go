package cost

import (
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/topologies"
)

// accountAttention books f times the attention of a stack on a rank with this
// work: time by cause, and the work in it.
func (s *Stepper) accountAttention(p *part, r *recorder, ks []attention, w *work, rows, f float64) {
	for i := range ks {
		k := &ks[i]
		decode, prefill := s.attentionTimes(k, w, rows)
		parts := s.split(k, w, rows)
		count := k.count * f
		if k.wholeBlock() {
			p.kernels += count * float64(len(k.linears)+k.a.SmallKernels)
		} else {
			p.kernels += count
		}
		s.bookAttention(p, r, k, parts, false, count, decode)
		s.bookAttention(p, r, k, parts, true, count, prefill)
		if padding := rows - w.rows - w.chunkTokens; k.wholeBlock() && padding > 0 {
			// Padding rows take time, but are nobody's FLOPs.
			for j := range k.linears {
				p.flops -= count * padding * k.linears[j].flops
				p.atPeak -= count * padding * k.linears[j].atPeak
			}
		}
	}
}

// portion is one operator inside an attention law, with what decides its share of
// the law's time: weight bytes, seconds of FLOPs at the peak, cache bytes.
type portion struct {
	operator
	prefill        bool
	weights, cache float64
}

// bookAttention adds a law's time, split over the operators that it covers in
// proportion to what each contributes to its terms; floors and activations stay a
// row of their own.
func (s *Stepper) bookAttention(p *part, r *recorder, k *attention, parts []portion, prefill bool, count float64, t law.Time) {
	if t == (law.Time{}) {
		return
	}
	var weights, atPeak, cache float64
	for i := range parts {
		if parts[i].prefill == prefill {
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
		p.add(r, x.operator, count, share)
	}
	rest.Weights, rest.Compute, rest.KV = max(0, rest.Weights), max(0, rest.Compute), max(0, rest.KV)
	name := "decode floors, activations"
	if prefill {
		name = "prefill floors, activations"
	}
	p.add(r, operator{kind: k.label, name: name, class: "attention", precision: string(topologies.BF16)}, count, rest)
}

// split lists the operators inside a design's law. Without a recorder they are
// needed as sums only, and the list lives in the stepper's scratch space.
func (s *Stepper) split(k *attention, w *work, rows float64) []portion {
	parts := s.portions[:0]
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
	s.portions = parts
	return parts
}

// cores adds the attention core and the indexer of one phase. Bytes are
// compulsory: entries read once a sequence, entries and state written once a row;
// a prompt's own entries may stay on chip, so prefill counts only its writes.
func (s *Stepper) cores(parts []portion, k *attention, w *work, prefill bool) []portion {
	o := operator{kind: k.label, name: "decode core", class: "attention", precision: string(kvPrecision), m: w.rows, n: k.heads, k: float64(k.a.HeadDim)}
	perSequence := 0.0
	if w.sequences > 0 {
		perSequence = w.rows / w.sequences
	}
	flops, read, write := sum(&k.flops, &w.context)*perSequence+k.stateFlops*w.rows, sum(&k.readBytes, &w.context), (k.write*w.rows)+k.stateBytes*w.sequences
	index, keys := sum(&k.indexFlops, &w.context)*perSequence, sum(&k.indexBytes, &w.context)
	if prefill {
		o.name, o.m = "prefill core", w.chunkTokens
		flops, read = sum(&k.pairFlops, &w.pairs)+k.stateChunkFlops*w.chunkTokens+k.prefixFlops*w.prefix, 0
		write = k.write * w.chunkTokens
		index, keys = sum(&k.indexPairFlops, &w.pairs), 0
	}
	o.flops, o.bytes, o.atPeak = flops, read+write, flops/s.corePeak
	parts = append(parts, portion{operator: o, prefill: prefill, cache: read + 1})
	if k.a.RunsIndexer {
		o.name = "decode indexer"
		if prefill {
			o.name = "prefill indexer"
		}
		p := k.indexPrecision
		o.precision, o.flops, o.bytes, o.atPeak = string(p), index, keys, index/k.indexPeak
		o.n, o.k = float64(k.a.IndexHeads), float64(k.a.IndexDim)
		parts = append(parts, portion{operator: o, prefill: prefill, cache: keys})
	}
	return parts
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
