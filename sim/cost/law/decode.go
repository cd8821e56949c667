package law

// Decode is the decode attention of one layer on one rank in one step: sums over
// its sequences. Which form reads what:
//
//	         Batch Rows Heads KVHeads HeadDim KV8 KVBytes CoreFlops Entries Keys IndexBytes TopKActive Linear
//	GQA        x     x    x      x       x     x     x        x         x
//	MLAKernel  x     x    x                    x     x        x         x
//	MLA        x     x    x                    x     x        x         x                                x
//	DSA        x     x    x                    x     x        x         x     x       x          x       x
//	CSA        x     x    x                          x        x                       x          x       x
//	HCA        x     x    x                          x        x               x                          x
type Decode struct {
	Batch float64 // sequences
	Rows  float64 // query rows: Batch·(1+drafts)
	// Heads, KVHeads and HeadDim are those of this rank.
	Heads, KVHeads, HeadDim float64
	KV8                     bool    // KV cache in FP8 (or INT8), else BF16
	KVBytes                 float64 // KV that the core reads, all sequences: compulsory
	CoreFlops               float64 // QK and PV, all rows
	Entries                 float64 // mean entries a row attends to
	Keys                    float64 // mean index keys a row scores (DSA), or compressed entries a sequence has (HCA)
	IndexBytes              float64 // index keys read, all sequences; 0 when a layer reuses another's choice
	TopKActive              bool    // more keys than top-k: the selection kernel runs
	Linear                  Linears // the block's projections
}
