package cost

import "github.com/clustersim/clustersim/models"

// workspace is the most that activations take: of a step of as many rows as the engine
// allows, or of sampling after it, with the rows' hidden states still there; and what
// sparse attention gathers index keys into. Engines size their cache by running such a
// step (vLLM's profile_run: dummy rows, then the sampler at max_num_seqs).
//
//	a row      the residual streams before and after a layer and three rows of the
//	           width between them, the widest projection's input and output, and the
//	           routed pairs of a rank in dispatch (FP8) and combine (BF16) form with
//	           their two intermediate widths: BF16 but for the dispatched rows
//	a logit    LogitBytes, for as many rows as are sampled, of the vocabulary or of
//	           the rank's part of it where logits are not gathered
func (s *Stepper) workspace() int64 {
	m := s.config.Model
	rows := max(ceilDiv(int64(s.config.MaxTokens), int64(s.config.Layout.CP)), s.sampledRows())
	if s.config.Role == Decode {
		rows = s.sampledRows()
	}
	sampling := s.sampledRows()*int64(s.config.Engine.Memory.LogitBytes)*s.sampledVocab() + rows*2*m.Hidden
	return max(rows*s.rowBytes(), sampling) + s.indexRoom() + s.gatheredBytes()
}

// sampledRows are those of a step whose logits are sampled: every sequence's with its
// drafts, but no more than a step has where prompts are all it runs.
func (s *Stepper) sampledRows() int64 {
	rows := int64(float64(s.config.MaxSequences) * s.verify)
	if s.config.Role == Prefill {
		return min(rows, int64(s.config.MaxTokens))
	}
	return rows
}

func (s *Stepper) sampledVocab() int64 {
	if s.config.Engine.GathersLogits {
		return s.config.Model.Vocab
	}
	return ceilDiv(s.config.Model.Vocab, int64(s.config.Layout.TP))
}

// rowBytes is a row's activations at their most.
func (s *Stepper) rowBytes() int64 {
	m := s.config.Model
	row := 2 * m.Hidden * (2*max(1, m.HC) + 3)
	widest, pairs := 0.0, int64(0)
	for i := range s.main.attentions {
		for _, x := range s.main.attentions[i].linears {
			widest = max(widest, 2*(x.n+x.k))
		}
	}
	for i := range s.main.ffns {
		f := &s.main.ffns[i]
		for _, x := range f.linears {
			widest = max(widest, 2*(x.n+x.k))
		}
		if f.moe != nil {
			pairs = max(pairs, f.moe.m.TopK*(3*f.moe.m.In+2*2*int64(f.moe.inter)))
		}
	}
	return row + int64(widest) + pairs
}

// indexRoom is the room for index keys of prompts: those of IndexGather contexts of the
// model's longest, an FP8 row with its scale each (vLLM's get_max_prefill_buffer_size).
func (s *Stepper) indexRoom() int64 {
	if s.config.Role == Decode {
		return 0
	}
	most := int64(0)
	for _, l := range s.config.Model.Layers {
		a := l.Attention
		for _, p := range a.Pieces {
			if p.Role == models.Index {
				most = max(most, (a.IndexDim+4)*(s.config.Model.MaxContext/p.Stride))
			}
		}
	}
	return int64(s.config.Engine.Memory.IndexGather) * most
}

// graphs is what captured steps take: a node for every kernel of every layer, for every
// size of batch, once with attention inside and once without.
func (s *Stepper) graphs() int64 {
	e := s.config.Engine
	if e.Memory.GraphNode == 0 || e.DecodeLaunch != Graph {
		return 0
	}
	kernels := int64(0)
	for _, l := range s.allLayers() {
		kernels += int64(len(l.Attention.Linears)+l.Attention.SmallKernels) + 1
		if l.FFN != nil {
			kernels += int64(len(l.FFN.Linears) + l.FFN.SmallKernels)
			if e := l.FFN.MoE; e != nil {
				kernels += int64(2 + len(e.Latent) + len(e.Shared))
			}
		}
	}
	kernels = ceilDiv(kernels, int64(s.config.Layout.PP))
	return 2 * s.capturedSizes() * kernels * int64(e.Memory.GraphNode)
}

// capturedSizes are the batches that graphs are captured for: 1, 2, 4, every eighth up
// to 256, every sixteenth up to the largest (vLLM's default cudagraph_capture_sizes).
func (s *Stepper) capturedSizes() int64 {
	most := 2 * int64(float64(s.config.MaxSequences)*s.verify)
	if limit := int64(s.config.Engine.GraphTokens); limit > 0 {
		most = min(most, limit)
	}
	n := int64(0)
	for size := int64(1); size <= most; n++ {
		switch {
		case size < 4:
			size *= 2
		case size < 8:
			size = 8
		case size < 256:
			size += 8
		default:
			size += 16
		}
	}
	return n
}
