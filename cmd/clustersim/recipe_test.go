package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/recipe"
)

// What recipe show prints is a recipe: it reads back, and prints the same.
func TestRecipesPrintAsTheyRead(t *testing.T) {
	for _, name := range recipe.ShippedNames() {
		var first, second, faults bytes.Buffer
		if code := run([]string{"recipe", "show", name}, strings.NewReader(""), &first, &faults); code != exitDone {
			t.Fatalf("%s: %s", name, faults.String())
		}
		file := filepath.Join(t.TempDir(), name+".yaml")
		if err := os.WriteFile(file, first.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if code := run([]string{"recipe", "show", file}, strings.NewReader(""), &second, &faults); code != exitDone {
			t.Errorf("%s does not read back: %s", name, faults.String())
		}
		if !strings.HasPrefix(second.String(), "name: "+name+"\n") {
			t.Errorf("%s reads back as %s", name, second.String())
		}
	}
}
