package cost

import (
	"github.com/clustersim/clustersim/models"
)

// work is one rank's share of a step in floats: a Load, cut in micro-batches when
// the instance is pipelined.
type work struct {
	sequences, rows     float64 // decode rows: sequences × (1 + drafts)
	context             [models.MaxBreaks]float64
	chunkTokens, chunks float64
	pairs               [models.MaxBreaks]float64
	prefix              float64
}

const tokenUnit = 1.0 / (1 << ContextShift)

// fill makes w a rank's micro-batch. With PP stages the step is the steady
// pipelined cycle: the rank's batch is cut in PP micro-batches (rounded up), each
// passes through every layer once, and while one is in a stage the others are in
// the rest. Two-batch overlap cuts each of them in two.
// Of what is left a context-parallel rank has its share, as fillChunks says.
func (w *work) fill(l *Load, verify float64, cuts, cp int64) {
	w.sequences = float64(l.Sequences)
	share := tokenUnit
	if cuts > 1 && l.Sequences > 0 {
		w.sequences = float64(ceilDiv(l.Sequences, cuts))
		share *= w.sequences / float64(l.Sequences)
	}
	w.rows = w.sequences * verify
	for j := range w.context {
		w.context[j] = float64(l.Context[j]) * share
	}
	if l.ChunkTokens > 0 {
		w.fillChunks(l, cuts, cp)
	} else if w.chunkTokens > 0 {
		w.chunkTokens, w.chunks, w.prefix, w.pairs = 0, 0, 0, [models.MaxBreaks]float64{}
	}
}

// fillChunks is a rank's share of the prompts. Context parallelism cuts a chunk in 2·CP
// blocks, the i-th from either end for rank i, so that in full attention every rank has
// the same pairs; windows and the start of a prompt, where the sums are truncated, let
// ranks differ by less than one block's. All are taken to have the mean. What the others
// compute of the chunk is prefix to a rank: it reads it from the cache (and projects it
// again where MLA does that).
func (w *work) fillChunks(l *Load, cuts, cp int64) {
	w.chunkTokens, w.chunks, w.prefix = float64(l.ChunkTokens), float64(l.Chunks), float64(l.Prefix)
	share := 1.0
	if cuts > 1 {
		w.chunkTokens = float64(ceilDiv(l.ChunkTokens, cuts))
		share = w.chunkTokens / float64(l.ChunkTokens)
		w.chunks, w.prefix = max(1, w.chunks*share), w.prefix*share
	}
	if cp > 1 {
		whole := w.chunkTokens
		w.chunkTokens = whole / float64(cp)
		w.prefix += whole - w.chunkTokens
		share /= float64(cp)
	}
	for j := range w.pairs {
		w.pairs[j] = float64(l.Pairs[j]) * share
	}
}

func (w *work) add(v *work) {
	w.sequences += v.sequences
	w.rows += v.rows
	for j := range w.context {
		w.context[j] += v.context[j]
	}
	if v.chunkTokens == 0 {
		return
	}
	w.chunkTokens += v.chunkTokens
	w.chunks += v.chunks
	w.prefix += v.prefix
	for j := range w.pairs {
		w.pairs[j] += v.pairs[j]
	}
}

func (w *work) scale(f float64) {
	w.sequences *= f
	w.rows *= f
	w.chunkTokens *= f
	w.chunks *= f
	w.prefix *= f
	for j := range w.context {
		w.context[j] *= f
		w.pairs[j] *= f
	}
}

// draft is the work of a draft pass over the same sequences: one row each, and no
// prompt (promptOnly is the prompt's pass).
func (w *work) draft() work {
	d := *w
	d.rows, d.chunkTokens, d.chunks, d.prefix = w.sequences, 0, 0, 0
	return d
}

// promptOnly is the work of the draft module's pass over the prompt tokens.
func (w *work) promptOnly() work {
	d := *w
	d.sequences, d.rows = 0, 0
	return d
}
