package traces

import "github.com/clustersim/clustersim/sim/des"

// Request is one call to the served model.
type Request struct {
	Arrival      des.Time // from the start of the trace
	InputTokens  int32
	OutputTokens int32 // at least 1
	// Prefix are chained ids of the prompt's leading blocks of BlockTokens tokens:
	// equal ids mean equal text up to that point. Nil when the trace has none.
	// It is valid until the next call of Next.
	Prefix []uint64
	// Session numbers the conversation that the request belongs to, 0 when unknown.
	Session uint64
}

// Source yields requests in order of arrival. Memory does not grow with the
// trace. Next returns io.EOF after the last request.
type Source interface {
	Next() (Request, error)
	// BlockTokens is how many tokens one id of Request.Prefix stands for, 0 when
	// the source has no prefix information.
	BlockTokens() int
	Close() error
}
