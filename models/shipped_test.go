package models

import (
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/golden"
)

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
	doc.Aliases, doc.Repositories, doc.Source, doc.Published, doc.Difference = from.Aliases, from.Repositories, from.Source, from.Published, from.Difference
	if doc.MTP != nil && from.MTP != nil {
		doc.MTP.AcceptedLength, doc.MTP.AcceptedSource = from.MTP.AcceptedLength, from.MTP.AcceptedSource
	}
}

// The shipped files are what the converter makes of the public configs; -update writes
// them, keeping aliases, sources and figures.
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
			golden.Equal(t, name+".yaml", want)
		})
	}
}
