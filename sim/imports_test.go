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

// mayImport is the house rule: who may import whom. spec and des are open to all
// but models and topologies, which know spec alone.
var mayImport = map[string][]string{
	"models":              {"sim/spec"},
	"topologies":          {"sim/spec"},
	"traces":              {"sim/spec", "sim/des"},
	"sim/spec":            {},
	"sim/des":             {},
	"sim/net":             {"sim/des"},
	"sim/kv":              {},
	"sim/cost/law":        {"topologies", "models", "sim/spec"},
	"sim/cost":            {"models", "topologies", "sim/cost/law", "sim/spec", "sim/des"},
	"sim/metrics":         {"sim/cost", "sim/spec", "sim/des"},
	"sim/serve":           {"models", "sim/cost", "sim/kv", "sim/net", "sim/metrics", "sim/spec", "sim/des"},
	"sim/route":           {"sim/serve", "sim/net", "sim/metrics", "traces", "sim/spec", "sim/des"},
	"sim":                 {"models", "topologies", "traces", "sim/cost", "sim/metrics", "sim/serve", "sim/route", "sim/spec", "sim/des"},
	"sim/report":          {"sim", "sim/cost", "sim/metrics", "sim/spec", "sim/des"},
	"sim/plan":            {"sim", "models", "topologies", "traces", "sim/cost", "sim/metrics", "sim/work", "sim/spec", "sim/des"},
	"sim/sweep":           {"sim", "sim/plan", "models", "topologies", "sim/work", "sim/spec", "sim/des"},
	"sim/fit":             {},
	"sim/work":            {},
	"sim/validate":        {"sim", "sim/fit", "models", "topologies", "traces", "sim/cost", "sim/metrics", "sim/work", "sim/spec", "sim/des"},
	"sim/calibrate":       {"topologies", "sim/cost/law", "sim/fit", "sim/work", "sim/spec", "sim/des"},
	"sim/calibrate/bench": {"models"},
	"cmd/clustersim":      {"*"},
}

func TestImportRule(t *testing.T) {
	root := ".."
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		from := path.Dir(filepath.ToSlash(rel))
		allowed, known := mayImport[from]
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
			if to, ours := strings.CutPrefix(p, module); ours && !slices.Contains(allowed, to) && !slices.Contains(allowed, "*") {
				t.Errorf("%s imports %s; %s may import %v", rel, to, from, allowed)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
