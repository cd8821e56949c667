package calibrate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	dir, err := filepath.Abs("../../../shared")
	if err == nil {
		if _, err = os.Stat(filepath.Join(dir, "validation/kernels_aic")); err == nil {
			return dir
		}
	}
	t.Skip("no measured kernel timings: set CLUSTERSIM_SHARED to the folder that holds validation/kernels_aic")
	return ""
}

// timings are all tables of operators of a chip.
func timings(t *testing.T, dir, chip string) *Rows {
	t.Helper()
	r := NewReader(load(t, chip), topologies.ChipNames())
	r.every = 7
	files, _ := filepath.Glob(filepath.Join(dir, "validation/kernels_aic", chip+"_*__*.csv.zst"))
	more, _ := filepath.Glob(filepath.Join(dir, "validation/kernels_aic", chip+"__*.csv.zst"))
	for _, name := range append(files, more...) {
		if strings.Contains(name, "allreduce") || strings.Contains(name, "nccl") || strings.Contains(name, "deepep") || strings.Contains(name, "alltoall") {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Read(filepath.Base(name), f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return r.Rows()
}

// TestShippedConstantsHaveTheResidualsThatTheyState predicts trusted rows of the tables
// with the chips' files: an oracle that is not the code's own, and the figures
// beside the constants must be true of it.
func TestShippedConstantsHaveTheResidualsThatTheyState(t *testing.T) {
	dir := shared(t)
	const slack = 1 // percentage points (and 15 %), for the sample of one row in seven
	chips := []string{"h100", "b200", "gb300"}
	if testing.Short() {
		chips = chips[:1]
	}
	for _, name := range chips {
		t.Run(name, func(t *testing.T) {
			flat := load(t, name).Flat()
			seen := 0
			for _, j := range jobsOf(timings(t, dir, name), Options{}, &Report{}) {
				k, ok := flat.Operators[j.class][j.variant]
				if len(j.samples) < 50 {
					continue
				}
				if !ok || k.Rows == 0 || k.Assumed {
					continue
				}
				set, err := trial(flat, j.class, j.variant, k)
				if err != nil {
					t.Fatal(err)
				}
				samples, _ := j.fitted()
				got := residualOf(errorsOf(set, samples))
				if got.Median > 1.15*k.MedianErrorPct+slack || got.P90 > 1.15*k.P90ErrorPct+4*slack {
					t.Errorf("%s %s: %v of %d timings, the file says %.1f/%.0f", j.class, j.variant, got, got.Rows, k.MedianErrorPct, k.P90ErrorPct)
				}
				seen++
			}
			if seen < 20 {
				t.Errorf("only %d classes and formats were held to timings", seen)
			}
		})
	}
}
