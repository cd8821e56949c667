package result

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
)

// KVPool is what a pool's cache holds.
type KVPool struct {
	Engine       string `json:"engine"`
	Ranks        int    `json:"ranks"` // of all instances, each with a cache of its own
	BytesPerRank int64  `json:"bytes_per_rank"`
	// TokensPerRank is what the engine says that a rank holds, Tokens what all ranks do;
	// EngineBytesPerToken is what that makes a token, with what the engine's pool pads, and
	// ModelBytesPerToken what one adds to a long sequence on a rank by the model's figures.
	TokensPerRank       int64   `json:"tokens_per_rank"`
	Tokens              int64   `json:"tokens"`
	EngineBytesPerToken float64 `json:"engine_bytes_per_token"`
	ModelBytesPerToken  float64 `json:"model_bytes_per_token"`
	// MaxConcurrency is how many requests of so many tokens, prompt and answer, all ranks
	// hold at once as the engine counts when it starts, by context. vLLM counts each with the
	// windows of a whole step's prompt, of which most are free once it decodes.
	MaxConcurrency Concurrency `json:"max_concurrency"`
}

// Concurrency is requests by their tokens.
type Concurrency map[int64]float64

// MarshalJSON writes two decimals, as start-up logs do.
func (c Concurrency) MarshalJSON() ([]byte, error) {
	rounded := make(map[int64]float64, len(c))
	for tokens, n := range c {
		rounded[tokens] = math.Round(100*n) / 100
	}
	return json.Marshal(rounded)
}

// Times is so many of the pool together.
func (k *KVPool) Times(n int) *KVPool {
	all := *k
	all.Ranks *= n
	all.Tokens *= int64(n)
	all.MaxConcurrency = make(Concurrency, len(k.MaxConcurrency))
	for tokens, c := range k.MaxConcurrency {
		all.MaxConcurrency[tokens] = c * float64(n)
	}
	return &all
}

// paddedShare is from what difference on a token's bytes are worth telling apart.
const paddedShare = 0.01

// Text is the pool's cache in a sentence, as engines print it when they start.
func (k *KVPool) Text() string {
	text := fmt.Sprintf("%.2f GiB a rank = %s tokens", float64(k.BytesPerRank)/(1<<30), thousands(k.TokensPerRank))
	if d := k.EngineBytesPerToken - k.ModelBytesPerToken; k.TokensPerRank > 0 && (d > paddedShare*k.ModelBytesPerToken || d < -paddedShare*k.ModelBytesPerToken) {
		text += fmt.Sprintf(" as %s counts them (%s B each; the model itself needs %s B)", k.Engine, thousands(int64(k.EngineBytesPerToken+0.5)), thousands(int64(k.ModelBytesPerToken+0.5)))
	} else {
		text += fmt.Sprintf(" of %s B", thousands(int64(k.EngineBytesPerToken+0.5)))
	}
	if k.Ranks > 1 {
		text += fmt.Sprintf(", %s on %s ranks", thousands(k.Tokens), thousands(int64(k.Ranks)))
	}
	lengths := slices.Sorted(maps.Keys(k.MaxConcurrency))
	if len(lengths) == 0 {
		return text
	}
	longest := lengths[len(lengths)-1]
	return text + fmt.Sprintf("; at most %.2f requests of %s tokens", k.MaxConcurrency[longest], thousands(longest))
}

// thousands writes a count with commas, as start-up logs do.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
