package models

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "rewrite the shipped YAML from the configs, keeping aliases, sources and figures")

// sharedFile reads a file of the facts folder that is not part of the
// repository; without the folder the test is skipped.
func sharedFile(t *testing.T, path string) []byte {
	t.Helper()
	root := os.Getenv("CLUSTERSIM_SHARED")
	required := root != ""
	if !required {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
				break
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(dir, "..", "shared")
	}
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil && !required {
		t.Skipf("no shared facts at %s; set CLUSTERSIM_SHARED to their folder", root)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// describe copies what no config.json has from a shipped file.
func describe(doc, from *document) {
	doc.Aliases, doc.Source, doc.Published, doc.Difference = from.Aliases, from.Source, from.Published, from.Difference
	if doc.MTP != nil && from.MTP != nil {
		doc.MTP.AcceptedLength, doc.MTP.AcceptedSource = from.MTP.AcceptedLength, from.MTP.AcceptedSource
	}
}

// The shipped files are what the converter makes of the public configs.
func TestShippedEqualsConverted(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			config, err := os.ReadFile("testdata/configs/" + name + ".json")
			if err != nil {
				config = sharedFile(t, "facts/models/configs/"+name+".json")
			}
			shippedData, err := os.ReadFile(name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			m, err := fromHF(name, name, config, nil)
			if err != nil {
				t.Fatal(err)
			}
			var head document
			if err := yaml.Load(shippedData, &head); err != nil {
				t.Fatal(err)
			}
			describe(m.doc, &head)
			want, err := m.YAML()
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(name+".yaml", want, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if string(want) != string(shippedData) {
				t.Errorf("%s.yaml is not what the converter writes (go test ./models -run TestShipped -update):\n%s", name, diff(string(want), string(shippedData)))
			}
		})
	}
}

func diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return "first difference: want " + w[i] + "\n                  got  " + g[i]
		}
	}
	return "one is longer"
}
