package calibrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/sim/work"
	"github.com/clustersim/clustersim/topologies"
)

func laws(t testing.TB, chip *topologies.Chip) *law.Set {
	t.Helper()
	s, err := law.New(chip)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// synthetic is a table of GEMMs on a chip whose constants are known, with noise of
// the given ln width.
func synthetic(t *testing.T, s *law.Set, noise float64) *Rows {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("op_name,kernel_source,latency,gemm_dtype,m,n,k\n")
	for _, n := range []float64{512, 1024, 2048, 4096, 7168, 16384} {
		for _, k := range []float64{256, 1536, 4096, 7168, 18432} {
			for m := 1.0; m <= 16384; m *= 2 {
				ms := s.GEMM(law.FP8Block, m, n, k).Total() * 1e3 * math.Exp(noise*random.NormFloat64())
				fmt.Fprintf(&b, "gemm,x,%g,fp8_block,%g,%g,%g\n", ms, m, n, k)
			}
		}
	}
	return read(t, "h100", b.String())
}

// TestFitFindsWhatMadeTheTimings starts from H100's constants and must come to others.
func TestFitFindsWhatMadeTheTimings(t *testing.T) {
	want := map[string]float64{"t0_us": 8, "ec": 0.5, "em": 0.7, "p": 1.8, "k_us": 1.5, "eq": 0.4, "k_power": 1}
	chip := load(t, "h100")
	truth, err := trial(chip.Flat(), "gemm", "fp8_block", topologies.Constants{Values: want})
	if err != nil {
		t.Fatal(err)
	}
	rows := synthetic(t, truth, 0.03)
	report, err := Run(context.Background(), chip, rows, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := report.Fits[0]
	for key, v := range want {
		if math.Abs(math.Log(f.Fitted[key]/v)) > 0.12 {
			t.Errorf("%s: fitted %g, was made with %g", key, f.Fitted[key], v)
		}
	}
	// Noise of 3 % has its median at 2 % and its 90th percentile at 4.9 %.
	if f.Residual.Median > 2.5 || f.Residual.P90 > 6 || f.HeldOut.Median > 2.7 || f.Before.Median < 20 {
		t.Errorf("fitted %v, left out %v, before %v", f.Residual, f.HeldOut, f.Before)
	}
}

// TestWhatNoRowDecidesStays: one size says nothing of most constants.
func TestWhatNoRowDecidesStays(t *testing.T) {
	rows := read(t, "h100", "op_name,kernel_source,latency,gemm_dtype,m,n,k\ngemm,x,0.0062,bfloat16,1,512,512\n")
	report, err := Run(context.Background(), load(t, "h100"), rows, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := report.Fits[0]
	for _, key := range []string{"ec", "em", "p"} {
		if math.Abs(f.Fitted[key]/f.Shipped[key]-1) > 0.05 {
			t.Errorf("%s moved from %g to %g", key, f.Shipped[key], f.Fitted[key])
		}
	}
	if f.Fitted["t0_us"] < 1.3*f.Shipped["t0_us"] || len(f.Loose) < 2 {
		t.Errorf("the floor went from %g to %g, undecided %v", f.Shipped["t0_us"], f.Fitted["t0_us"], f.Loose)
	}
}

func TestFitIsTheSameWhateverTheOrderAndTheWorkers(t *testing.T) {
	chip := load(t, "h100")
	a, b := synthetic(t, laws(t, chip), 0.1), synthetic(t, laws(t, chip), 0.1)
	var texts [2]bytes.Buffer
	for i, rows := range []*Rows{a, b} {
		report, err := Run(context.Background(), chip, rows, Options{Workers: 1 + 3*i})
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&texts[i]).Encode(report); err != nil {
			t.Fatal(err)
		}
	}
	if texts[0].String() != texts[1].String() {
		t.Error("two runs differ")
	}
}

func TestTheFasterKernelIsFitted(t *testing.T) {
	var b strings.Builder
	b.WriteString("op_name,kernel_source,latency,gemm_dtype,m,n,k\n")
	for m := 1; m <= 40; m++ {
		fmt.Fprintf(&b, "gemm,slow,0.01,bfloat16,%d,512,512\ngemm,fast,0.008,bfloat16,%d,512,512\n", m, m)
	}
	b.WriteString("gemm,slow,0.01,bfloat16,41,512,512\ngemm,other,0.001,bfloat16,1,4096,4096\n")
	for asked, want := range map[string]string{"": "fast", "slo": "slow"} {
		var sources []string
		if asked != "" {
			sources = []string{asked}
		}
		report, err := Run(context.Background(), load(t, "h100"), read(t, "h100", b.String()), Options{Sources: sources})
		if err != nil {
			t.Fatal(err)
		}
		if f := report.Fits[0]; f.Kernel != want || len(f.Others) != 2 {
			t.Errorf("asked for %q: %s, others %v", asked, f.Kernel, f.Others)
		}
	}
	_, err := Run(context.Background(), load(t, "h100"), read(t, "h100", b.String()), Options{Sources: []string{"slow", "nothing"}})
	if err == nil || !strings.Contains(err.Error(), `no kernel of the files has "nothing" in its name (they have: fast, other, slow)`) {
		t.Errorf("a kernel that no row is of: %v", err)
	}
}

// TestEveryFormHasTheLawsConstants: a class's form names what the law reads, no more
// and no less.
func TestEveryFormHasTheLawsConstants(t *testing.T) {
	flat := load(t, "b200").Flat()
	for class, variants := range flat.Operators {
		for variant := range variants {
			form := formOf(class, variant)
			if form == nil {
				t.Errorf("%s %s has no form", class, variant)
				continue
			}
			theta := make([]float64, len(form.constants))
			for i, c := range form.constants {
				theta[i] = c.start
				if !(c.low <= c.start && c.start <= c.high) {
					t.Errorf("%s %s: starts outside its bounds", class, c.key)
				}
			}
			if _, err := trial(flat, class, variant, topologies.Constants{Values: form.values(theta)}); err != nil {
				t.Errorf("%s %s: %v", class, variant, err)
			}
		}
	}
}

func TestWrittenConstantsReadBack(t *testing.T) {
	chip := load(t, "h100")
	report, err := Run(context.Background(), chip, synthetic(t, laws(t, chip), 0.1), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteOperators(&b, report, `a "table"`); err != nil {
		t.Fatal(err)
	}
	head := "name: mine\nvendor: NVIDIA\nsource: me\nconfidence: low\npeak: {bf16: 989TFLOPS, fp8: 1979TFLOPS}\nmemory: {capacity: 80GiB, bandwidth: 3.35TB/s}\nancestor: h100\n"
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte(head+b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	mine, err := topologies.LoadChip(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	got, ok := mine.Constants("gemm", "fp8_block")
	if !ok || got.Assumed || fmt.Sprint(got.Values) != fmt.Sprint(report.Fits[0].Fitted) {
		t.Errorf("%+v is not %v", got, report.Fits[0].Fitted)
	}
}

// A law that breaks an invariant on a worker is an error that names its class.
func TestFitSurvivesAPanic(t *testing.T) {
	chip := load(t, "h100")
	rows := synthetic(t, laws(t, chip.Flat()), 0)
	for _, s := range rows.Samples {
		s.Time = func(*law.Set) law.Time { panic("time below 0") }
	}
	_, err := Run(context.Background(), chip, rows, Options{Workers: 2})
	if !errors.As(err, new(*work.Panic)) || err.Error() != "gemm fp8_block: broken invariant: time below 0" {
		t.Errorf("got %v", err)
	}
}
