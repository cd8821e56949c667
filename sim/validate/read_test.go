package validate

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/scenario"
)

// csvOf writes a table with the columns in order; cells that a row does not name
// are empty.
func csvOf(columns []string, rows ...map[string]string) string {
	lines := []string{strings.Join(columns, ",")}
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = row[c]
		}
		lines = append(lines, strings.Join(cells, ","))
	}
	return strings.Join(lines, "\n") + "\n"
}

func with(row map[string]string, pairs ...string) map[string]string {
	out := map[string]string{}
	for k, v := range row {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// h200 is a row of InferenceX: R1 in FP8 on a board of H200 with TensorRT-LLM.
var h200 = map[string]string{
	"gpus_best": "8", "hardware": "h200", "framework": "trt", "model": "dsr1", "precision": "fp8", "spec": "none", "disagg": "False",
	"prefill_tp": "8", "prefill_ep": "8", "prefill_dp_attn": "False", "prefill_workers": "0",
	"decode_tp": "8", "decode_ep": "8", "decode_dp_attn": "False", "decode_workers": "0", "num_prefill_gpu": "64", "num_decode_gpu": "64",
	"isl": "1024", "osl": "1024", "conc": "4",
	"median_ttft_s": "0.25", "median_tpot_s": "0.0125", "tput_per_gpu": "80", "output_tput_per_gpu": "40",
}

// gb200 is a disaggregated one: a prefill worker of 4 and a decode worker of 48.
var gb200 = with(h200, "hardware", "gb200", "framework", "dynamo-sglang", "disagg", "True", "gpus_best", "64",
	"prefill_tp", "4", "prefill_ep", "4", "prefill_dp_attn", "True", "prefill_workers", "4", "num_prefill_gpu", "16",
	"decode_tp", "48", "decode_ep", "48", "decode_dp_attn", "True", "decode_workers", "1", "num_decode_gpu", "48", "conc", "2048")

func readOne(t *testing.T, columns []string, row map[string]string) *Set {
	t.Helper()
	set, err := Read("rows.csv", []byte(csvOf(columns, row)), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func onlyCase(t *testing.T, columns []string, row map[string]string) *Case {
	t.Helper()
	set := readOne(t, columns, row)
	if len(set.Cases) != 1 {
		t.Fatalf("the row is skipped: %+v", set.Skipped)
	}
	return &set.Cases[0]
}

func TestInferenceXAggregated(t *testing.T) {
	c := onlyCase(t, inferenceXColumns, h200)
	if c.ID != "rows.csv:2" || c.Hardware != "h200" || c.Model != "deepseek-r1" || c.Engine != "trtllm" {
		t.Errorf("named %q %q %q %q", c.ID, c.Hardware, c.Model, c.Engine)
	}
	want := []Measure{{"tpot_ms_p50", 12.5}, {"ttft_ms_p50", 250}, {"tput_per_gpu", 80}, {"output_tput_per_gpu", 40}}
	if !slices.Equal(c.Measures, want) {
		t.Errorf("measures %v, want %v", c.Measures, want)
	}
	s := c.Scenario
	if p := s.Deployment.Serve; s.Topology != "hgx-h200" || p.TP != 8 || p.DP != 1 || p.EP != 8 || p.Instances != 1 {
		t.Errorf("%s %+v, want TP8 EP8 on one board", s.Topology, p)
	}
	if w := s.Workload; w.Concurrency != 4 || w.Requests != 40 || w.InputTokens.String() != "uniform(819,1024)" || w.OutputTokens.String() != "uniform(819,1024)" {
		t.Errorf("workload %+v %v %v", w, w.InputTokens, w.OutputTokens)
	}
	if s.Deployment.Engine != "trtllm" || s.Deployment.MTP.Drafts != 0 {
		t.Errorf("deployment %+v", s.Deployment)
	}
}

func TestInferenceXAttentionDPAndMTP(t *testing.T) {
	c := onlyCase(t, inferenceXColumns, with(h200, "decode_dp_attn", "True", "spec", "mtp", "isl", "8192", "conc", "64"))
	d := c.Scenario.Deployment
	if p := d.Serve; p.TP != 1 || p.DP != 8 || p.EP != 8 {
		t.Errorf("%+v, want DP8 EP8", p)
	}
	// With attention DP TensorRT-LLM's script has one draft layer, and room for a
	// prompt and 64/8 clients of two rows: ⌈(16 + 8192 + 64)/64⌉·64.
	if d.MTP.Drafts != 1 || d.Serve.MaxTokens != 8320 {
		t.Errorf("drafts %d, chunk %d, want 1 and 8320", d.MTP.Drafts, d.Serve.MaxTokens)
	}
}

func TestInferenceXLaunchScripts(t *testing.T) {
	for _, x := range []struct {
		row                             map[string]string
		poll, drafts, tokens, sequences int
		accepted                        float64
	}{
		{with(h200, "hardware", "b200", "framework", "sglang", "precision", "fp4", "conc", "8"), 10, 0, 16384, 256, 0},
		{with(h200, "hardware", "b200", "framework", "sglang", "precision", "fp4", "conc", "16"), 30, 0, 16384, 256, 0},
		{with(h200, "hardware", "b200", "framework", "sglang", "conc", "16"), 30, 0, 32768, 128, 0},
		{with(h200, "hardware", "b200", "framework", "sglang", "spec", "mtp", "conc", "16"), 30, 2, 16384, 512, 2.27},
		{with(h200, "framework", "sglang", "conc", "16"), 1, 0, 32768, 512, 0},
		{with(h200, "hardware", "mi300x", "framework", "sglang"), 0, 0, 131072, 0, 0},
		{with(h200, "spec", "mtp"), 0, 3, 1152, 4, 2.49},
		{with(h200, "hardware", "mi355x", "framework", "atom", "spec", "mtp"), 0, 1, 0, 0, 0},
	} {
		s := onlyCase(t, inferenceXColumns, x.row).Scenario
		d := s.Deployment
		if int(engineNumber(s, "poll_steps")) != x.poll || d.MTP.Drafts != x.drafts || d.MTP.AcceptedLength != x.accepted || d.Serve.MaxTokens != x.tokens || d.Serve.MaxSequences != x.sequences {
			t.Errorf("%s %s %s at %s: poll %g, mtp %+v, chunk %d, sequences %d; want %+v", x.row["hardware"], x.row["framework"], x.row["spec"], x.row["conc"],
				engineNumber(s, "poll_steps"), d.MTP, d.Serve.MaxTokens, d.Serve.MaxSequences, x)
		}
	}
}

func TestInferenceXDisaggregated(t *testing.T) {
	c := onlyCase(t, inferenceXColumns, gb200)
	d := c.Scenario.Deployment
	if p := d.Prefill; p.Instances != 4 || p.TP != 1 || p.DP != 4 || p.EP != 4 || p.Experts.Redundant != 0 {
		t.Errorf("prefill %+v, want four of DP4 EP4", p)
	}
	if p := d.Decode; p.Instances != 1 || p.DP != 48 || p.EP != 48 || p.Experts.Redundant != 32 {
		t.Errorf("decode %+v, want one of DP48 EP48 with 32 copies", p)
	}
	if c.Scenario.Topology != "gb200-nvl72" || c.Hardware != "gb200" || c.Engine != "dynamo-sglang" || d.Engine != "sglang" {
		t.Errorf("%s %s %s %s", c.Scenario.Topology, c.Hardware, c.Engine, d.Engine)
	}
}

func TestInferenceXPrecision(t *testing.T) {
	for hardware, want := range map[string]scenario.Precision{
		"b200":   {Weights: models.NVFP4, Attention: models.BF16, AttentionOutput: models.NVFP4, Experts: models.NVFP4},
		"mi355x": {Weights: models.BF16, Experts: models.MXFP4},
	} {
		p := onlyCase(t, inferenceXColumns, with(h200, "hardware", hardware, "framework", "sglang", "precision", "fp4")).Scenario.Deployment.Precision
		if p != want {
			t.Errorf("fp4 on %s: %+v, want %+v", hardware, p, want)
		}
	}
}

func TestInferenceXSkips(t *testing.T) {
	for _, x := range []struct{ change, to, why string }{
		{"gpus_best", "", "the number of GPUs is not settled"},
		{"hardware", "tpu9", `unknown chip "tpu9"`},
		{"model", "dsv9", `unknown model "dsv9"`},
		{"framework", "lmdeploy", `unknown engine "lmdeploy"`},
		{"precision", "fp6", `unknown precision "fp6"`},
		{"spec", "eagle9", `unknown speculative decoding "eagle9"`},
		{"decode_tp", "4", "tp 4 and ep 8 do not make the 8 chips"},
	} {
		set := readOne(t, inferenceXColumns, with(h200, x.change, x.to))
		if len(set.Skipped) != 1 || len(set.Cases) != 0 || !strings.Contains(set.Skipped[0].Why, x.why) || set.Skipped[0].ID != "rows.csv:2" {
			t.Errorf("%s=%s: %+v, want skipped for %q", x.change, x.to, set, x.why)
		}
	}
	// Disaggregated rows whose pools do not add up, or whose workers have no layout.
	for _, x := range []struct{ change, to, why string }{
		{"gpus_best", "60", "pools of 16 and 48 GPUs, 60 in all"},
		{"prefill_workers", "0", "0 prefill workers on 16 GPUs"},
		{"decode_workers", "5", "5 decode workers on 48 GPUs"},
		{"decode_ep", "1", ""},
		{"prefill_tp", "1", ""},
	} {
		row := with(gb200, x.change, x.to)
		if x.why == "" { // tp 1, ep 1 of a worker of several chips
			row, x.why = with(gb200, "prefill_tp", "1", "prefill_ep", "1"), "prefill: layout unknown: tp 1 and ep 1 do not make the 4 chips"
		}
		set := readOne(t, inferenceXColumns, row)
		if len(set.Skipped) != 1 || !strings.Contains(set.Skipped[0].Why, x.why) {
			t.Errorf("%s=%s: %+v, want skipped for %q", x.change, x.to, set.Skipped, x.why)
		}
	}
}

func TestFaultsAreErrors(t *testing.T) {
	for _, x := range []struct{ name, data, want string }{
		{"empty.csv", "", "empty.csv: the file is empty"},
		{"other.csv", "a,b,c\n1,2,3\n", "other.csv: unknown kind of file"},
		{"short.csv", "gpus_best,hardware\n8,h200\n", "short.csv:1:1: framework: column is missing"},
		{"cell.csv", csvOf(inferenceXColumns, with(h200, "conc", "many")), "cell.csv:2:72: conc: must be a whole number from 1 to 1048576, got \"many\""},
		{"truth.csv", csvOf(inferenceXColumns, with(h200, "disagg", "maybe")), "disagg: must be True or False, got \"maybe\""},
		{"zero.csv", csvOf(inferenceXColumns, with(h200, "median_tpot_s", "-1")), "median_tpot_s: must be a number above 0, got \"-1\""},
		{"cells.csv", csvOf(inferenceXColumns, h200) + "1,2\n", "cells.csv:3:1: the row has not as many cells as the header"},
		{"twice.csv", "gpus_best,gpus_best\n1,2\n", "gpus_best: column is given twice"},
		{"text.csv", "gpus_best,\xff\n", "is not UTF-8 text"},
	} {
		_, err := Read(x.name, []byte(x.data), ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
	// All faults of a file at once.
	_, err := Read("two.csv", []byte(csvOf(inferenceXColumns, with(h200, "conc", "x"), with(h200, "isl", "y"))), ReadOptions{})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two faults: %v", err)
	}
}

func TestFilters(t *testing.T) {
	data := []byte(csvOf(inferenceXColumns, h200, with(h200, "conc", "8"), with(h200, "conc", "8", "isl", "8192")))
	set, err := Read("rows.csv", data, ReadOptions{Filters: []Filter{{"conc", "8"}, {"isl", "1024"}}})
	if err != nil || len(set.Cases) != 1 || set.Cases[0].ID != "rows.csv:3" {
		t.Errorf("%+v, %v, want the second row", set, err)
	}
	if _, err := Read("rows.csv", data, ReadOptions{Filters: []Filter{{"cnc", "8"}}}); err == nil || !strings.Contains(err.Error(), `did you mean "conc"`) {
		t.Errorf("an unknown column: %v", err)
	}
	if _, err := ParseFilter("conc"); err == nil {
		t.Error("a filter without a value is taken")
	}
}

func TestEngineOfTheCommand(t *testing.T) {
	set, err := Read("rows.csv", []byte(csvOf(inferenceXColumns, h200)), ReadOptions{Engine: "ideal"})
	if err != nil || set.Cases[0].Scenario.Deployment.Engine != "ideal" || set.Cases[0].Engine != "trtllm" {
		t.Errorf("%+v, %v: want ideal in the scenario, trtllm as the row's engine", set, err)
	}
	if _, err := Read("rows.csv", nil, ReadOptions{Engine: "vlm"}); err == nil || !strings.Contains(err.Error(), `"vllm"`) {
		t.Errorf("an unknown engine: %v", err)
	}
}

const caseText = `version: 1
cases:
  - id: one
    source: "a page, table 2"
    scenario:
      version: 1
      model: llama-3.1-8b
      topology: hgx-h100
      workload: {concurrency: 2, requests: 4, input_tokens: 128, output_tokens: 16}
      deployment: {serve: {instances: 1, tp: 1}}
      seed: 3
    measure: {tpot_ms_mean: 7, output_tokens_per_s_per_chip: 200}
  - id: two
    source: "the same"
    scenario:
      model: no-such-model
      topology: hgx-h100
      deployment: {engine: sglang}
    phase: decode
    measure: {itl_ms_p99: 7}
`

func TestCaseList(t *testing.T) {
	set, err := Read("cases.yaml", []byte(caseText), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Cases) != 1 || len(set.Skipped) != 1 || set.Skipped[0].ID != "two" || !strings.Contains(set.Skipped[0].Why, `unknown model "no-such-model"`) {
		t.Fatalf("%+v", set)
	}
	c := set.Cases[0]
	if c.ID != "one" || c.Hardware != "h100" || c.Engine != "vllm" || c.Phase != All || c.Scenario.Seed != 3 {
		t.Errorf("%+v", c)
	}
	if want := []Measure{{"output_tokens_per_s_per_chip", 200}, {"tpot_ms_mean", 7}}; !slices.Equal(c.Measures, want) {
		t.Errorf("measures %v, want %v", c.Measures, want)
	}
	set, err = Read("cases.yaml", []byte(caseText), ReadOptions{Filters: []Filter{{"engine", "sglang"}}})
	if err != nil || len(set.Cases) != 0 || len(set.Skipped) != 1 {
		t.Errorf("filtered: %+v, %v", set, err)
	}
}

func TestCaseListFaults(t *testing.T) {
	for _, x := range []struct{ from, to, want string }{
		{"version: 1\ncases", "version: 2\ncases", "cases.yaml:1:10: version: must be 1, got 2"},
		{"id: two", "id: one", `cases[1].id: "one" is given twice`},
		{"id: one", "name: one", `unknown key "name"`},
		{`    source: "the same"` + "\n", "", "cases[1].source: must name where"},
		{"phase: decode", "phase: decoding", `did you mean "decode"`},
		{"itl_ms_p99: 7", "itl_ms_p98: 7", `did you mean "itl_ms_p90"`},
		{"itl_ms_p99: 7", "itl_ms_p99: 0", "must be above 0 and finite, got 0"},
		{"measure: {itl_ms_p99: 7}", "measure: {}", "must have at least one measured figure"},
		{"engine: sglang", "engine: sglan", `cases.yaml:18:28: cases[1].scenario.deployment.engine: unknown engine "sglan"`},
		{"      model: llama-3.1-8b\n", "", "cases[0].scenario.model: is missing"},
	} {
		text := strings.Replace(caseText, x.from, x.to, 1)
		if text == caseText {
			t.Fatalf("%q is not in the text", x.from)
		}
		if _, err := Read("cases.yaml", []byte(text), ReadOptions{}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%q: %v\nwant %q", x.to, err, x.want)
		}
	}
	if _, err := Read("cases.yaml", []byte("version: 1\ncases: []\n"), ReadOptions{}); err == nil || !strings.Contains(err.Error(), "at least one case") {
		t.Errorf("no case: %v", err)
	}
}

// FuzzRead: whatever the file holds, a reader gives cases that can be written down,
// or an error, and every row lands in one of the two lists.
func FuzzRead(f *testing.F) {
	f.Add("rows.csv", csvOf(inferenceXColumns, h200, gb200, with(h200, "conc", "x")))
	f.Add("rows.csv", csvOf(siliconColumns, kimi, with(kimi, "mode", "disagg")))
	f.Add("cases.yaml", caseText)
	f.Add("x", "gpus_best\n\"")
	// Loading models is most of a read's time; here it is not what is tested.
	names := nameCache{}
	f.Fuzz(func(t *testing.T, name, data string) {
		set, err := Read(name, []byte(data), ReadOptions{names: names})
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		for _, c := range set.Cases {
			if c.ID == "" || c.Hardware == "" || c.Model == "" || c.Engine == "" || c.Scenario == nil {
				t.Errorf("incomplete case %+v", c)
			}
			for _, m := range c.Measures {
				if _, err := findMetric(m.Metric); err != nil || !(m.Value > 0) {
					t.Errorf("measure %+v: %v", m, err)
				}
			}
			text, err := c.Scenario.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := plant.Read("again", text); err != nil {
				t.Errorf("a scenario does not read back: %v\n%s", err, text)
			}
		}
	})
}

// shared is the folder of the measurements, which is not part of the repository.
func shared(t *testing.T, name string) []byte {
	t.Helper()
	dir, given := os.LookupEnv("CLUSTERSIM_SHARED")
	for at, err := os.Getwd(); !given && err == nil; at = filepath.Dir(at) {
		if _, missing := os.Stat(filepath.Join(at, "go.mod")); missing == nil || at == filepath.Dir(at) {
			dir = filepath.Join(at, "..", "shared")
			break
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "validation", name))
	switch {
	case err != nil && given:
		t.Fatal(err)
	case err != nil:
		t.Skipf("no measurements: %v", err)
	}
	return data
}

// engineNumber is what a scenario's patches say of a number of the engine, 0 for nothing.
func engineNumber(s *scenario.Scenario, path string) float64 {
	for _, p := range s.Patches {
		if p.Path == "engine."+path {
			v, _ := strconv.ParseFloat(p.Value, 64)
			return v
		}
	}
	return 0
}
