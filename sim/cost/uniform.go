package cost

// Uniform is one step in which every rank has the same work: sequences that decode,
// each context tokens long, and prompts of context tokens, of each of which the step
// takes the last chunk tokens.
func (s *Stepper) Uniform(sequences, prompts, context, chunk int64) []Load {
	loads := make([]Load, s.config.Layout.DP)
	l := s.uniform(sequences, prompts, context, chunk)
	for i := range loads {
		loads[i] = l
	}
	return loads
}

// uniform is the load of one rank of such a step.
func (s *Stepper) uniform(sequences, prompts, context, chunk int64) Load {
	l := Load{Sequences: sequences}
	if prompts > 0 {
		l.ChunkTokens, l.Chunks, l.LastChunks = prompts*chunk, prompts, prompts
		l.Prefix = prompts * (context - chunk)
	}
	for j, limit := range s.config.Model.Breaks {
		l.Context[j] = sequences * min(context, limit) << ContextShift
		if prompts > 0 {
			l.Pairs[j] = prompts * PairSum(context-chunk, chunk, limit)
		}
	}
	return l
}
