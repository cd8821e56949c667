package cost

import "github.com/clustersim/clustersim/models"

// Memory is what one rank's HBM is used for, in bytes.
type Memory struct {
	Capacity    int64
	Weights     []WeightPart // by part, largest first
	WeightBytes int64        // their sum
	Activations int64        // workspace for MaxTokens rows
	Reserve     int64        // the part of Capacity that the engine leaves alone
	Free        int64        // for the KV cache
}

// WeightPart is one line of the account of weights.
type WeightPart struct {
	Name  string
	Bytes int64
}

// KVBytes is what a rank's sequences hold, from sums the engine keeps:
// context[j] = Σ min(L, Breaks[j]) in 2^-ContextShift tokens. It charges half a
// page a sequence for rounding, and the fixed state and windows.
func (m *Memory) KVBytes(context [models.MaxBreaks]int64, sequences int64) int64 { return 0 }

// SequenceBytes is what one sequence of a length holds on a rank.
func (m *Memory) SequenceBytes(tokens int64) int64 { return 0 }

// TransferBytes is what goes from a prefill to a decode instance for a prompt of
// a length: every byte of the cache once, however many ranks keep a copy.
func (m *Memory) TransferBytes(tokens int64) int64 { return 0 }
