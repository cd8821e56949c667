package spec

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// A file may have as many bytes as the limit and not one more; nobody waits for the end
// of one that has none.
func TestLimit(t *testing.T) {
	const limit Limit = 1 << 20
	for n, fits := range map[int]bool{0: true, 1 << 20: true, 1<<20 + 1: false} {
		name := filepath.Join(t.TempDir(), "a.yaml")
		if err := os.WriteFile(name, make([]byte, n), 0o644); err != nil {
			t.Fatal(err)
		}
		data, err := limit.Read(os.Open(name))
		switch {
		case fits && (err != nil || len(data) != n):
			t.Errorf("%d bytes: %d, %v", n, len(data), err)
		case !fits && (err == nil || !strings.Contains(err.Error(), name+": is longer than 1 MiB")):
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := limit.ReadAll("stdin", endless{}); err == nil || !strings.HasPrefix(err.Error(), "stdin: is longer than 1 MiB") {
		t.Errorf("endless: %v", err)
	}
	broken := errors.New("broken")
	if _, err := limit.ReadAll("stdin", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := limit.Read(os.Open(filepath.Join(t.TempDir(), "none"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// endless is a stream without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
