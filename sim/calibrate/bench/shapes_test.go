package bench

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/topologies"
)

func load(t testing.TB, name string) *models.Model {
	t.Helper()
	m, err := models.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// shapesOf are the shapes of an operator that a model's script times.
func shapesOf(m *models.Model, op string) []string {
	var out []string
	for _, f := range Families(m) {
		if f.Op == op {
			out = append(out, f.Shape)
		}
	}
	return out
}

func wantShapes(t *testing.T, m *models.Model, op string, want ...string) {
	t.Helper()
	got := shapesOf(m, op)
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s: no %s of shape %s; there are %s", m.Name, op, w, strings.Join(got, " "))
		}
	}
}

// Llama-3.1-8B (4096 wide, 32 heads of 128 on 8 KV heads, MLP 14336), cut over 1, 8
// and 16 ranks by hand.
func TestLlamaShapes(t *testing.T) {
	m := load(t, "llama-3.1-8b")
	wantShapes(t, m, "gemm",
		"m={m};n=6144;k=4096", "m={m};n=4096;k=4096", "m={m};n=28672;k=4096", "m={m};n=4096;k=14336", "m={m};n=128256;k=4096",
		"m={m};n=768;k=4096", "m={m};n=4096;k=512", "m={m};n=3584;k=4096", "m={m};n=4096;k=1792", "m={m};n=16032;k=4096",
		"m={m};n=384;k=4096", "m={m};n=4096;k=256")
	wantShapes(t, m, "attention_decode", "h=32;kv=8;d=128", "h=4;kv=1;d=128", "h=2;kv=1;d=128")
	wantShapes(t, m, "attention_prefill_causal", "h=32;kv=8;d=128", "h=16;kv=4;d=128")
	if got := shapesOf(m, "gemm_fused"); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "n=128256") }) {
		t.Error("the head is timed in 8 bits")
	}
	for _, op := range []string{"moe_dispatched", "mla_decode", "dsa_decode", "mhc_pre", "gdn_update"} {
		if got := shapesOf(m, op); len(got) > 0 {
			t.Errorf("a dense model has %s %v", op, got)
		}
	}
}

// V4-Pro (arXiv 2606.19348 and its config.json: 7168 wide, 128 heads of 512, q rank
// 1536, 16 output groups of 1024, 384 experts of 3072, 6 a token, index 64 × 128).
func TestV4Shapes(t *testing.T) {
	m := load(t, "v4")
	wantShapes(t, m, "gemm_fused",
		"m={m};n=2048;k=7168",                         // q_a and kv: 1536 + 512
		"m={m};n=65536;k=1536", "m={m};n=8192;k=1536", // q_b, and over 8 ranks
		"m={m};n=7168;k=16384", "m={m};n=7168;k=2048", // o_b: 16 · 1024 in
		"m={m};n=6144;k=7168", "m={m};n=7168;k=384") // the shared expert
	wantShapes(t, m, "gemm", "m={m};n=384;k=7168", "m={m};n=1024;k=7168", "m={m};n=512;k=7168", "m={m};n=16160;k=7168")
	wantShapes(t, m, "grouped_gemm_contiguous",
		"groups=16;m_per_group={m};n=1024;k=4096", "groups=2;m_per_group={m};n=1024;k=4096", // o_a: 128·512/16 in
		"groups=6;m_per_group={m};n=6144;k=7168", "groups=384;m_per_group={m};n=7168;k=3072")
	wantShapes(t, m, "moe_dispatched",
		"h=7168;i=3072;E=384;topk=6;ep=1;balanced", "h=7168;i=3072;E=384;topk=6;ep=64;balanced", "h=7168;i=384;E=384;topk=6;ep=1;balanced")
	wantShapes(t, m, "dsa_decode",
		"attn-128-512-1152", "attn-16-512-1152", // window 128 and top-k 1024
		"attn-128-512-640", "attn-128-512-128") // HCA at 64K: 128 + 65536/128; the drafts' window
	wantShapes(t, m, "indexer_logits", "heads=64")
	wantShapes(t, m, "dsa_indexer_topk1024", "[{m},32768]")
	wantShapes(t, m, "mhc_post", "d=7168;hc=4")
}

// DeepSeek-V3's attention: absorbed over 576 of which 512 are the value, prefill in 192
// and 128 a head. Qwen3-Next's recurrence; gpt-oss's windows.
func TestOtherDesigns(t *testing.T) {
	wantShapes(t, load(t, "v3"), "mla_decode", "heads=128;576/512", "heads=16;576/512")
	wantShapes(t, load(t, "v3"), "mla_prefill_causal", "heads=128;192/128", "heads=8;192/128")
	wantShapes(t, load(t, "v3.2"), "dsa_decode", "attn-128-576-2048")
	wantShapes(t, load(t, "qwen3-next-80b-a3b"), "gdn_update", "kh=16;dk=128;vh=32;dv=128", "kh=2;dk=128;vh=4;dv=128")
	wantShapes(t, load(t, "gpt-oss-120b"), "attention_decode", "h=64;kv=8;d=64", "h=64;kv=8;d=64;w=128")
}

// Every family, and every measurement, is there once; the whole stays minutes; the
// coarse grid holds every operator that has a stock kernel.
func TestNoShapeTwice(t *testing.T) {
	for _, name := range models.Names() {
		m := load(t, name)
		fs := Families(m)
		lines := map[string]bool{}
		for _, l := range listed(fs, Last) {
			if lines[l] {
				t.Errorf("%s: twice: %s", name, l)
			}
			lines[l] = true
		}
		if len(lines) != Measurements(fs) || len(lines) > 2200 {
			t.Errorf("%s: %d measurements listed, %d counted, want at most 2200", name, len(lines), Measurements(fs))
		}
		quick := listed(fs, 0)
		if n := len(quick); n < 40 || n > 220 {
			t.Errorf("%s: %d measurements in the coarse grid", name, n)
		}
		for _, f := range fs {
			if !strings.HasPrefix(f.Op, "grouped") && !strings.HasPrefix(f.Op, "dsa_") && !slices.ContainsFunc(quick, func(l string) bool { return strings.Contains(l, " "+f.Op+" ") }) {
				t.Errorf("%s: the coarse grid has no %s", name, f.Op)
			}
		}
	}
}

// listed is what --list prints, unsorted.
func listed(fs []Family, last int) []string {
	var out []string
	groups, scaled := regexp.MustCompile(`^groups=(\d+)`), regexp.MustCompile(`\{m\*(\d+)\}`)
	for _, f := range fs {
		for _, p := range f.Points {
			for _, d := range f.Formats {
				level := f.Level + p.Level + d.Level
				if level > last {
					continue
				}
				shape := strings.ReplaceAll(f.Shape, "{m}", fmt.Sprint(p.Tokens))
				shape = scaled.ReplaceAllStringFunc(shape, func(s string) string {
					n, _ := strconv.ParseInt(scaled.FindStringSubmatch(s)[1], 10, 64)
					return fmt.Sprint(n * p.Tokens)
				})
				batch := p.Tokens
				if g := groups.FindStringSubmatch(f.Shape); g != nil {
					n, _ := strconv.ParseInt(g[1], 10, 64)
					batch *= n
				}
				line := fmt.Sprintf("%d  %s %s %s x%d", level, f.Op, strings.ReplaceAll(d.Name, "/", "/kv "), shape, batch)
				if p.Context > 0 {
					line += fmt.Sprintf(" at %d", p.Context)
				}
				out = append(out, line)
			}
		}
	}
	return out
}

// What the cost model runs on a rank is among what is timed: every product of a step
// of V4, V3 and Llama under several cuts.
func TestProductsOfAStepAreTimed(t *testing.T) {
	topology, err := topologies.Load("hgx-h200:8")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		model  string
		layout cost.Layout
	}{
		{"llama-3.1-8b", cost.Layout{TP: 1}}, {"llama-3.1-8b", cost.Layout{TP: 4}}, {"llama-3.1-70b", cost.Layout{TP: 8}},
		{"v3", cost.Layout{TP: 8}}, {"v4-flash", cost.Layout{TP: 8, EP: 8}}, {"v4-flash", cost.Layout{TP: 2, DP: 4, EP: 8}},
	} {
		m := load(t, c.model)
		s, err := cost.New(cost.Config{Model: m, Topology: topology, Layout: c.layout})
		if err != nil {
			t.Fatal(err)
		}
		loads := make([]cost.Load, max(1, c.layout.DP))
		for i := range loads {
			loads[i] = cost.Load{Sequences: 8}
		}
		timed := append(shapesOf(m, "gemm"), shapesOf(m, "gemm_fused")...)
		found := 0
		for _, o := range s.Explain(loads).Operators {
			if o.Class != "gemm" || o.N < 128 || o.K < 128 {
				continue
			}
			found++
			shape := fmt.Sprintf("m={m};n=%d;k=%d", o.N, o.K)
			grouped := slices.ContainsFunc(shapesOf(m, "grouped_gemm_contiguous"), func(g string) bool {
				var groups, n, k int64
				_, err := fmt.Sscanf(g, "groups=%d;m_per_group={m};n=%d;k=%d", &groups, &n, &k)
				return err == nil && groups*n == o.N && k == o.K
			})
			if !slices.Contains(timed, shape) && !grouped {
				t.Errorf("%s %v: %s of %s is not timed", c.model, c.layout, shape, o.Name)
			}
		}
		if found < 2 {
			t.Errorf("%s %v: %d products in a step", c.model, c.layout, found)
		}
	}
}

// Every design of the models' table is timed by a script, or refused by name.
func TestEveryDesignIsTimed(t *testing.T) {
	for _, d := range models.Designs() {
		if !slices.Contains(timed, d.Name) {
			t.Errorf("no script times %s", d.Name)
		}
	}
	m, err := models.Load("qwen3-8b")
	if err != nil {
		t.Fatal(err)
	}
	a := *m.Layers[0].Attention
	a.Design = "block"
	m.Layers[0].Attention = &a
	if err := Write(io.Discard, m, "v"); err == nil || !strings.Contains(err.Error(), `no script times design "block"`) {
		t.Errorf("got %v", err)
	}
}
