package bench

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// python is an interpreter that imports the modules.
func python(t *testing.T, modules ...string) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import "+strings.Join(append(modules, "csv"), ", ")).Run() == nil {
			return name
		}
	}
	if os.Getenv("CLUSTERSIM_REQUIRE_TORCH") != "" {
		t.Fatal("CLUSTERSIM_REQUIRE_TORCH is set, and no python3 imports torch")
	}
	t.Skipf("no python3 that imports %s here", strings.Join(append(modules, "csv"), ", "))
	return ""
}

// script writes the script for a model into a folder of its own.
func script(t *testing.T, model string) string {
	t.Helper()
	m := load(t, model)
	name := filepath.Join(t.TempDir(), FileName(m))
	var b bytes.Buffer
	if err := Write(&b, m, "v1 go"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	c.Dir, c.Env = filepath.Dir(args[0]), append(os.Environ(), "OMP_NUM_THREADS=1")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// The script is Python, and lists exactly the measurements that the families stand for.
func TestScriptLists(t *testing.T) {
	python3 := python(t)
	for _, model := range []string{"v4", "llama-3.1-8b", "qwen3-next-80b-a3b"} {
		name := script(t, model)
		if out, err := exec.Command(python3, "-m", "py_compile", name).CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
		got := strings.Split(strings.TrimSpace(output(t, python3, name, "--list")), "\n")
		want := listed(Families(load(t, model)), Last)
		if !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(a[:1], b[:1]) }) {
			t.Errorf("%s: later levels come before earlier ones", model)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the script lists %d measurements, the families are %d", model, len(got), len(want))
		}
		for _, line := range strings.Split(strings.TrimSpace(output(t, python3, name, "--list", "--quick")), "\n") {
			if !strings.HasPrefix(line, "0  ") {
				t.Errorf("%s: --quick lists %s", model, line)
			}
		}
	}
}

// Every operator agrees with its second implementation; a precision that this torch
// has not is said.
func TestScriptChecksItself(t *testing.T) {
	out := output(t, python(t, "torch"), script(t, "v4"), "--check", "--device", "cpu")
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if !strings.HasSuffix(line, ": ok") && (strings.Contains(line, " bfloat16:") || !strings.Contains(line, "torch")) {
			t.Error(line)
		}
	}
	if n := strings.Count(out, " bfloat16: ok"); n < 16 {
		t.Errorf("%d operators checked:\n%s", n, out)
	}
}

// A model of one's own, small enough for a CPU, measured, cut off in the middle of a
// row, and gone on with: every row once, none lost, the columns as calibrate reads them.
func TestScriptGoesOn(t *testing.T) {
	python3 := python(t, "torch")
	dir := t.TempDir()
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config, []byte(`{"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2,
 "num_key_value_heads": 1, "intermediate_size": 512, "vocab_size": 1024, "max_position_embeddings": 2048, "torch_dtype": "bfloat16"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	name, table := script(t, config), filepath.Join(dir, "rows.csv")
	args := []string{name, "--device", "cpu", "--quick", "--out", table, "--hardware", "h200", "--longest", "0.01"}
	output(t, python3, append(args, "--only", "gemm")...)
	first := readRows(t, table)
	f, err := os.OpenFile(table, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("b09999,clustersim-bench v1,h2"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	closing := output(t, python3, args...)
	rows := readRows(t, table)
	if len(first) < 4 || len(rows) <= len(first) {
		t.Fatalf("%d rows, then %d:\n%s", len(first), len(rows), closing)
	}
	keys := map[string]bool{}
	for i, r := range rows {
		key := strings.Join(r[3:9], "|")
		if keys[key] || i < len(first) && !slices.Equal(r, first[i]) {
			t.Errorf("row %v is there twice, or has changed", r)
		}
		keys[key] = true
		if r[2] != "h200" || r[9] == "" || r[12] == "" || !strings.HasPrefix(r[1], "clustersim-bench v1-go torch ") {
			t.Errorf("row %v", r)
		}
	}
	log, err := os.ReadFile(table + ".log.jsonl")
	if err != nil || !strings.Contains(string(log), `"kind": "device"`) || !strings.Contains(string(log), `"op": "gemm_fused"`) {
		t.Errorf("the log: %v\n%s", err, log)
	}
	other := append([]string{}, args...)
	other[7] = "b200"
	if out, err := exec.Command(python3, other...).CombinedOutput(); err == nil || !strings.Contains(string(out), "holds rows of h200; give another --out") {
		t.Errorf("rows of two chips in a file: %v\n%s", err, out)
	}
}

func readRows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(rows[0], ","), "id,source,hardware,op,dtype,shape,batch_or_tokens,ctx_or_isl,ranks,latency_us,tflops,gbps,notes"; got != want {
		t.Fatalf("columns %s, want %s", got, want)
	}
	return rows[1:]
}
