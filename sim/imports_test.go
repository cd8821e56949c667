package sim

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/clustersim/clustersim/"

// mayImport is the house rule: who may import whom, and nothing that no file uses.
var mayImport = map[string]string{
	"models":              "sim/spec",
	"topologies":          "sim/spec",
	"traces":              "sim/des sim/spec",
	"sim/spec":            "",
	"sim/des":             "",
	"sim/cause":           "",
	"sim/fit":             "",
	"sim/golden":          "",
	"sim/kv":              "",
	"sim/work":            "",
	"sim/typeset":         "",
	"sim/slo":             "sim/spec",
	"sim/net":             "sim/des",
	"sim/scenario":        "models sim/recipe sim/route/policy sim/slo sim/spec topologies traces",
	"sim/result":          "sim/cause sim/scenario sim/slo sim/spec",
	"sim/report":          "models sim/cause sim/result sim/scenario sim/spec sim/typeset",
	"sim/cost/law":        "sim/spec topologies",
	"sim/cost":            "models sim/cause sim/cost/law sim/des sim/spec topologies",
	"sim/metrics":         "sim/cause sim/cost sim/des sim/slo sim/spec",
	"sim/serve":           "models sim/cost sim/des sim/kv sim/metrics",
	"sim/route/policy":    "sim/des sim/spec",
	"sim/route":           "sim/des sim/metrics sim/net sim/route/policy sim/serve traces",
	"sim/plant":           "models sim/cost sim/recipe sim/scenario sim/spec topologies traces",
	"sim":                 "models sim/cause sim/cost sim/des sim/metrics sim/plant sim/result sim/route sim/route/policy sim/scenario sim/serve sim/slo sim/work topologies traces",
	"sim/plan":            "models sim sim/cost sim/metrics sim/plant sim/result sim/scenario sim/slo sim/spec sim/work topologies",
	"sim/sweep":           "sim sim/plan sim/plant sim/report sim/result sim/scenario sim/spec sim/typeset sim/work",
	"sim/validate":        "models sim sim/cause sim/cost sim/fit sim/metrics sim/plant sim/recipe sim/result sim/scenario sim/spec sim/typeset sim/work topologies traces",
	"sim/calibrate":       "sim/cost/law sim/des sim/fit sim/spec sim/typeset sim/work topologies",
	"sim/calibrate/bench": "models",
	"sim/recipe":          "sim/spec",
	"cmd/clustersim":      "*",
}

func TestImportRule(t *testing.T) {
	root := ".."
	used := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		from := path.Dir(filepath.ToSlash(rel))
		text, known := mayImport[from]
		allowed := strings.Fields(text)
		if !known {
			t.Errorf("%s: package %s is in no room of the house; add it to the table with what it may import", rel, from)
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			to, ours := strings.CutPrefix(p, module)
			if ours && !slices.Contains(allowed, to) && text != "*" {
				t.Errorf("%s imports %s; %s may import %v", rel, to, from, allowed)
			}
			if used[from] == nil {
				used[from] = map[string]bool{}
			}
			used[from][to] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for from, text := range mayImport {
		for _, to := range strings.Fields(text) {
			if to != "*" && !used[from][to] {
				t.Errorf("%s may import %s and no file does; take it out of the table", from, to)
			}
		}
	}
}

// The question and the answer are data: whoever reads or writes them links no cost
// model and no engine.
func TestDataLinksNoEngine(t *testing.T) {
	var linked func(from string, into map[string]bool)
	linked = func(from string, into map[string]bool) {
		for _, to := range strings.Fields(mayImport[from]) {
			if !into[to] {
				into[to] = true
				linked(to, into)
			}
		}
	}
	for _, room := range []string{"sim/scenario", "sim/result", "sim/report"} {
		all := map[string]bool{}
		linked(room, all)
		for _, engine := range []string{"sim", "sim/cost", "sim/cost/law", "sim/kv", "sim/metrics", "sim/net", "sim/plan", "sim/plant", "sim/route", "sim/serve"} {
			if all[engine] {
				t.Errorf("%s links %s", room, engine)
			}
		}
	}
}
