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
