package law

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/clustersim/clustersim/topologies"
)

// shared is the folder of measured kernel timings: CLUSTERSIM_SHARED, else ../shared
// beside the checkout.
func shared(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("CLUSTERSIM_SHARED"); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "validation/kernels_aic")); err != nil {
			t.Fatalf("CLUSTERSIM_SHARED has no kernel timings: %v", err)
		}
		return dir
	}
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		dir = filepath.Join(filepath.Dir(dir), "shared")
		if _, err := os.Stat(filepath.Join(dir, "validation/kernels_aic")); err == nil {
			return dir
		}
		break
	}
	t.Skip("no measured kernel timings: set CLUSTERSIM_SHARED to the folder that holds validation/kernels_aic")
	return ""
}

// row is one measurement of a table.
type row struct {
	t      *testing.T
	header map[string]int
	cells  []string
}

func (r row) s(name string) string { return r.cells[r.header[name]] }

func (r row) f(name string) float64 {
	v, err := strconv.ParseFloat(r.s(name), 64)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return v
}

// residual is one line of the residual tables: which rows, and what the law says.
type residual struct {
	name, system, table string
	stride              int     // every stride-th line of the table
	median              float64 // % as published with the constants
	keep                func(r row) bool
	predict             func(s *Set, r row) float64 // µs
}

// score reads the sampled rows and returns the median |error| in percent.
func (c residual) score(t *testing.T, dir string, s *Set) (median, bias float64, rows int) {
	files, _ := filepath.Glob(filepath.Join(dir, "validation/kernels_aic", c.system+"__"+c.table+"__*.csv.zst"))
	if len(files) != 1 {
		t.Fatalf("%s %s: %d tables", c.system, c.table, len(files))
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Scan()
	header := map[string]int{}
	for i, h := range strings.Split(lines.Text(), ",") {
		header[h] = i
	}
	var errors []float64
	for n := 0; lines.Scan(); n++ {
		if n%c.stride != 0 {
			continue
		}
		r := row{t, header, strings.Split(lines.Text(), ",")}
		if c.keep(r) {
			errors = append(errors, c.predict(s, r)/(r.f("latency")*1e3)-1)
		}
	}
	if len(errors) < 50 {
		t.Fatalf("%s: %d rows", c.name, len(errors))
	}
	sort.Float64s(errors)
	bias = errors[len(errors)/2]
	for i := range errors {
		errors[i] = math.Abs(errors[i])
	}
	sort.Float64s(errors)
	return 100 * errors[len(errors)/2], 100 * bias, len(errors)
}

// TestResiduals predicts measured kernels with the shipped constants and compares
// the median error with the one published with them. Samples are every n-th line.
func TestResiduals(t *testing.T) {
	dir := shared(t)
	const slack = 1.5 // percentage points, for the sample and for readings of the columns
	for _, c := range residuals {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			chip, err := topologies.LoadChip(strings.TrimSuffix(c.system, "_sxm"))
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(chip)
			if err != nil {
				t.Fatal(err)
			}
			median, bias, rows := c.score(t, dir, s)
			t.Logf("%d rows: median |error| %.1f %% (published %.1f), bias %+.1f", rows, median, c.median, bias)
			if median > c.median+slack {
				t.Errorf("median |error| %.1f %%, want at most %.1f", median, c.median+slack)
			}
		})
	}
}
