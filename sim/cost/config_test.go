package cost

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost/law"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/topologies"
)

// says fails unless the error has every one of the texts.
func says(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in: %v", text, err)
		}
	}
}

func TestEveryRuleAtOnce(t *testing.T) {
	topology := loadTopology(t, "hgx-h200:16")
	v3 := loadModel(t, "v3", topology.Chip)
	llama := loadModel(t, "llama-3.1-8b", topology.Chip)
	_, err := New(Config{
		Model: v3, Topology: topology, Role: "train", Drafts: 2, Accepted: 4, MaxTokens: -1, MaxSequences: 1 << 30, PageTokens: -2,
		Layout: Layout{TP: 3, DP: 8, EP: 7, PP: 70, CP: 2, Redundant: 1, Routing: Routing{Kind: Histogram, Histogram: []float64{1}}},
	})
	says(t, err, `role: must be`, "max_tokens: must be", "max_sequences: must be", "page_tokens: must be",
		"TP 3 × DP 8 × PP 70 × CP 2 = 3360 ranks, but hgx-h200:16 has 16 chips of 1 dies: 16 ranks", "pp: 70 stages for 61 layers",
		"it is TP × CP × DP = 3 × 2 × 8 = 48, or 1 with TP 1, got 7", "7 must divide 256 experts + 1 redundant = 257 slots; 3 redundant would do",
		"the histogram has 1 experts, deepseek-v3 has 256", "a verify step of 2 drafts yields 1 to 3 tokens, got 4")

	_, err = New(Config{Model: v3, Topology: topology, Layout: Layout{TP: 3, DP: 4, EP: 7}})
	says(t, err, "it is TP × DP = 3 × 4 = 12, or 1 with TP 1, got 7")
	_, err = New(Config{Model: v3, Topology: topology, Layout: Layout{TP: 8, EP: 3}})
	says(t, err, "with DP 1 it must divide TP 8, got 3")
	wide := loadTopology(t, "supernode8912")
	_, err = New(Config{Model: loadModel(t, "v3", wide.Chip), Topology: wide, Layout: Layout{DP: 512, EP: 512}})
	says(t, err, "512 ranks for 256 experts + 0 redundant = 256 slots")
	_, err = New(Config{Model: llama, Topology: topology, Drafts: 1, Layout: Layout{TP: 2, EP: 2, Redundant: 3}})
	says(t, err, "has no experts, so only 1, got 2", "redundant: llama-3.1-8b has no experts", "drafts: llama-3.1-8b has no MTP layers")
	_, err = New(Config{Model: llama, Topology: topology, Layout: Layout{TP: -1, DP: 1 << 30, Redundant: -1}})
	says(t, err, "tp: must be from 1", "dp: must be from 1", "redundant: must not be negative")
	_, err = New(Config{Model: loadModel(t, "llama-3.1-8b", wide.Chip), Topology: wide, Layout: Layout{TP: 64}})
	says(t, err, "tp: engines refuse 64 ranks, which do not divide the 32 attention heads")
	_, err = New(Config{})
	says(t, err, "model: none", "topology: none", "chip: none")
}

func TestDefaults(t *testing.T) {
	topology := loadTopology(t, "cloudmatrix384")
	s := newStepper(t, "v3", "cloudmatrix384", Config{Role: Prefill, Layout: Layout{DP: 32, EP: 32}})
	c := s.Config()
	if c.Engine.Name != "cann" || c.Chip != c.Topology.Chip || c.MaxTokens != 16384 || c.PageTokens != 128 || c.Layout.Overlap != TwoBatch || c.Layout.PP != 1 {
		t.Errorf("got %+v", c)
	}
	// A 910C has two dies, each a rank.
	if s.Ranks() != 32 || s.Chips() != 16 || topology.Chip.Dies != 2 {
		t.Errorf("%d ranks on %d chips", s.Ranks(), s.Chips())
	}
	if m := s.Memory(); m.Capacity != 64<<30 {
		t.Errorf("a die has %d bytes", m.Capacity)
	}
	for name, want := range map[string]string{"ascend910b": "cann", "h20": "vllm", "tpu-v5p": "vllm"} {
		chip, err := topologies.LoadChip(name)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := DefaultEngine(chip); err != nil || e.Name != want {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	_, err := DefaultEngine(&topologies.Chip{Name: "mine"})
	says(t, err, "chip mine names no engine", "write engine: NAME in its file, one of cann,")
	_, err = DefaultEngine(&topologies.Chip{Name: "mine", Software: topologies.Software{Engine: "vlm"}})
	says(t, err, "chip mine: engine:", `did you mean "vllm"?`)
	if len(s.Assumptions()) == 0 {
		t.Error("a chip without kernel tables assumes nothing")
	}
}

func TestEngines(t *testing.T) {
	if got, want := EngineNames(), []string{"cann", "ideal", "sglang-0.5", "trtllm-1.1", "vllm-0.2", "vllm-0.11", "vllm-0.16"}; !slices.Equal(got, want) {
		t.Fatalf("engines %v, want %v", got, want)
	}
	for _, name := range EngineNames() {
		e := loadEngine(t, name)
		if versioned := e.Name + "-" + e.Version; name != e.Name && name != versioned || e.Version == "" && strings.Contains(name, "-") || e.Description == "" {
			t.Errorf("%s: named %q, version %q, described %q", name, e.Name, e.Version, e.Description)
		}
		if n := len(e.Fitted.Numbers()); n > 8 {
			t.Errorf("%d fitted numbers; more would follow single measurements", n)
		}
	}
	// Without a version it is the newest: 0.16 comes after 0.2.
	for name, want := range map[string]string{"vllm": "vllm-0.16", "sglang": "sglang-0.5", "trtllm": "trtllm-1.1"} {
		if got := EngineAliases()[name]; got != want || *loadEngine(t, name) != *loadEngine(t, want) || loadEngine(t, name).Name != name {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	_, err := LoadEngine("vllm-0.1")
	says(t, err, `unknown engine "vllm-0.1"`, "no profile stands for that version", "vllm-0.2 (0.2 to 0.2.6)", "vllm-0.16 (0.13 to 0.19)")
	_, err = LoadEngine("vlm")
	says(t, err, `unknown engine "vlm"`, `did you mean "vllm"?`)

	_, err = parseEngine("mine.yaml", []byte("name: x\nsauce: y\nfitted: {host_step_us: soon}\n"), nil)
	says(t, err, "mine.yaml:2:1", `unknown key "sauce"`, "mine.yaml:3:")
	_, err = parseEngine("mine.yaml", []byte("name: x\ndecode_launch: grph\nmemory_fraction: 1.5\nfitted: {overlap_fraction: 2}\noverlap: {decode: waves}\nhead_ranks: -1\n"), nil)
	says(t, err, "mine.yaml:2:16: decode_launch", `did you mean "graph"?`, "memory_fraction: must be above 0", "mine.yaml:4:", "overlap_fraction: must be from 0 to 1, got 2",
		"page_tokens: must be from 1", `did you mean "wave"?`, "head_ranks: must be", "source: must be given")
}

// A profile on top of another says what differs and keeps the rest, inside its
// groups too.
func TestEngineBase(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	eager := write("eager.yaml", "name: eager\nbase: vllm\ndecode_launch: eager\nfitted: {ttft_ms: 7}\nmax_tokens: {mixed: 2048}\n")
	got, err := LoadEngine(write("chunked.yaml", "name: chunked\nbase: eager.yaml\nmax_tokens: {prefill: 512}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := loadEngine(t, "vllm")
	want.Name, want.Base = "chunked", "eager.yaml"
	want.DecodeLaunch, want.Fitted.TTFTMs = Eager, 7
	want.MaxTokens.Mixed, want.MaxTokens.Prefill = 2048, 512
	if *got != *want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	_, err = LoadEngine(write("nameless.yaml", "base: vllm\n"))
	says(t, err, "nameless.yaml", "name: must be given")
	_, err = LoadEngine(write("lost.yaml", "name: x\nbase: vlm\n"))
	says(t, err, "lost.yaml:2:7: base", `did you mean "vllm"?`)
	_, err = LoadEngine(write("bad.yaml", "name: x\nbase: eager.yaml\npoll_steps: 0\n"))
	says(t, err, "bad.yaml:3:13: poll_steps: must be from 1")
	write("a.yaml", "name: a\nbase: b.yaml\n")
	_, err = LoadEngine(write("b.yaml", "name: b\nbase: a.yaml\n"))
	says(t, err, "comes back to itself")
	_, err = LoadEngine(filepath.Join(dir, "none.yaml"))
	says(t, err, "none.yaml", "no such file")
	if _, err := LoadEngine(eager); err != nil {
		t.Error(err)
	}
}

func FuzzParseEngine(f *testing.F) {
	for _, name := range EngineNames() {
		data, err := engineFiles.ReadFile("engines/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("name: [\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEngine("fuzz.yaml", data, nil)
		if (e == nil) == (err == nil) {
			t.Fatalf("engine %v, error %v", e, err)
		}
		if e != nil && (e.PageTokens < 1 || !(e.MemoryFraction > 0)) {
			t.Fatalf("accepted %+v", e)
		}
	})
}

func TestRouting(t *testing.T) {
	for text, want := range map[string]Routing{
		"": {Kind: Uniform}, "uniform": {Kind: Uniform}, "power-law(1.01)": {Kind: PowerLaw, Alpha: 1.01}, " power-law(2) ": {Kind: PowerLaw, Alpha: 2},
	} {
		got, err := ParseRouting(text)
		if err != nil || got.Kind != want.Kind || got.Alpha != want.Alpha {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"power-law", "power-law()", "power-law(0)", "power-law(NaN)", "power-law(1.1", "power-law(1e9)"} {
		_, err := ParseRouting(text)
		says(t, err, "want power-law(A) with 0 < A ≤ 10")
	}
	_, err := ParseRouting("unifrom")
	says(t, err, `did you mean "uniform"?`)

	r, err := ReadHistogram("h.txt", []byte("# layer 3\n1, 2.5\n\t3 4 # tail\r\n"))
	if err != nil || !slices.Equal(r.Histogram, []float64{1, 2.5, 3, 4}) {
		t.Errorf("%+v, %v", r, err)
	}
	for text, want := range map[string]string{"1 x": `h.txt:1: "x" is not`, "1\n-2": `h.txt:2: "-2"`, "NaN": "finite", "": "above 0, got 0", "0 0": "above 0", "1e308 1e308": "above 0, got +Inf"} {
		_, err := ReadHistogram("h.txt", []byte(text))
		says(t, err, want)
	}
	_, err = ParseOverlap("twobatch")
	says(t, err, `did you mean "two-batch"?`)
}

func FuzzReadHistogram(f *testing.F) {
	f.Add([]byte("1 2 3"))
	f.Add([]byte("# none\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadHistogram("fuzz", data)
		if err != nil {
			return
		}
		sum := 0.0
		for _, v := range r.Histogram {
			sum += v
		}
		if !(sum > 0) || len(r.Histogram) == 0 {
			t.Fatalf("accepted %v", r.Histogram)
		}
	})
}

func FuzzParseRouting(f *testing.F) {
	f.Add("power-law(1.01)")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := ParseRouting(text); err == nil && r.Kind == PowerLaw && !(r.Alpha > 0 && r.Alpha <= 10) {
			t.Fatalf("accepted %+v", r)
		}
	})
}

// Formats that a chip does not have are replaced as decisions.md says.
func TestSubstitution(t *testing.T) {
	type formats = models.Formats
	for _, c := range []struct {
		model, chip string
		want        formats
		said        int
	}{
		{"v4", "b200", formats{Weights: models.FP8Block, Experts: models.MXFP4, KV: models.FP8, Indexer: models.MXFP4}, 0},
		{"v4", "h200", formats{Weights: models.FP8Block, Experts: models.MXFP4, KV: models.FP8, Indexer: models.FP8}, 2},
		{"v4", "ascend950dt", formats{Weights: models.FP8Block, Experts: models.MXFP4, KV: models.FP8, Indexer: models.FP8}, 1},
		{"v4", "ascend910c", formats{Weights: models.INT8, Experts: models.INT4, KV: models.BF16, Indexer: models.INT8}, 4},
		{"v3", "ascend910c", formats{Weights: models.INT8, Experts: models.INT8, KV: models.BF16}, 3},
		{"v3", "a100", formats{Weights: models.INT8, Experts: models.INT8, KV: models.BF16}, 3},
		{"llama-3.1-8b", "a100", formats{Weights: models.BF16, KV: models.BF16}, 0},
	} {
		m, err := models.Load(c.model)
		if err != nil {
			t.Fatal(err)
		}
		chip, err := topologies.LoadChip(c.chip)
		if err != nil {
			t.Fatal(err)
		}
		got, said, err := Substitute(m, chip)
		if err != nil {
			t.Fatal(err)
		}
		if got.Formats != c.want || len(said) != c.said {
			t.Errorf("%s on %s: %+v, %d sentences %q; want %+v, %d", c.model, c.chip, got.Formats, len(said), said, c.want, c.said)
		}
	}
}

func TestArithmetic(t *testing.T) {
	chip := func(name string) *topologies.Chip {
		c, err := topologies.LoadChip(name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct {
		stored, compute models.Format
		chip            string
		variant         law.Variant
		precision       topologies.Precision
	}{
		{models.BF16, "", "h100", law.BF16, topologies.BF16},
		{models.FP8Block, "", "h100", law.FP8Block, topologies.FP8},
		{models.FP8, "", "h100", law.FP8, topologies.FP8},
		{models.FP8Block, models.BF16, "h100", law.W8A16, topologies.BF16},
		{models.FP8Block, models.BF16, "ascend950dt", law.MXFP8, topologies.FP8},
		{models.MXFP4, "", "h100", law.W4A8, topologies.FP8},
		{models.MXFP4, "", "b200", law.W4A8, topologies.FP8},
		{models.NVFP4, "", "b200", law.NVFP4, topologies.FP4},
		{models.NVFP4, "", "h100", law.W4A8, topologies.FP8},
		{models.NVFP4, "", "a100", law.W4A16, topologies.BF16},
		{models.INT8, "", "a100", law.W8A16, topologies.BF16},
		{models.INT8, "", "ascend910c", law.INT8, topologies.INT8},
		{models.INT4, "", "ascend910c", law.W4A8, topologies.INT8},
		{models.INT4, "", "h200", law.W4A16, topologies.BF16},
	} {
		if got := arithmeticOf(c.stored, c.compute, chip(c.chip)); got.variant != c.variant || got.precision != c.precision {
			t.Errorf("%s computed %q on %s: %+v, want %s at %s", c.stored, c.compute, c.chip, got, c.variant, c.precision)
		}
	}
}

// A step that beats physics is reported, not clamped.
func TestInvariantIsNamed(t *testing.T) {
	s := newStepper(t, "llama-3.1-8b", "hgx-h100:8", Config{Role: Decode})
	defer func() {
		err, ok := recover().(error)
		if !ok {
			t.Fatal("no panic")
		}
		says(t, err, "MFU above 1", "MBU above 1", "llama-3.1-8b on hgx-h100:8", "TP1 DP1 EP1", "engine vllm")
	}()
	p := part{atPeak: 2, bytes: 10 * s.hbm()}
	s.physics(&p, 1)
}

// A version is that of the profile which stands for it: what a row or an image states.
func TestProfilesByVersion(t *testing.T) {
	for ref, want := range map[string]string{
		"sglang": "sglang-0.5", "sglang-0.5": "sglang-0.5", "sglang-0.5.9": "sglang-0.5", "SGLang-v0.5.12.post1": "sglang-0.5", "sglang-0.5.12-rocm700": "sglang-0.5",
		"vllm-0.16.0": "vllm-0.16", "vllm-0.19": "vllm-0.16", "vllm-0.10.2": "vllm-0.11", "vllm-0.2.5": "vllm-0.2",
		"trtllm-1.2.0rc6.post3": "trtllm-1.1", "trtllm-1.0.0rc3": "trtllm-1.1",
		"sglang-0.4": "", "sglang-0.6": "", "sglang-9.9": "", "vllm-0.2.7": "", "vllm-0.9.1": "", "vllm-1": "", "trtllm-0.8.1": "", "sglang-nightly": "", "sglang-": "",
		"cann-8": "", "vllmm-0.16": "",
	} {
		e, err := LoadEngine(ref)
		switch {
		case want == "" && err == nil:
			t.Errorf("%s is %s", ref, e.Ref())
		case want == "" && !strings.Contains(err.Error(), "unknown engine"):
			t.Errorf("%s: %v", ref, err)
		case want != "" && (err != nil || e.Ref() != want):
			t.Errorf("%s is %v, %v; want %s", ref, e, err, want)
		}
	}
	for _, x := range [][3]string{{"sglang", "0.5.8.post1", "sglang"}, {"vllm", "0.2.4", "vllm-0.2"}, {"vllm", "0.12.0", "vllm-0.11"}, {"vllm", "0.15.1", "vllm"}} {
		if got, err := EngineProfile(x[0], x[1]); err != nil || got != x[2] {
			t.Errorf("%s %s is %s, %v; want %s", x[0], x[1], got, err, x[2])
		}
	}
	if got, err := EngineProfile("trtllm", "0.8.1.post2"); err == nil {
		t.Errorf("TensorRT-LLM 0.8 is %s", got)
	}
}

// An engine's own budgets follow the size of a chip's memory.
func TestBudgetsByMemory(t *testing.T) {
	for _, x := range []struct {
		engine, chip      string
		tokens, sequences int
	}{
		{"sglang", "h100", 8192, 256}, {"sglang", "h200", 8192, 256}, {"sglang", "b200", 16384, 256}, {"sglang", "mi300x", 16384, 256},
		{"vllm", "h100", 8192, 1024}, {"vllm", "l40s", 2048, 256}, {"vllm", "a100", 2048, 256}, {"vllm", "rtx-pro-6000", 8192, 1024},
		{"trtllm", "l40s", 8192, 2048},
	} {
		chip, err := topologies.LoadChip(x.chip)
		if err != nil {
			t.Fatal(err)
		}
		if tokens, sequences := loadEngine(t, x.engine).BudgetsOn(chip, Mixed, nil); tokens != x.tokens || sequences != x.sequences {
			t.Errorf("%s on %s: %d tokens, %d sequences; want %d and %d", x.engine, x.chip, tokens, sequences, x.tokens, x.sequences)
		}
		said := spec.Patches{}.With("max_tokens.*", "777")
		e, err := LoadEngine(x.engine, said...)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.On(chip, said).MaxTokens.Mixed; got != 777 {
			t.Errorf("%s on %s: %d tokens in place of what was said", x.engine, x.chip, got)
		}
	}
}
