package law

// MHC is one layer's hyper-connections, both sites (attention and FFN), before and
// after the block: 56·d bytes a token.
func (s *Set) MHC(tokens, hidden float64) Time { return Time{} }

// Elementwise is a number of small kernels that together move so many bytes.
func (s *Set) Elementwise(kernels, bytes float64) Time { return Time{} }

// IndexerLogits is the FP8 score kernel of an indexer alone, over rows query rows.
func (s *Set) IndexerLogits(rows, flops, bytes float64) Time { return Time{} }
