package cost

import (
	"math"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost/law"
)

// sum is Σ coefficients × amounts over the breaks; unused ones are zero.
func sum(c, x *[models.MaxBreaks]float64) float64 {
	return c[0]*x[0] + c[1]*x[1] + c[2]*x[2] + c[3]*x[3]
}

// attentionSeconds is the time that all layers of a stack spend in attention on a
// rank with this work, when the rank's projections are padded to rows.
func (s *Stepper) attentionSeconds(ks []attention, w *work, rows float64) float64 {
	t := 0.0
	for i := range ks {
		k := &ks[i]
		if w.chunkTokens == 0 {
			if w.sequences > 0 || k.wholeBlock() {
				t += k.count * s.decodeAttention(k, w, rows).Total()
			}
			continue
		}
		d, p := s.attentionTimes(k, w, rows)
		t += k.count * (d.Total() + p.Total())
	}
	return t
}

// attentionTimes is one layer's decode part and prefill part. Whole-block laws
// carry the projections once, in the prefill part when there is one; where both
// run, each pays its own kernel floors.
func (s *Stepper) attentionTimes(k *attention, w *work, rows float64) (decode, prefill law.Time) {
	if w.chunkTokens > 0 {
		prefill = s.prefillAttention(k, w, rows)
		rows = 0
	}
	if w.sequences > 0 || w.chunkTokens == 0 && k.wholeBlock() {
		decode = s.decodeAttention(k, w, rows)
		if k.a.RunsIndexer && w.rows > w.sequences {
			s.verifyAtPeak(k, w, rows, &decode)
		}
	}
	return decode, prefill
}

// verifyAtPeak lengthens a verify step's attention to what its arithmetic takes at the
// chip's peaks. No timed table has the scores that an indexer forms for the further rows of
// a sequence: the laws have terms for the keys alone, which one row reads for all, and a
// chip with little arithmetic would be too quick by them.
func (s *Stepper) verifyAtPeak(k *attention, w *work, rows float64, t *law.Time) {
	var o operator
	if k.wholeBlock() {
		o.atPeak = rows * k.linearAtPeak
	}
	s.addCore(&o, k, k.core(w, false), false)
	t.Compute += max(0, o.atPeak-t.Total())
}

// decodeAttention is one layer's decode attention. What does not change from rank
// to rank stays in the kind's own argument between calls.
func (s *Stepper) decodeAttention(k *attention, w *work, rows float64) law.Time {
	if k.form == linearForm {
		return s.laws.LinearDecode(&law.Linear{
			Batch: w.sequences, Heads: k.heads, StateBytes: s.verifiedState(k, w),
			ActBytes: k.actBytes * w.rows, ConvBytes: k.convState*w.sequences + k.convBytes*w.rows,
		})
	}
	x := &k.decode
	if k.decodeRows != rows {
		k.decodeRows = rows
		x.Linear = at(k.block, rows)
		if rows == 0 || k.form == gqaForm {
			x.Linear.Bytes = 0
		}
	}
	x.Batch, x.Rows = w.sequences, w.rows
	x.KVBytes = sum(&k.kvBytes, &w.context)
	each, perRow := 0.0, 0.0
	if w.sequences > 0 {
		each = 1 / w.sequences
		perRow = w.rows * each
	}
	x.CoreFlops = sum(&k.flops, &w.context) * perRow
	x.Entries = sum(&k.entries, &w.context) * each
	switch k.form {
	case gqaForm:
		return s.laws.GQADecode(x)
	case mlaForm:
		return s.laws.MLADecode(x)
	case denseForm:
		core := *x
		x.KVBytes, x.CoreFlops, x.Keys = 0, 0, 0
		return s.laws.HCADecode(x).Add(s.laws.MLAKernelDecode(&core))
	case hcaForm:
		x.Keys = sum(&k.compressed, &w.context) * each
		return s.laws.HCADecode(x)
	}
	x.Keys = sum(&k.keys, &w.context) * each
	x.IndexBytes = sum(&k.indexBytes, &w.context)
	x.TopKActive = k.a.RunsIndexer && x.Keys > float64(k.a.TopK)
	if k.form == dsaForm {
		return s.laws.DSADecode(x)
	}
	return s.laws.CSADecode(x)
}

// verifiedState is the bytes of recurrent state that a decode step moves: a sequence's
// is read once and written after every row, so that a rejected draft can be taken
// back; some engines then copy the one that holds.
func (s *Stepper) verifiedState(k *attention, w *work) float64 {
	bytes := k.recurrent / 2 * (w.sequences + w.rows)
	if w.rows > w.sequences && s.config.Engine.CopiesState {
		bytes += k.recurrent * w.sequences
	}
	return bytes
}

func (s *Stepper) prefillAttention(k *attention, w *work, rows float64) law.Time {
	tokens := w.chunkTokens
	if k.form == linearForm {
		return s.laws.LinearPrefill(&law.Linear{
			Batch: w.chunks, Tokens: tokens, Heads: k.heads, StateBytes: k.recurrent * w.chunks,
			ActBytes: k.actBytes * tokens, ConvBytes: k.convState*w.chunks + k.convBytes*tokens, Flops: k.stateChunkFlops * tokens,
		})
	}
	x := law.Prefill{
		Tokens: tokens, Chunks: w.chunks, Heads: k.heads, KVHeads: k.kv, HeadDim: float64(k.a.HeadDim), KV8: k.kv8,
		CoreFlops:   sum(&k.pairFlops, &w.pairs),
		GatherBytes: sum(&k.gatherBytes, &w.pairs),
		IndexFlops:  sum(&k.indexPairFlops, &w.pairs),
		ScoreBytes:  sum(&k.scoreBytes, &w.pairs),
		ActBytes:    k.actBytes * tokens,
	}
	if k.wholeBlock() {
		x.Linear = at(k.block, rows)
		projectPrefix(k, &x.Linear, w.prefix*k.prefixFlops)
	}
	switch k.form {
	case gqaForm:
		s.tiles(k, w, &x)
		return s.laws.GQAPrefill(&x)
	case mlaForm:
		return s.laws.MLAPrefill(&x)
	case dsaForm:
		return s.laws.DSAPrefill(&x)
	case csaForm:
		return s.laws.CSAPrefill(&x)
	}
	return s.laws.HCAPrefill(&x)
}

// projectPrefix adds the FLOPs of projecting a cached prefix again (MLA in MHA form).
func projectPrefix(k *attention, l *law.Linears, flops float64) {
	if k.projects8 {
		l.Flops8 += flops
	} else {
		l.Flops16 += flops
	}
}

// tiles fills what a tiled kernel needs: chunks are taken as equally long.
func (s *Stepper) tiles(k *attention, w *work, x *law.Prefill) {
	each := w.chunkTokens / max(1, w.chunks)
	x.Tiles = math.Ceil(each/128) * max(1, w.chunks)
	x.Longest = (w.chunkTokens + w.prefix) / max(1, w.chunks)
	if k.window > 0 {
		x.Longest = min(x.Longest, k.window+128)
	}
	x.Pairs = law.PadPairs(sum(&k.entries, &w.pairs), x.Tokens, x.Chunks)
	x.IOBytes = 4*x.Tokens*k.heads*float64(k.a.HeadDim) + (x.Tokens+w.prefix)*k.write
}
