package cost

import (
	"fmt"
	"strings"
	"testing"
)

// What does not fit is refused with the arithmetic.
func TestUnfitSaysWhy(t *testing.T) {
	topology := loadTopology(t, "hgx-h100:16")
	_, err := New(Config{Model: loadModel(t, "v4", topology.Chip), Topology: topology, Layout: Layout{DP: 8, EP: 8}})
	if err == nil {
		t.Fatal("V4-Pro fits eight H100")
	}
	for _, want := range []string{"deepseek-v4-pro does not fit a rank of h100", "routed experts 102.76 GB", "+ activations", "+ graphs", "+ context 0.44 GB", "+ communicators 2.15 GB", "+ kernels 1.01 GB", "+ reserve", "+ cache of one sequence", "> 85.04 GB"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

// A remedy, followed, fits; with half the ranks it does not. On four ranks experts over
// four of them take what slices of all take, so EP is no remedy there.
func TestRemediesFit(t *testing.T) {
	for _, c := range []struct {
		model, topology string
		config          Config
	}{
		{"v4-flash", "rtx-4090:4", Config{Layout: Layout{TP: 4, EP: 1}}}, {"v4-flash", "rtx-4090:4", Config{Layout: Layout{TP: 4, EP: 2}}},
		{"v4-flash", "rtx-4090:4", Config{Layout: Layout{TP: 4, EP: 4}}}, {"v4", "hgx-h100:16", Config{Layout: Layout{DP: 8, EP: 8}}},
		{"v4", "supernode8912", Config{Layout: Layout{TP: 4}}}, {"v4", "supernode8912", Config{Layout: Layout{DP: 4, EP: 4}, Role: Prefill}},
		{"llama-3.1-405b", "hgx-h100:16", Config{}}, {"llama-3.1-405b", "hgx-h100:16", Config{Layout: Layout{TP: 2, PP: 2}}},
		{"llama-3.1-405b", "l40s:8", Config{Layout: Layout{TP: 8}}}, {"v3", "cloudmatrix384:16", Config{Layout: Layout{DP: 8, EP: 8}}},
		{"llama-3.1-8b", "hgx-h100:8", Config{MaxTokens: 2_000_000}},
	} {
		topology := loadTopology(t, c.topology)
		c.config.Model, c.config.Topology = loadModel(t, c.model, topology.Chip), topology
		_, err := New(c.config)
		if err == nil {
			t.Fatalf("%s fits %s with %s", c.model, c.topology, c.config.Layout)
		}
		_, said, _ := strings.Cut(err.Error(), "; ")
		followed := c.config
		if n, _ := fmt.Sscanf(said, "max_tokens %d and max_sequences %d would", &followed.MaxTokens, &followed.MaxSequences); n == 0 {
			l, chips := followedLayout(t, said)
			followed.Layout = l
			larger := *topology
			larger.Chips = max(larger.Chips, chips)
			followed.Topology = &larger
			if more := strings.Contains(said, "which are more than"); more != (chips > topology.Chips) {
				t.Errorf("%s: %s", c.topology, said)
			}
			for _, half := range followed.halves() {
				less := followed
				less.Layout = half
				if _, err := New(less); err == nil && half.TP*half.DP*half.PP > c.config.Layout.withDefaults().ranks() {
					t.Errorf("%s on %s: %s would fit too, said is: %s", c.model, c.topology, half, said)
				}
			}
		}
		if _, err := New(followed); err != nil {
			t.Errorf("%s on %s, %s: %s; that does not fit either: %v", c.model, c.topology, c.config.Layout, said, err)
		}
	}
}

func (l Layout) ranks() int { return l.TP * l.DP * l.PP }

// halves are layouts of half the ranks.
func (c Config) halves() (all []Layout) {
	for _, cut := range []func(l *Layout) *int{func(l *Layout) *int { return &l.TP }, func(l *Layout) *int { return &l.DP }, func(l *Layout) *int { return &l.PP }} {
		l := c.Layout
		if n := cut(&l); *n%2 == 0 {
			*n /= 2
			l.EP = min(l.EP, l.TP*l.DP)
			all = append(all, c.filled(l))
		}
	}
	return all
}

func followedLayout(t *testing.T, said string) (l Layout, chips int) {
	t.Helper()
	layout, rest, ok := strings.Cut(said, " would, on ")
	if n, err := fmt.Sscanf(rest, "%d chips", &chips); !ok || n != 1 {
		t.Fatalf("%q: %v", said, err)
	}
	for _, f := range strings.Fields(layout) {
		for name, degree := range map[string]*int{"TP": &l.TP, "DP": &l.DP, "PP": &l.PP, "EP": &l.EP, "+": &l.Redundant} {
			if digits, is := strings.CutPrefix(f, name); is {
				if _, err := fmt.Sscan(digits, degree); err != nil {
					t.Fatalf("%q: %v", said, err)
				}
			}
		}
	}
	return l.withDefaults(), chips
}

// Engines refuse a TP that would cut a head, and so does every layout here.
func TestTensorParallelismKeepsHeadsWhole(t *testing.T) {
	for _, c := range []struct {
		model      string
		whole, cut []int
		sentence   string
	}{
		{"llama-3.1-8b", []int{1, 2, 4, 8, 16, 32}, []int{3, 5, 6, 7, 12, 64}, "the 32 attention heads of llama-3.1-8b"}, // 8 key-value heads
		{"qwen2.5-7b", []int{1, 2, 4, 28}, []int{8}, "the 28 attention heads of qwen2.5-7b"},                             // 4 of 28
		{"qwen2.5-7b", nil, []int{7, 14}, "for the 4 key-value heads of qwen2.5-7b: one must divide the other"},
		{"v3", []int{1, 8, 64, 128}, []int{3, 24}, "the 128 attention heads of deepseek-v3"},
		{"qwen3-next", []int{1, 2, 16}, nil, ""},
		{"qwen3.5", []int{16}, []int{32}, "the 16 key heads of the linear layers of qwen3.5"},
	} {
		topology := loadTopology(t, "hgx-h200:256")
		check := func(tp int) error {
			config := Config{Model: loadModel(t, c.model, topology.Chip), Topology: topology, Layout: Layout{TP: tp}}
			if err := config.fill(); err != nil {
				t.Fatal(err)
			}
			return config.check()
		}
		for _, tp := range c.whole {
			if err := check(tp); err != nil {
				t.Errorf("%s TP %d: %v", c.model, tp, err)
			}
		}
		for _, tp := range c.cut {
			if err := check(tp); err == nil || !strings.Contains(err.Error(), c.sentence) {
				t.Errorf("%s TP %d: %v, want %q", c.model, tp, err, c.sentence)
			}
		}
	}
}
