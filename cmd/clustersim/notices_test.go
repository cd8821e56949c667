package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/golden"
)

// module is what `go list` says of one that the program links.
type module struct {
	Path, Version, Dir string
	Main               bool
}

// linked are the modules of other people that are part of the program.
func linked(t *testing.T) []module {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-json=Module", ".")
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64") // others link a little more or less
	out, err := list.Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	known := map[string]module{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ Module *module }
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && !p.Module.Main {
			known[p.Module.Path] = *p.Module
		}
	}
	var all []module
	for _, m := range known {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// NOTICES has the licence of everything that is linked, each text once, beneath the modules
// that it is of. `make golden` writes it.
func TestNotices(t *testing.T) {
	var order []string
	of := map[string][]string{}
	for _, m := range linked(t) {
		files, err := filepath.Glob(filepath.Join(m.Dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		licensed := false
		for _, file := range files {
			name := strings.ToUpper(filepath.Base(file))
			licence := strings.HasPrefix(name, "LICENSE") || strings.HasPrefix(name, "LICENCE") || strings.HasPrefix(name, "COPYING")
			if !licence && !strings.HasPrefix(name, "NOTICE") {
				continue
			}
			licensed = licensed || licence
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n"))
			if of[text] == nil {
				order = append(order, text)
			}
			of[text] = append(of[text], m.Path+" "+m.Version)
		}
		if !licensed {
			t.Errorf("%s has no licence", m.Path)
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "clustersim links the modules below. Its own licence is in LICENSE.\n")
	for _, text := range order {
		fmt.Fprintf(&out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(of[text], "\n"), text)
	}
	golden.Equal(t, "../../NOTICES", []byte(out.String()))
}
