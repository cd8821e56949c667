package law

// TileRows is the rows of a query tile of prefill kernels.
const TileRows = 128

// TilePairs is the (query, key) pairs of n new tokens behind prefix cached ones,
// padded to query tiles: each of a tile's 128 rows pays for the keys of its last
// one. window 0 is none.
func TilePairs(n, prefix, window int64) float64 {
	var pairs int64
	for end := int64(TileRows); end < n+TileRows; end += TileRows {
		keys := prefix + min(end, n)
		if window > 0 {
			keys = min(keys, window+TileRows)
		}
		pairs += TileRows * keys
	}
	return float64(pairs)
}

// PadPairs pads exact pairs to tiles when only sums are known: tokens of so many
// chunks. A full tile of 128 rows adds 63.5 pairs a token; a chunk's last, partly
// filled one pays on average for 64 rows more of its mean context.
func PadPairs(pairs, tokens, chunks float64) float64 {
	if tokens <= 0 {
		return 0
	}
	last := min(tokens/max(chunks, 1), TileRows) / 2
	return pairs + tokens*(TileRows-1)/2 + chunks*last*pairs/tokens
}

// MLAActBytes is the activation traffic of an MLA block in MHA form as its fitted
// e_act counts it: input and output, and per head the query, the up-projected keys
// and values and the attention output, written and read, in BF16.
func MLAActBytes(tokens, hidden, heads float64) float64 { return 2 * tokens * (2*hidden + 1536*heads) }

// SparseActBytes is that of a CSA or HCA block: input and output, and per head the
// query and the attention output, each written and read, in BF16. A DSA block
// counts the same with the mean of its 576 and 512 as width.
func SparseActBytes(tokens, hidden, heads, width float64) float64 {
	return 2 * tokens * (2*hidden + 4*heads*width)
}
