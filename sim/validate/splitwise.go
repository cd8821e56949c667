package validate

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/traces"
)

// splitwiseColumns are those of Mutinifni/splitwise-sim's table of iteration times:
// one batch of equal prompts, prefilled at once and decoded to the end.
var splitwiseColumns = []string{
	"model", "hardware", "prompt_size", "batch_size", "token_size", "prompt_time", "token_time", "e2e_time", "tensor_parallel",
}

// splitwiseAssumed is what the table does not state.
var splitwiseAssumed = []string{"BF16 for FP16"}

var splitwiseMeasures = []measure{{"prompt_time", "ttft_ms_mean", 1}, {"token_time", "tpot_ms_mean", 1}, {"e2e_time", "e2e_ms_mean", 1}}

func readSplitwise(name string, data []byte, o *ReadOptions) (*Set, error) {
	t, err := newTable(name, data, splitwiseColumns, o)
	if err != nil {
		return nil, err
	}
	return t.cases(o, func(t *table) stated {
		c := Case{ID: t.at(), Engine: "vllm-v0", Phase: All, Measures: t.measures(splitwiseMeasures), Assumed: splitwiseAssumed}
		row := splitwiseRowOf(t)
		without := row.early(&c)
		return stated{c, row.scenario, without}
	})
}

type splitwiseRow struct {
	model, hardware            string
	prompt, batch, tokens, tpn int
}

func splitwiseRowOf(t *table) *splitwiseRow {
	return &splitwiseRow{
		model: t.text("model"), hardware: t.text("hardware"), prompt: t.whole("prompt_size", 1, 1<<20, false),
		batch: t.whole("batch_size", 1, 1<<12, false), tokens: t.whole("token_size", 1, 1<<20, false), tpn: t.whole("tensor_parallel", 1, 8, false),
	}
}

// early drops an E2E that is not the sum of its own prompt and tokens, within a tenth:
// answers ended before token_size. It says why.
func (r *splitwiseRow) early(c *Case) []Skipped {
	if len(c.Measures) < 3 {
		return nil
	}
	prompt, token, whole := c.Measures[0].Value, c.Measures[1].Value, c.Measures[2].Value
	tokens := (whole-prompt)/token + 1
	if n := float64(r.tokens); tokens > 0.9*n && tokens < n/0.9 {
		return nil
	}
	c.Measures = c.Measures[:2]
	why := fmt.Sprintf("%.0f ms are a prompt of %.0f ms and %.0f tokens of %.1f ms, not the %d stated: answers ended at other lengths", whole, prompt, max(0, tokens), token, r.tokens)
	return []Skipped{{c.ID + " e2e_ms_mean", why}}
}

// scenario is one batch: all requests at once, all prompts in one step.
func (r *splitwiseRow) scenario(o *ReadOptions) (*scenario.Scenario, error) {
	point, err := findCheckpoint(known().Splitwise, r.model)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.hardware, "-pcap") {
		return nil, fmt.Errorf("%s is capped in power: its clock is not stated", r.hardware)
	}
	chip, _, _ := strings.Cut(r.hardware, "-")
	sys, err := findSystem(chip)
	if err != nil {
		return nil, err
	}
	s := &scenario.Scenario{Version: scenario.Version, Seed: 1, Model: point.Model, Topology: sys.Topology}
	input, output := traces.Constant(r.prompt), traces.Constant(r.tokens)
	s.Workload = &scenario.Workload{Concurrency: r.batch, Requests: int64(r.batch), InputTokens: &input, OutputTokens: &output, Window: "all"}
	s.Deployment = scenario.Deployment{
		Mode: "aggregated", Engine: cmp.Or(o.Engine, "vllm-0.2"), Precision: scenario.Precision{Weights: models.BF16},
		Serve: &scenario.Pool{Instances: 1, TP: r.tpn, MaxTokens: max(2048, r.prompt*r.batch), MaxSequences: max(64, r.batch)},
	}
	return s, nil
}
