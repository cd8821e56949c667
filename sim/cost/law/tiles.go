package law

import "math"

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

// PadPairs pads exact pairs to tiles when only sums over chunks are known. Each row
// of a full tile pays for 63.5 keys too many. The last tile of a chunk pads to 128
// rows over all its keys: exactly known for one chunk or chunks below a tile, half a
// tile on average otherwise. Of windows it counts the padding of full attention.
func PadPairs(pairs, tokens, chunks float64) float64 {
	if tokens <= 0 {
		return 0
	}
	chunks = max(chunks, 1)
	length := tokens / chunks
	rows := math.Mod(length, TileRows) // of the last tile, 0 when it is full
	pad := TileRows - rows
	switch {
	case rows == 0:
		pad = 0
	case chunks > 1 && length > TileRows:
		rows, pad = TileRows/2, TileRows/2
	}
	end := pairs/tokens + (length-1)/2 // keys of a chunk's last row
	full := length - rows
	return pairs + chunks*(full*(TileRows-1)/2+rows*(rows-1)/2+pad*end)
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
