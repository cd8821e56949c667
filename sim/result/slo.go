package result

import (
	"encoding/json"
	"math"

	"github.com/clustersim/clustersim/sim/slo"
	"github.com/clustersim/clustersim/sim/spec"
)

// SLO is what was promised, in numbers and in words.
type SLO struct{ slo.Limits }

// limits are an SLO's JSON. A TTFT that is in proportion to prompts beyond a length has
// that length beside it.
type limits struct {
	TTFTMs           float64 `json:"ttft_ms,omitempty"`
	TTFTPromptTokens int64   `json:"ttft_prompt_tokens,omitempty"`
	TPOTMs           float64 `json:"tpot_ms,omitempty"`
	ITLMs            float64 `json:"itl_ms,omitempty"`
	E2EMs            float64 `json:"e2e_ms,omitempty"`
	Words            string  `json:"words"`
}

// MarshalJSON writes {"ttft_ms": 2000, "ttft_prompt_tokens": 8192, …, "words": …}.
func (s SLO) MarshalJSON() ([]byte, error) {
	ms := func(d spec.Duration) float64 { return float64(d) / 1e6 }
	return json.Marshal(limits{
		TTFTMs: ms(s.TTFT.Limit), TTFTPromptTokens: s.TTFT.Per, TPOTMs: ms(s.TPOT), ITLMs: ms(s.ITL), E2EMs: ms(s.E2E), Words: s.String(),
	})
}

// UnmarshalJSON reads what MarshalJSON writes; the words follow from the numbers.
func (s *SLO) UnmarshalJSON(text []byte) error {
	var l limits
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	ns := func(ms float64) spec.Duration { return spec.Duration(math.Round(ms * 1e6)) }
	s.Limits = slo.Limits{
		TTFT: slo.TTFT{Limit: ns(l.TTFTMs), Per: l.TTFTPromptTokens}, TPOT: ns(l.TPOTMs), ITL: ns(l.ITLMs), E2E: ns(l.E2EMs),
	}
	return nil
}
