package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a test that notes what is said of it.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Errorf(format string, args ...any) { r.said += fmt.Sprintf(format, args...) }
func (r *recorder) Fatal(args ...any)                 { r.said += fmt.Sprint(args...) }
func (r *recorder) Fatalf(format string, args ...any) { r.said += fmt.Sprintf(format, args...) }

func TestEqual(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.golden")
	missing := &recorder{TB: t}
	Equal(missing, file, nil)
	if !strings.Contains(missing.said, "make golden writes it") {
		t.Errorf("of a file that is not there: %q", missing.said)
	}
	var old, now strings.Builder
	for i := range 500 {
		fmt.Fprintf(&old, "row %d\n", i)
		if i == 300 {
			fmt.Fprintf(&now, "another\n")
			continue
		}
		fmt.Fprintf(&now, "row %d\n", i)
	}
	if err := os.WriteFile(file, []byte(old.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	same := &recorder{TB: t}
	if Equal(same, file, []byte(old.String())); same.said != "" {
		t.Errorf("of the same: %q", same.said)
	}
	other := &recorder{TB: t}
	Equal(other, file, []byte(now.String()))
	if !strings.Contains(other.said, "\n-row 300\n+another\n") || strings.Contains(other.said, "row 200") {
		t.Errorf("of one row in 500: %q", other.said)
	}
	long := &recorder{TB: t}
	if Equal(long, file, []byte(strings.ReplaceAll(old.String(), "row", "line"))); strings.Count(long.said, "\n") > mostLines+5 || !strings.HasSuffix(long.said, "…\n") {
		t.Errorf("a difference of 1,000 lines is shown in %d", strings.Count(long.said, "\n"))
	}
}

func TestUpdateWrites(t *testing.T) {
	*update = true
	defer func() { *update = false }()
	file := filepath.Join(t.TempDir(), "a.golden")
	for _, text := range []string{"one\n", "two\n"} {
		Equal(t, file, []byte(text))
		if data, err := os.ReadFile(file); err != nil || string(data) != text {
			t.Errorf("the file holds %q, %v; want %q", data, err, text)
		}
	}
	if !Updating() {
		t.Error("nobody is told")
	}
}
