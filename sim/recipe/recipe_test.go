package recipe

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every shipped recipe loads, and no two that may fit the same row are without order.
func TestShipped(t *testing.T) {
	all, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 60 {
		t.Errorf("%d recipes ship", len(all))
	}
	for _, r := range all {
		if !strings.Contains(r.Source, "@") && !strings.Contains(r.Source, "pull request") {
			t.Errorf("%s: source %q names no version", r.Name, r.Source)
		}
		if r.Match.Engine == nil || r.Match.Benchmark == nil {
			t.Errorf("%s: its match names no benchmark or no engine", r.Name)
		}
		if len(r.Set) == 0 {
			t.Errorf("%s sets nothing", r.Name)
		}
	}
}

// A row that states what a recipe's match says gets it, so none lies behind another.
func TestEveryRecipeIsFound(t *testing.T) {
	all, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		found := false
		for _, f := range examples(r) {
			got, has, err := Find(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || has && got == r
		}
		if !found {
			t.Errorf("%s is found by no row", r.Name)
		}
	}
}

// examples are rows that a recipe's match admits, one for each combination of its names.
func examples(r *Recipe) []Facts {
	facts := []Facts{{Precision: "fp8", Spec: "none", Chip: "some chip", Model: "some model"}}
	for _, k := range r.Match.keys() {
		if *k.names == nil {
			continue
		}
		var next []Facts
		for _, f := range facts {
			for _, name := range *k.names {
				with := f
				v, _, _ := with.field(k.name)
				v.SetString(name)
				next = append(next, with)
			}
		}
		facts = next
	}
	if r.Table == nil {
		return facts
	}
	var out []Facts
	for _, f := range facts {
		for i := range r.Table.rows {
			with := f
			for j, name := range r.Table.Match {
				with.learnFact(name, r.Table.rows[i].facts[j][0])
			}
			out = append(out, with)
		}
	}
	return out
}

// learnFact sets a fact from its text.
func (f *Facts) learnFact(name, text string) {
	v, _, _ := f.field(name)
	if v.CanInt() {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			panic(err)
		}
		v.SetInt(n)
		return
	}
	v.SetString(text)
}

// load reads a recipe from a file with this text.
func load(t *testing.T, text string, beside ...string) (*Recipe, error) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(beside); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, beside[i]), []byte(beside[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Load(file)
}

const head = "name: mine\ndescription: a script\nsource: a page\n"

func apply(t *testing.T, text string, f Facts, beside ...string) map[string]string {
	t.Helper()
	r, err := load(t, text, beside...)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := r.Apply(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range settings {
		if _, twice := out[s.Path]; twice {
			t.Errorf("%s is set twice", s.Path)
		}
		out[s.Path] = s.Value
	}
	return out
}

func TestApply(t *testing.T) {
	text := head + `set:
  deployment.mode: aggregated
  deployment.serve.max_sequences: "=max(1, div(clients, serve.dp))"
  deployment.serve.max_tokens: "=max(8192, roundup(clients + input + 64, 64))"
  deployment.decode.max_sequences: "=decode.dp"
  seed: 7
also:
  - when: clients >= 16
    set: {seed: 9, deployment.routing: uniform}
  - when: clients >= 64 and chip == "b200"
    set: {seed: 11}
  - when: decode.dp > 1
    set: {seed: 13}
`
	for _, x := range []struct {
		facts                               Facts
		sequences, tokens, seed, routing, n string
	}{
		{Facts{Clients: 4, Input: 1024, Chip: "b200", Serve: Pool{DP: 8}}, "1", "8192", "7", "", ""},
		{Facts{Clients: 17, Input: 8192, Chip: "b200", Serve: Pool{DP: 8}}, "2", "8320", "9", "uniform", ""}, // 8273 in 64s
		{Facts{Clients: 64, Input: 8192, Chip: "h200", Serve: Pool{DP: 1}}, "64", "8320", "9", "uniform", ""},
		{Facts{Clients: 64, Input: 8193, Chip: "b200", Serve: Pool{DP: 1}}, "64", "8384", "11", "uniform", ""},
	} {
		got := apply(t, text, x.facts)
		want := map[string]string{"deployment.mode": "aggregated", "deployment.serve.max_sequences": x.sequences, "deployment.serve.max_tokens": x.tokens, "seed": x.seed}
		if x.routing != "" {
			want["deployment.routing"] = x.routing
		}
		for path := range want {
			if got[path] != want[path] {
				t.Errorf("%+v: %s is %q, want %q", x.facts, path, got[path], want[path])
			}
		}
		if len(got) != len(want) { // what is said of a decode pool is not for an aggregated run
			t.Errorf("%+v: %v, want %v", x.facts, got, want)
		}
	}
}

// A fact that a value needs and the run does not state is named, with where it is stated.
func TestMissingFacts(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"set: {seed: =clients}", "needs clients, which the run does not state (workload.concurrency)"},
		{"set: {seed: =serve.dp}", "needs serve.dp, which the run does not state (deployment.serve.dp)"},
		{"set: {seed: 1}\nalso: [{when: input > 1024, set: {seed: 2}}]", `the condition "input > 1024" needs input`},
		{"set: {seed: '=div(output, output - 1)'}", "want two whole numbers, the second above 0"},
	} {
		r, err := load(t, head+x.text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Apply(Facts{Output: 1}, nil); err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), "recipe mine") {
			t.Errorf("%s: %v, want %q", x.text, err, x.want)
		}
	}
	// Drafts are always known: none where nobody says so.
	if got := apply(t, head+`set: {seed: "=drafts + 1"}`, Facts{}); got["seed"] != "1" {
		t.Errorf("%v", got)
	}
}

// What a recipe sets of the drafts is a fact for what follows, unless the run states them.
func TestLearned(t *testing.T) {
	text := head + `set: {deployment.serve.max_tokens: "=100 * (1 + drafts)", deployment.mtp.drafts: "=serve.dp > 1 ? 1 : 3", deployment.mode: aggregated}`
	for _, x := range []struct {
		dp, drafts int
		want       string
	}{{1, 0, "400"}, {8, 0, "200"}, {8, 2, "300"}} {
		if got := apply(t, text, Facts{Serve: Pool{DP: x.dp}, Drafts: x.drafts}); got["deployment.serve.max_tokens"] != x.want {
			t.Errorf("dp %d, %d drafts stated: %v, want %s tokens", x.dp, x.drafts, got, x.want)
		}
	}
}

// What the run states stays, be it zero, and values that hang on it go by it.
func TestStated(t *testing.T) {
	r, err := load(t, head+`set: {deployment.mode: aggregated, deployment.mtp.drafts: 2, seed: 7, deployment.serve.max_tokens: "=100 * (1 + drafts)"}
also: [{when: drafts == 2, set: {deployment.mtp.accepted_length: 2}}, {when: clients > 1, set: {seed: 8}}]`)
	if err != nil {
		t.Fatal(err)
	}
	paths := func(f Facts, stated ...string) string {
		settings, err := r.Apply(f, func(path string) bool { return slices.Contains(stated, path) })
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, s := range settings {
			out = append(out, s.Path+"="+s.Value)
		}
		return strings.Join(out, " ")
	}
	for _, x := range []struct{ got, want string }{
		{paths(Facts{Clients: 1}), "deployment.mode=aggregated deployment.mtp.drafts=2 seed=7 deployment.serve.max_tokens=300 deployment.mtp.accepted_length=2"},
		{paths(Facts{Clients: 2}, "seed", "deployment.mtp.drafts"), "deployment.mode=aggregated deployment.serve.max_tokens=100"},
		{paths(Facts{Clients: 1}, "seed", "deployment.serve.max_tokens", "deployment.mode"), "deployment.mtp.drafts=2 deployment.mtp.accepted_length=2"},
		{paths(Facts{Clients: 2, Mode: "disaggregated"}, "seed"), "deployment.mtp.drafts=2 deployment.mtp.accepted_length=2"}, // its pools say the mode
	} {
		if x.got != x.want {
			t.Errorf("%s\nwant %s", x.got, x.want)
		}
	}
}

const tableText = head + `match: {engine: sglang}
table: {file: rows.csv, match: [chip, clients, decode.instances]}
set: {deployment.mode: disaggregated, deployment.decode.max_sequences: "=div(512, decode.dp)"}
`
const tableRows = "chip,clients,decode.instances,deployment.decode.dp,seed\nh100,4 8,2,16,\nh200,4,0,8,5\n"

func TestTable(t *testing.T) {
	for _, x := range []struct {
		facts           Facts
		dp, places, set string
	}{
		{Facts{Chip: "h100", Clients: 8, Decode: Pool{Instances: 2, DP: 1}}, "16", "32", ""}, // the row's layout replaces what is stated
		{Facts{Chip: "h200", Clients: 4}, "8", "64", "5"},                                    // 0: the number of instances is not stated
	} {
		got := apply(t, tableText, x.facts, "rows.csv", tableRows)
		if got["deployment.decode.dp"] != x.dp || got["deployment.decode.max_sequences"] != x.places || got["seed"] != x.set {
			t.Errorf("%+v: %v", x.facts, got)
		}
	}
	r, err := load(t, tableText, "rows.csv", tableRows)
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Engine: "sglang", Chip: "h200", Clients: 8}
	if _, err := r.Apply(f, nil); err == nil || !strings.Contains(err.Error(), "no row of rows.csv is for this run: chip=h200, clients=8, decode.instances=0") {
		t.Errorf("%v", err)
	}
	if r.fits(&f) {
		t.Error("a recipe fits a run that its table has no row for")
	}
}

// Of two recipes that fit, the one that admits less goes first, whatever their order.
func TestNarrower(t *testing.T) {
	anyModel := &Recipe{Name: "any", Match: Match{Engine: Names{"vllm"}}}
	chips := &Recipe{Name: "chips", Match: Match{Engine: Names{"vllm"}, Chip: Names{"b200", "b300"}}}
	chip := &Recipe{Name: "chip", Match: Match{Engine: Names{"vllm"}, Chip: Names{"b200"}}}
	version := &Recipe{Name: "version", Match: Match{Engine: Names{"vllm"}, Chip: Names{"b200"}, Version: Names{"0.19"}}}
	patch := &Recipe{Name: "patch", Match: Match{Engine: Names{"vllm"}, Chip: Names{"b200"}, Version: Names{"0.19.1"}}}
	table := &Recipe{Name: "table", Match: Match{Engine: Names{"vllm"}}, Table: &Table{}}
	for i, pair := range [][2]*Recipe{{chips, anyModel}, {chip, chips}, {version, chip}, {patch, version}, {table, anyModel}} {
		if !pair[0].narrower(pair[1]) || pair[1].narrower(pair[0]) {
			t.Errorf("%d: %s does not go before %s alone", i, pair[0].Name, pair[1].Name)
		}
	}
	if err := conflict([]*Recipe{anyModel, chips, chip, version, patch}); err != nil {
		t.Error(err)
	}
	model := &Recipe{Name: "model", Match: Match{Engine: Names{"vllm"}, Model: Names{"m"}}}
	for _, two := range [][]*Recipe{{chips, model}, {model, {Match: model.Match}}, {table, chips}} {
		if conflict(two) == nil {
			t.Errorf("%s and the other may both fit, and neither is narrower", two[0].Name)
		}
	}
	if err := conflict([]*Recipe{{Match: Match{Chip: Names{"a"}}}, {Match: Match{Chip: Names{"b"}, Model: Names{"m"}}}}); err != nil {
		t.Errorf("recipes of different chips do not meet: %v", err)
	}
}

func TestBeside(t *testing.T) {
	r, err := load(t, head+"match: {engine: sglang, chip: [b200, b300], model: deepseek-r1}\nset: {deployment.mode: aggregated}")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		facts Facts
		want  string
	}{
		{Facts{Chip: "b300", Model: "deepseek-r1", Mode: "aggregated"}, ""},
		{Facts{}, ""}, // what is not stated differs from nothing
		{Facts{Chip: "h200", Model: "deepseek-r1"}, "is for chip b200 or b300, the run has h200"},
		{Facts{Chip: "b200", Mode: "disaggregated"}, "starts aggregated servers: what it says of their pools is left out of a run that is disaggregated"},
	} {
		if got := strings.Join(r.Beside(x.facts), "; "); got != x.want {
			t.Errorf("%+v: %q, want %q", x.facts, got, x.want)
		}
	}
}

func TestBase(t *testing.T) {
	base := strings.Replace(head, "mine", "base", 1) + "match: {engine: vllm, chip: h200}\nset: {seed: 1, deployment.routing: uniform}\nalso: [{when: clients > 1, set: {seed: 2}}]\n"
	r, err := load(t, head+"base: ./base.yaml\nmatch: {chip: b200}\nset: {seed: 3}\nalso: [{when: clients > 2, set: {seed: 4}}]\n", "base.yaml", base)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Match.Engine, Names{"vllm"}) || !slices.Equal(r.Match.Chip, Names{"b200"}) || len(r.Also) != 2 || r.Name != "mine" {
		t.Errorf("%+v", r)
	}
	for clients, want := range map[int]string{1: "3", 2: "2", 3: "4"} {
		settings, err := r.Apply(Facts{Clients: clients}, nil)
		if err != nil || settings[0].Value != want || settings[1].Value != "uniform" {
			t.Errorf("%d clients: %v, %v, want a seed of %s", clients, settings, err, want)
		}
	}
	if _, err := load(t, head+"base: ./mine.yaml\nset: {seed: 3}\n"); err == nil || !strings.Contains(err.Error(), "comes back to itself") {
		t.Errorf("%v", err)
	}
}

// Faults name file, line, column and what was probably meant.
func TestFaults(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"sets: {seed: 1}", `mine.yaml:4:1: unknown key "sets"; did you mean "set"?`},
		{"match: {chips: b200}\nset: {seed: 1}", `mine.yaml:4:9: match: unknown key "chips"; did you mean "chip"?`},
		{"set:\n  seed: =client + 1", `mine.yaml:5:10: seed: unknown fact "client"; did you mean "clients"?`},
		{"set:\n  seed: \"=1 + decode.pd\"", `mine.yaml:5:15: seed: unknown fact "decode.pd"; did you mean "decode.dp"?`},
		{"set:\n  seed: =clients +", `mine.yaml:5:`},
		{"set:\n  seed: '=clients + chip'", "mine.yaml:5:"},
		{"set: {seed: 1}\nalso: [{when: clients, set: {seed: 2}}]", "also[0].when: expected bool, but got int"},
		{"set: {seed: 1}\nalso: [{set: {seed: 2}}]", "also[0]: needs when"},
		{"set: {seed: 1}\nalso: [{when: clients > 1}]", "also[0]: sets nothing"},
		{"set: {seed: 1, seed: 2}", "seed"},
		{"set: {seed: [1]}", "want one value"},
		{"base: sglang-r1\nset: {}", `mine.yaml:4:7: base: unknown recipe "sglang-r1"; did you mean sglang-r1-fp4-blackwell, `},
		{"table: {file: none.csv, match: [chip]}\nset: {}", "none.csv"},
		{"table: {file: rows.csv, match: [chp]}\nset: {}", `mine.yaml:4:33: table.match[0]: unknown fact "chp"; did you mean "chip"?`},
		{"table: {file: rows.csv, match: [model]}\nset: {}", "rows.csv:1:1: model: column is missing"},
		{"table: {file: rows.csv, match: [chip]}\nset: {}", "rows.csv:3:1: is for the same run as line 2: b200"},
	} {
		_, err := load(t, head+x.text, "rows.csv", "chip,seed\nb200,1\nb200,2\n")
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s:\n%v\nwant %q", x.text, err, x.want)
		}
	}
	if _, err := Load("sglang-r1-fp8-blackwel"); err == nil || !strings.Contains(err.Error(), `did you mean sglang-r1-fp8-blackwell, sglang-r1-fp8-blackwell-mtp? (recipe list has all)`) {
		t.Errorf("%v", err)
	}
	if _, err := load(t, "set: {seed: 1}"); err == nil || !strings.Contains(err.Error(), "source: must be given") {
		t.Errorf("%v", err)
	}
}

// The rows of the list of deployments are whole: a layout's degrees make the chips that
// rows state, limits are in range, and there are places for the clients. One for far
// fewer would say that columns were mixed up.
func TestDeployments(t *testing.T) {
	r, err := Load("srt-trtllm-r1-fp8")
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	for _, row := range r.Table.rows {
		var f Facts
		for i, name := range r.Table.Match {
			f.learnFact(name, row.facts[i][len(row.facts[i])-1])
		}
		stated := f
		for _, v := range row.set {
			f.learn(v.Path, v.Text)
		}
		value := func(path string) int {
			i := slices.IndexFunc(row.set, func(v Value) bool { return v.Path == path })
			if i < 0 {
				return 0
			}
			n, err := strconv.Atoi(row.set[i].Text)
			if err != nil {
				t.Error(err)
			}
			return n
		}
		if f.Prefill.TP*f.Prefill.DP != stated.Prefill.Ranks || f.Decode.TP*f.Decode.DP != stated.Decode.Ranks || f.Prefill.DP != stated.Prefill.DP {
			t.Errorf("%v: %+v", row.facts, f)
		}
		if tokens := value("deployment.prefill.max_tokens"); tokens < 2048 || tokens > 1<<15 {
			t.Errorf("%v: a prefill step of %d tokens", row.facts, tokens)
		}
		if (f.Drafts > 0) != (stated.Spec == "mtp") || f.Drafts > 3 {
			t.Errorf("%v: %d drafts", row.facts, f.Drafts)
		}
		if places := value("deployment.decode.max_sequences") * f.Decode.DP * stated.Decode.Instances; 4*places < f.Clients {
			t.Errorf("%v: %d places", row.facts, places)
		}
		runs += len(row.keys())
	}
	if runs < 400 {
		t.Errorf("%d deployments; the list has more", runs)
	}
}
