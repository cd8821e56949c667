package validate

import (
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/recipe"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/scenario"
)

// asked is what a user writes of InferenceX's row of R1 in FP8 on eight B200 at 16 clients.
const asked = `
version: 1
model: deepseek-r1
topology: hgx-b200
workload: {concurrency: 16, requests: 160, %s, input_tokens: "uniform(819,1024)", output_tokens: "uniform(819,1024)"}
deployment: {serve: {instances: 1, tp: 8, ep: 8}, engine: sglang}
seed: 1
`

func askedScenario(t *testing.T, window string) *scenario.Scenario {
	t.Helper()
	s, err := plant.Read("asked.yaml", []byte(strings.Replace(asked, "%s", window, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What runs is what is validated: a row that is predicted as a user would write it is the
// run of what a user writes, and one with its launch script the run with that recipe.
func TestRowsAreRuns(t *testing.T) {
	row := csvOf(inferenceXColumns, with(h200, "hardware", "b200", "framework", "sglang", "conc", "16"))
	run := func(s *scenario.Scenario) *result.Result {
		t.Helper()
		r, err := sim.Run(t.Context(), s, sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	predicted := func(user bool) map[string]float64 {
		t.Helper()
		set, err := Read("rows.csv", []byte(row), ReadOptions{AsUser: user})
		if err != nil {
			t.Fatal(err)
		}
		report, err := Run(t.Context(), []*Set{set}, Options{})
		if err != nil || len(report.Rows) == 0 {
			t.Fatal(err, report)
		}
		out := map[string]float64{}
		for _, r := range report.Rows {
			out[r.Metric] = r.Predicted
		}
		return out
	}
	same := func(what string, row map[string]float64, r *result.Result) {
		t.Helper()
		if row["ttft_ms_p50"] != r.Latency.TTFT.P50 || row["tpot_ms_p50"] != r.Latency.TPOT.P50 || row["tput_per_gpu"] != total(r)/8 {
			t.Errorf("%s: the row has %v, the run TTFT %v, TPOT %v, %v tokens/s/GPU", what, row, r.Latency.TTFT.P50, r.Latency.TPOT.P50, total(r)/8)
		}
	}
	user, script := predicted(true), predicted(false)
	same("as a user", user, run(askedScenario(t, "window: all")))
	r, err := recipe.Load("sglang-r1-fp8-blackwell")
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.Load("deepseek-r1")
	if err != nil {
		t.Fatal(err)
	}
	s := askedScenario(t, "window: all")
	if _, err := s.Follow(r, plant.Facts(s, m), s.Says); err != nil {
		t.Fatal(err)
	}
	same("with its script", script, run(s))
	if user["ttft_ms_p50"] >= script["ttft_ms_p50"] {
		t.Errorf("TTFT %v ms without a script that looks at its queue every 30 steps, %v with it", user["ttft_ms_p50"], script["ttft_ms_p50"])
	}
}

// As a user writes it, a row has its layout, formats and drafts, and nothing that its
// script tunes.
func TestAsUserKeepsWhatIsDeployed(t *testing.T) {
	for _, row := range []map[string]string{
		with(h200, "hardware", "b300", "framework", "trt", "precision", "fp4", "spec", "mtp", "decode_dp_attn", "True", "conc", "16"),
		with(h200, "hardware", "mi355x", "framework", "sglang", "precision", "fp4", "conc", "16"),
		with(h200, "framework", "sglang", "conc", "64"),
	} {
		read := func(user bool) *scenario.Scenario {
			t.Helper()
			set, err := Read("rows.csv", []byte(csvOf(inferenceXColumns, row)), ReadOptions{AsUser: user})
			if err != nil || len(set.Cases) != 1 {
				t.Fatal(err, set)
			}
			return set.Cases[0].Scenario
		}
		script, user := read(false), read(true)
		a, b := script.Deployment, user.Deployment
		if len(user.Patches) > 0 || b.Serve.MaxTokens+b.Serve.MaxSequences > 0 || b.Serve.Experts.Exchange != "" || b.Overlap != "" || user.Router != (scenario.Router{}) {
			t.Errorf("%v is tuned: %+v %+v %v", row, b.Serve, b, user.Patches)
		}
		if a.Precision != b.Precision || a.MTP != b.MTP || a.Engine != b.Engine || a.Mode != b.Mode || a.Serve.TP != b.Serve.TP || a.Serve.DP != b.Serve.DP || a.Serve.EP != b.Serve.EP {
			t.Errorf("%v: %+v is another deployment than %+v", row, b, a)
		}
	}
}

// A launch script that is asked for starts every row, in place of its own.
func TestRowsWithANamedRecipe(t *testing.T) {
	row := csvOf(inferenceXColumns, with(h200, "hardware", "b200", "framework", "sglang", "conc", "16"))
	for name, want := range map[string]float64{"": 30, "sglang-r1-fp8-hopper": 1} {
		set, err := Read("rows.csv", []byte(row), ReadOptions{Recipe: name})
		if err != nil || len(set.Cases) != 1 {
			t.Fatal(err, set)
		}
		if got := engineNumber(set.Cases[0].Scenario, "poll_steps"); got != want {
			t.Errorf("with %q the queue is looked at every %g steps, want %g", name, got, want)
		}
	}
}
