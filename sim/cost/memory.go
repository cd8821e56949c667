package cost

import "github.com/clustersim/clustersim/models"

// Memory is what one rank's HBM is used for, in bytes. With pipeline stages it is
// the fullest stage's.
//
//	Capacity = weights + Activations + Graphs + Context + Communicators + Kernels + Reserve + Free
type Memory struct {
	Capacity      int64        // what the driver gives to programs
	Weights       []WeightPart // by part, largest first, as kernels keep them
	WeightBytes   int64        // their sum
	Activations   int64        // of the largest step that the engine allows, or of sampling
	Graphs        int64        // captured steps
	Context       int64        // the driver's context and libraries' handles
	Communicators int64        // channels and buffers between ranks
	Kernels       int64        // what kernels allocate for themselves
	Reserve       int64        // what the engine leaves alone besides
	Free          int64        // for the KV cache

	cache    cacheBytes // of one rank, as the engine's pool keeps it
	exact    cacheBytes // of one rank, by the model's figures, nothing rounded
	transfer cacheBytes // of the whole model, every byte once
	pool     *pool      // of blocks that groups of layers share; nil where nothing is padded
	// maxTokens is the step that an engine counts windows with, longest the model's context,
	// page the tokens of a page where layers keep the same.
	maxTokens, longest, page int64
}

// KVBytes is what a rank's sequences hold, from sums the engine keeps:
// context[j] = Σ min(L, Breaks[j]) in 2^-ContextShift tokens. It charges half a
// page a sequence for rounding, and the fixed state and windows.
func (m *Memory) KVBytes(context [models.MaxBreaks]int64, sequences int64) int64 {
	return m.cache.sum(&context, sequences)
}

// SequenceBytes is what one sequence of a length holds on a rank.
func (m *Memory) SequenceBytes(tokens int64) int64 { return m.cache.sequence(tokens) }

// ExactBytes is what a sequence of a length would hold on a rank by the model's figures
// alone, without pages and what an engine's pool pads.
func (m *Memory) ExactBytes(tokens int64) int64 { return m.exact.sequence(tokens) }

// TransferBytes is what goes from a prefill to a decode instance for a prompt of
// a length: every byte of the cache once, however many ranks keep a copy.
func (m *Memory) TransferBytes(tokens int64) int64 { return m.transfer.sequence(tokens) }

// InFlight is what the windows of a prompt's step hold until it has ended, whosever they
// are: the most that a rank's sequences take beyond SequenceBytes.
func (m *Memory) InFlight() int64 {
	if m.pool == nil {
		return 0
	}
	return m.pool.inFlight(m.maxTokens)
}

// account fills the memory of the fullest pipeline stage.
func (s *Stepper) account() Memory {
	c, k := &s.config, &s.config.Engine.Memory
	m := Memory{
		Capacity: int64(c.Chip.Memory.Visible()) / int64(max(1, c.Chip.Dies)),
		Context:  int64(k.Context), Kernels: int64(k.Kernels), maxTokens: int64(c.MaxTokens), longest: c.Model.MaxContext, page: int64(max(1, c.PageTokens)),
	}
	if s.Ranks() > 1 {
		m.Communicators = int64(k.Communicators)
		m.Kernels += int64(k.Exchanges)
	}
	m.Activations, m.Graphs = s.workspace(), s.graphs()
	m.Weights = s.weights()
	for _, w := range m.Weights {
		m.WeightBytes += w.Bytes
	}
	m.share(c.Engine)
	s.caches(&m)
	return m
}

// share splits what is left between the cache and what the engine leaves alone, by what
// its memory fraction f is a share of.
//
//	all     f of the card, less weights, activations, graphs and kernels; context and
//	        communicators stand before it looks, in the rest
//	static  f of what they leave, less weights; activations, graphs and kernels live in the rest
//	free    f of what they, weights, activations and kernels leave; graphs live in the rest
func (m *Memory) share(e *Engine) {
	part := func(of int64) int64 { return int64(float64(max(0, of)) * e.MemoryFraction) }
	before := m.Context + m.Communicators
	switch e.MemoryShareOf {
	case ShareStatic:
		m.Free = min(part(m.Capacity-before)-m.WeightBytes, m.Capacity-before-m.WeightBytes-m.Activations-m.Graphs-m.Kernels)
	case ShareOfFree:
		left := m.Capacity - before - m.WeightBytes - m.Activations - m.Kernels
		m.Free = min(left, part(left), left-m.Graphs)
	default:
		m.Free = min(part(m.Capacity), m.Capacity-before) - m.WeightBytes - m.Activations - m.Graphs - m.Kernels
	}
	m.Reserve = m.Capacity - m.Free - before - m.WeightBytes - m.Activations - m.Graphs - m.Kernels
}

// Item is one line of the account.
type Item struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

const weightsItem = "weights"

// Items are what the rank's memory goes to beside the cache; those that take nothing are
// left out.
func (m *Memory) Items() []Item {
	var out []Item
	for _, i := range []Item{
		{weightsItem, m.WeightBytes}, {"activations", m.Activations}, {"graphs", m.Graphs}, {"context", m.Context},
		{"communicators", m.Communicators}, {"kernels", m.Kernels}, {"reserve", m.Reserve},
	} {
		if i.Bytes > 0 {
			out = append(out, i)
		}
	}
	return out
}
