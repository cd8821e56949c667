package validate

import (
	"bytes"
	"context"
	"errors"
	"math"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/sim/work"
)

func TestStatsAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		errors := rapid.SliceOfN(rapid.Float64Range(-1, 3), 1, 40).Draw(t, "errors")
		if rapid.Bool().Draw(t, "edge") {
			errors[0] = rapid.SampledFrom([]float64{0.1, -0.1, 0.2, 0.3, 0}).Draw(t, "limit")
		}
		rows := make([]Row, len(errors))
		sum := 0.0
		for i, e := range errors {
			rows[i].Error = e
			sum += math.Abs(e)
		}
		got := statsOf(rows)
		if got.N != len(errors) || math.Abs(got.MAPE-sum/float64(len(errors))) > 1e-12 {
			t.Fatalf("n %d, MAPE %v of %v", got.N, got.MAPE, errors)
		}
		within := func(limit float64) float64 {
			n := 0
			for _, e := range errors {
				if math.Abs(e) <= limit {
					n++
				}
			}
			return float64(n) / float64(len(errors))
		}
		if got.Within10 != within(0.1) || got.Within20 != within(0.2) || got.Within30 != within(0.3) {
			t.Fatalf("%+v of %v", got, errors)
		}
		// The median is the value with as many below as above, by counting.
		middle := func(of func(float64) float64) float64 {
			v := make([]float64, len(errors))
			for i, e := range errors {
				v[i] = of(e)
			}
			sort.Float64s(v)
			if len(v)%2 == 1 {
				return v[len(v)/2]
			}
			return (v[len(v)/2-1] + v[len(v)/2]) / 2
		}
		if got.Bias != middle(func(e float64) float64 { return e }) || got.MedianAPE != middle(math.Abs) {
			t.Fatalf("%+v of %v", got, errors)
		}
	})
}

func TestStatsOfNothing(t *testing.T) {
	if s := statsOf(nil); s != (Stats{}) {
		t.Errorf("%+v", s)
	}
}

// small is a file whose rows run in milliseconds: two are the same deployment, one
// does not fit, one states no GPUs.
func small(t *testing.T) []*Set {
	t.Helper()
	llama := with(local, "model_path", "meta-llama/Llama-3.1-8B-Instruct", "tp_size", "1", "silicon_data_source", "source_file=local/x; silicon_concurrency=4", "batch_size", "4")
	big := with(llama, "id", "big", "model_path", "Qwen/Qwen3-235B-A22B-FP8", "precision", "fp8")
	var sets []*Set
	for _, data := range []string{
		csvOf(siliconColumns, with(llama, "id", "a"), with(llama, "id", "b", "silicon_tpot_ms", "8"), big, with(llama, "id", "c", "osl", "64")),
		csvOf(inferenceXColumns, h200, with(h200, "gpus_best", "")),
		caseText,
	} {
		set, err := Read("small", []byte(data), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, set)
	}
	return sets
}

func report(t *testing.T, workers int) (*Report, string) {
	t.Helper()
	runs := 0
	r, err := Run(t.Context(), small(t), Options{Workers: workers, Done: func(done, total int) {
		if runs++; runs != done || total != 5 {
			t.Errorf("told %d of %d, want %d of 5 (equal scenarios are run once)", done, total, runs)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, w := range writers {
		if err := w.write(&out, r); err != nil {
			t.Fatal(err)
		}
	}
	return r, out.String()
}

func TestRun(t *testing.T) {
	r, text := report(t, 1)
	var ids []string
	for _, row := range r.Rows {
		ids = append(ids, row.ID+" "+row.Metric)
		if row.Error != row.Predicted/row.Measured-1 || !(row.Predicted > 0) {
			t.Errorf("%+v: error is not predicted/measured − 1", row)
		}
	}
	want := "a tpot_ms_mean,a ttft_ms_mean,b tpot_ms_mean,b ttft_ms_mean,c tpot_ms_mean,c ttft_ms_mean," +
		"small:2 tpot_ms_p50,small:2 ttft_ms_p50,small:2 tput_per_gpu,small:2 output_tput_per_gpu,one output_tokens_per_s_per_chip,one tpot_ms_mean"
	if got := strings.Join(ids, ","); got != want {
		t.Errorf("rows %s\nwant %s", got, want)
	}
	if r.Rows[0].Predicted != r.Rows[2].Predicted || r.Rows[0].Error == r.Rows[2].Error {
		t.Error("two measurements of one deployment have one prediction, each its own error")
	}
	// 8 GPUs serve: prompt and output tokens are about equally many.
	if total, out := r.Rows[8].Predicted, r.Rows[9].Predicted; !(total > 1.8*out && total < 2.2*out) {
		t.Errorf("%v tokens/s a GPU in all, %v of output", total, out)
	}
	var skipped []string
	for _, s := range r.Skipped {
		skipped = append(skipped, s.ID)
	}
	if got := strings.Join(skipped, ","); got != "big,small:3,two" || !strings.Contains(r.Skipped[0].Why, "does not fit") {
		t.Errorf("skipped %+v", r.Skipped)
	}
	if r.Summary.Overall.N != 12 || r.Summary.Hardware["h100"].N != 8 || r.Summary.Model["deepseek-r1"].N != 4 || r.Partial {
		t.Errorf("%+v", r.Summary)
	}
	for _, line := range []string{"worst TTFT", "skipped 3 rows", "and 1 more of this deployment", `"within_30"`} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), line) { // wherever lines break
			t.Errorf("%q is not in the output:\n%s", line, text)
		}
	}
}

func TestWorkersDoNotChangeTheReport(t *testing.T) {
	_, one := report(t, 1)
	_, four := report(t, 4)
	if one != four {
		t.Error("four workers print another report than one")
	}
}

func TestInterruptedRunKeepsWhatHasFinished(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, small(t), Options{Workers: 1, Done: func(done, _ int) {
		if done == 2 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Partial || len(r.Rows) != 4 || r.Rows[3].ID != "b" {
		t.Errorf("partial %t, %d rows", r.Partial, len(r.Rows))
	}
}

func TestRegimes(t *testing.T) {
	for _, x := range []struct {
		clients string
		want    Regime
	}{{"4", Light}, {"64", Knee}} {
		set, err := Read("x", []byte(csvOf(inferenceXColumns, with(h200, "conc", x.clients))), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), []*Set{set}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Rows[0].Regime != x.want {
			t.Errorf("%s clients: %s, want %s", x.clients, r.Rows[0].Regime, x.want)
		}
	}
	// One rank takes two at a time, of twenty that wait.
	text := strings.Replace(strings.Replace(caseText, "concurrency: 2, requests: 4", "concurrency: 20, requests: 40", 1), "tp: 1}", "tp: 1, max_sequences: 2}", 1)
	set, err := Read("cases.yaml", []byte(text), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), []*Set{set}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Rows[0].Regime != Overload {
		t.Errorf("two of twenty run: %s, want overload", r.Rows[0].Regime)
	}
}

// TestPublishedRows takes every 40th row of InferenceX on NVIDIA parts without MTP:
// what the file says must be readable, and the prediction not absurd.
func TestPublishedRows(t *testing.T) {
	set, err := Read("inferencex_dsr1.csv", shared(t, "inferencex_dsr1.csv"), ReadOptions{Filters: []Filter{{"spec", "none"}}})
	if err != nil {
		t.Fatal(err)
	}
	var some []Case
	for i := range set.Cases {
		if c := &set.Cases[i]; i%20 == 0 && !strings.HasPrefix(c.Hardware, "mi") {
			some = append(some, *c)
		}
	}
	if len(some) < 15 {
		t.Fatalf("only %d rows", len(some))
	}
	r, err := Run(t.Context(), []*Set{{Cases: some}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Summary.Metric["tpot_ms_p50"]; s.N < 15 || s.MedianAPE > 0.4 {
		t.Errorf("TPOT: %+v, want a median error below 40 %%", s)
	}
}

// TestPublishedScenarios quotes facts of rows: what they state is what is simulated.
func TestPublishedScenarios(t *testing.T) {
	set, err := Read("aic_silicon_sample.csv", shared(t, "aic_silicon_sample.csv"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(set.Cases) + len(set.Skipped); n != 3064 {
		t.Errorf("%d rows, the file has 3064", n)
	}
	for i := range set.Cases {
		// vLLM 0.16 served Kimi-K2.5 in INT4 on eight H200, 1024 in, 1024 out, 64 clients.
		c := &set.Cases[i]
		if c.Hardware != "h200" || c.Model != "kimi-k2.5" {
			continue
		}
		if d := c.Scenario.Deployment; d.Serve.TP != 8 || d.Serve.EP != 1 || d.Engine != "vllm" || d.Precision.Experts != "" {
			t.Errorf("%s: %+v %+v, want TP8 in the checkpoint's INT4", c.ID, d, d.Serve)
		}
	}
}

// A case that breaks an invariant is listed with the others' faults and comes back as an
// error; the others are predicted.
func TestPanicIsOneCasesFault(t *testing.T) {
	sets := small(t)
	broken := sets[0].Cases[0]
	broken.ID, broken.Steady, broken.Phase = "broken", &Steady{Context: 100}, Prefill
	broken.Scenario = broken.Scenario.Clone()
	broken.Scenario.Deployment = scenario.Deployment{} // which readers refuse: a step of no pool
	sets = append(sets, &Set{Cases: []Case{broken}})
	r, err := Run(t.Context(), sets, Options{Workers: 2})
	if !errors.As(err, new(*work.Panic)) || !strings.HasPrefix(err.Error(), "broken: broken invariant: ") {
		t.Fatalf("got %v", err)
	}
	whole, _ := report(t, 2)
	if len(r.Rows) != len(whole.Rows) || len(r.Skipped) != len(whole.Skipped)+1 || r.Partial {
		t.Errorf("%d rows and %d skipped, %d and %d without the broken case", len(r.Rows), len(r.Skipped), len(whole.Rows), len(whole.Skipped))
	}
}
