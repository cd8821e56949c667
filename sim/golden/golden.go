// Package golden compares what a test made with a file in testdata, and writes the
// file anew when the test runs with -update. Every package with golden files uses it,
// so that one flag serves all of them: make golden.
//
// A golden notices change and does not say what is right. Only commit a new one if you
// understand the change and want it, with its cause in the commit; a figure that moved
// is named under "Changed results" in CHANGELOG.md.
//
// Only tests import it.
package golden

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

var update = flag.Bool("update", false, "write golden files anew; only commit the change if you understand and want it")

// mostLines of a difference are shown.
const mostLines = 60

// Updating says that files are to be written, for a test that compares in a way of its
// own.
func Updating() bool { return *update }

// Equal fails the test with a line by line difference when the file does not hold got.
// With -update it writes the file.
func Equal(t testing.TB, file string, got []byte) {
	t.Helper()
	if want := Read(t, file, got); !bytes.Equal(want, got) {
		t.Errorf("%s differs from what was made (-, +); if it should, run make golden:\n%s", file, difference(want, got))
	}
}

// Read is the file's content, for a test that compares in a way of its own. With
// -update it is got, which the file holds from then on.
func Read(t testing.TB, file string, got []byte) []byte {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return got
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; make golden writes it", err)
	}
	return want
}

// difference is the lines that differ, with those around them, cut where they are many.
func difference(want, got []byte) string {
	lines := strings.SplitAfter(string(diff.Diff("golden", want, "made", got)), "\n")
	lines = lines[min(3, len(lines)):] // the names of both sides
	if len(lines) > mostLines {
		lines = append(lines[:mostLines], "…\n")
	}
	return strings.Join(lines, "")
}
