package law

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/topologies"
)

// child writes a chip with the H100's peaks that inherits from it.
func child(t *testing.T, transfer string) *topologies.Chip {
	t.Helper()
	file := filepath.Join(t.TempDir(), "child.yaml")
	text := `name: child
vendor: NVIDIA
source: a test
confidence: low
cores: 132
core: sm
peak: {bf16: 989TFLOPS, fp8: 1979TFLOPS, int8: 1979TOPS}
memory: {capacity: 80GiB, bandwidth: 3.35TB/s}
ancestor: h100
` + transfer
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, file)
}

// A transfer factor above 1 lifts a share of a peak up to all of it, and no further.
func TestTransferStopsAtThePeak(t *testing.T) {
	s := compile(t, child(t, "transfer: {compute: 1.5, memory: 1.5, source: a test}\n"))
	const n = 1 << 16
	near(t, "arithmetic", s.GEMM(BF16, n, n, n).Total(), 2.0*n*n*n/989e12, 1e-3)
	near(t, "memory", s.GEMM(BF16, 1, 1<<20, n).Total(), 2.0*(1<<20)*n/3.35e12, 1e-3)
	modest := compile(t, child(t, "transfer: {compute: 1.1, source: a test}\n"))
	near(t, "a share with room", modest.GEMM(BF16, n, n, n).Total(), 2.0*n*n*n/(989e12*0.749*1.1), 1e-3)
}

// A huge GEMM follows the share of compute, a GEMV over large weights that of
// memory, a tiny one the floors, each in proportion; nothing said changes nothing.
func TestTransferScalesWhatItNames(t *testing.T) {
	h100, plain := compile(t, load(t, "h100")), compile(t, child(t, ""))
	moved := compile(t, child(t, "transfer: {compute: 0.5, memory: 0.8, floors: 3, source: a test}\n"))
	huge := func(s *Set) float64 { return s.GEMM(BF16, 1<<16, 1<<14, 1<<14).Total() }
	wide := func(s *Set) float64 { return s.GEMM(BF16, 1, 1<<17, 1<<17).Total() }
	tiny := func(s *Set) float64 { return s.GEMM(BF16, 1, 128, 128).Total() }
	if huge(plain) != huge(h100) || wide(plain) != wide(h100) || tiny(plain) != tiny(h100) || plain.SmallKernel() != h100.SmallKernel() {
		t.Error("a chip with the ancestor's peaks is the ancestor")
	}
	near(t, "compute", huge(moved)/huge(h100), 1/0.5, 0.01)
	near(t, "memory", wide(moved)/wide(h100), 1/0.8, 0.01)
	near(t, "floors", tiny(moved)/tiny(h100), 3, 0.02)
	near(t, "small kernel", moved.SmallKernel()/h100.SmallKernel(), 3, 1e-9)
	if got := strings.Join(moved.Assumptions("gemm"), "\n"); !strings.Contains(got, "peaks and transfer factors") {
		t.Errorf("assumptions do not name the factors: %q", got)
	}
}
