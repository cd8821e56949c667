package law

// Prefill is the attention of one layer on one rank over the prompt tokens of one
// step. Which form reads what:
//
//	          Tokens Chunks Heads KVHeads HeadDim KV8 Pairs Tiles Longest CoreFlops IOBytes GatherBytes IndexFlops ScoreBytes ActBytes Linear
//	GQA         x      x      x      x       x     x    x     x      x                 x
//	MLAKernel   x             x                    x    x     x      x                 x
//	MLA         x                                                          x                                                      x      x
//	DSA CSA     x                                                          x                x           x          x          x      x
//	HCA         x                                                          x                x                                 x      x
type Prefill struct {
	Tokens, Chunks          float64
	Heads, KVHeads, HeadDim float64
	KV8                     bool
	Pairs                   float64 // (query, key) pairs of one head, padded to tiles: TilePairs or PadPairs
	Tiles                   float64 // query tiles of 128 rows of one head: Σ ⌈tokens/128⌉
	Longest                 float64 // keys of the longest tile
	CoreFlops               float64 // QK and PV, exact
	IOBytes                 float64 // Q and O, and K and V of the new tokens where they are not KVBytes
	KVBytes                 float64 // K and V read
	GatherBytes             float64 // Σ over (query, selected entry) of an entry's bytes
	IndexFlops              float64
	ScoreBytes              float64 // 4 B a (query, key) pair of the indexer
	ActBytes                float64
	HostFloor               float64 // seconds the host needs to launch the block's kernels one by one; 0 under graphs
	Linear                  Linears
}
