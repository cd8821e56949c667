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

// workOf is a rank's micro-batch. With PP stages the step is the steady pipelined
// cycle: the rank's batch is cut in PP micro-batches (rounded up), each passes
// through every layer once, and while one is in a stage the others are in the rest.
// Two-batch overlap cuts each of them in two.
func (s *Stepper) workOf(l *Load, cuts int64) work {
	w := work{sequences: float64(l.Sequences), chunkTokens: float64(l.ChunkTokens), chunks: float64(l.Chunks), prefix: float64(l.Prefix)}
	share, chunkShare := 1.0, 1.0
	if cuts > 1 {
		if l.Sequences > 0 {
			w.sequences = float64(ceilDiv(l.Sequences, cuts))
			share = w.sequences / float64(l.Sequences)
		}
		if l.ChunkTokens > 0 {
			w.chunkTokens = float64(ceilDiv(l.ChunkTokens, cuts))
			chunkShare = w.chunkTokens / float64(l.ChunkTokens)
			w.chunks, w.prefix = max(1, w.chunks*chunkShare), w.prefix*chunkShare
		}
	}
	w.rows = w.sequences * s.verify
	for j := range s.breaks {
		w.context[j] = float64(l.Context[j]) * tokenUnit * share
		w.pairs[j] = float64(l.Pairs[j]) * chunkShare
	}
	return w
}

func (w *work) add(v *work) {
	w.sequences += v.sequences
	w.rows += v.rows
	w.chunkTokens += v.chunkTokens
	w.chunks += v.chunks
	w.prefix += v.prefix
	for j := range w.context {
		w.context[j] += v.context[j]
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
// prompt (see Stepper.drafts for the prompt's pass).
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
