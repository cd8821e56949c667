package cost

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// described is a pool as logs of vLLM and its tests describe one: the bytes of a block,
// and of each group how many bytes a block holds, how many tokens it covers and keeps.
func described(p *pool) (block int64, groups []string) {
	for i := range p.groups {
		g := &p.groups[i]
		bytes := int64(0)
		for _, sizes := range g.sizes {
			for size, n := range sizes {
				bytes += size * n
			}
		}
		groups = append(groups, fmt.Sprintf("%d B, block %d, window %d", bytes, g.tokens, g.window))
	}
	return p.block, groups
}

// Blocks of DeepSeek-V4 in vLLM as they are published: 1,473,408 B for Pro (the baseline
// of vllm-project/vllm#48993), and Flash's groups with its draft layers left out of
// vllm-project/vllm#54703, whose MLA group and windows are 1,002,240, 823,680 and
// 786,240 B; compressor's rows there are not padded to the pages of the first.
func TestBlocksOfDeepSeekV4(t *testing.T) {
	of := func(model string) (int64, []string) {
		m := newStepper(t, model, "hgx-b200:64", Config{Layout: Layout{DP: 16, EP: 16}, Engine: loadEngine(t, "vllm")}).Memory()
		return described(m.pool)
	}
	if block, groups := of("v4"); block != 1_473_408 || len(groups) != 5 {
		t.Errorf("V4-Pro: %d B, %q", block, groups)
	}
	block, groups := of("v4-flash")
	want := []string{
		"823680 B, block 64, window 128", "786240 B, block 64, window 128", // 43 layers' windows in groups of 22
		"1002240 B, block 256, window 0", // 21 layers of 64 entries and keys, 20 of two entries
		"967680 B, block 4, window 8",    // CSA's rows, of entries and of keys
		"748800 B, block 8, window 128",  // HCA's
	}
	if !slices.Equal(groups, want) {
		t.Errorf("V4-Flash: %q, want %q", groups, want)
	}
	// Room for 22 windows, 21 layers' keys and 20 of HCA's entries.
	if want := int64(22*37440 + 21*8640 + 20*1728); block != want {
		t.Errorf("V4-Flash: blocks of %d B, want %d", block, want)
	}
}

// A hybrid of Qwen3.5-27B's kind has blocks that cover 784 tokens, since a state of its
// linear layers takes those of 783 (vllm-project/vllm#40691 counts in 784); Qwen3-Next's
// take 272 with two key-value heads. gpt-oss has two groups of 18 layers.
func TestBlocksOfHybrids(t *testing.T) {
	m := newStepper(t, "gpt-oss-120b", "hgx-b200", Config{Engine: loadEngine(t, "vllm")}).Memory()
	const page = 16 * 2 * 8 * 64 * 2
	if block, groups := described(m.pool); block != 18*page || strings.Join(groups, "; ") != fmt.Sprintf("%d B, block 16, window 128; %d B, block 16, window 0", 18*page, 18*page) {
		t.Errorf("gpt-oss-120b: %d B, %q", block, groups)
	}
	s := newStepper(t, "qwen3-next", "hgx-b200:8", Config{Layout: Layout{TP: 2}, Engine: loadEngine(t, "vllm")})
	m = s.Memory()
	state := int64(0)
	for _, l := range s.config.Model.Layers {
		if l.Attention.Design == "linear" {
			state = l.Attention.StateBytes / 2
		}
	}
	token := int64(2 * 1 * 256 * 2) // one of two heads
	tokens := (state + 16*token - 1) / (16 * token) * 16
	block, groups := described(m.pool)
	if block != 12*tokens*token || len(groups) != 4 || groups[3] != fmt.Sprintf("%d B, block %d, window 0", 12*tokens*token, tokens) {
		t.Errorf("Qwen3-Next: %d B, %q; a state takes %d tokens", block, groups, tokens)
	}
	// Layers of one kind pad nothing, nor does an engine without groups.
	plain := newStepper(t, "llama-3.1-8b", "hgx-b200", Config{Engine: loadEngine(t, "vllm")}).Memory()
	sglang := newStepper(t, "gpt-oss-120b", "hgx-b200", Config{Engine: loadEngine(t, "sglang")}).Memory()
	if plain.pool != nil || sglang.pool != nil {
		t.Error("a pool of one kind of layers has groups")
	}
	// SGLang's windows have 0.8 of a slot for each of the full layers'.
	if got, want := sglang.cache.slope(), 1.8*18*2*8*64*2; got != want {
		t.Errorf("a token of gpt-oss-120b takes %g B in SGLang, want %g", got, want)
	}
}

// SGLang's pool of V4-Flash takes 7,705.45 B for each token (a public account of its
// pools): 3,850.25 B of entries and FP8 keys, and of 0.1 slots a window's entry in each of
// 43 layers and, a page of 128, eight rows of 8,192 + 2,048 B in each of 21.
func TestSharedWindowsOfDeepSeekV4(t *testing.T) {
	m := newStepper(t, "v4-flash", "hgx-b200:8", Config{Layout: Layout{DP: 8, EP: 8}, Engine: loadEngine(t, "sglang")}).Memory()
	want := 21*(584+132)/4. + 20*584/128. + 0.1*(43*584+21*8*(8192+2048)/128.)
	near(t, "a token", m.cache.slope(), want, 1e-9)
	near(t, "a token, published", m.cache.slope(), 7705.45, 1e-6)
	if m.cache.fixed != int64(m.cache.slope()*128) {
		t.Errorf("a sequence takes %d B besides, want half a page of 256 tokens", m.cache.fixed)
	}
}

// A sequence takes the blocks of what each group keeps of it, half a block for the last
// one of what grows and a block more for a window, whose two ends share one; what a
// prompt's step has in flight is counted for a rank, not for a sequence.
func TestSequencesInBlocks(t *testing.T) {
	m := newStepper(t, "gpt-oss-120b", "hgx-b200", Config{Engine: loadEngine(t, "vllm"), MaxTokens: 2048}).Memory()
	block := m.pool.block
	for tokens, want := range map[int64]int64{
		128: 8*block + block + 8*block + block/2, 160: 8*block + block + 10*block + block/2, 16_000: 8*block + block + 1000*block + block/2,
		1: (block+15)/16*2 + block + block/2,
	} {
		if got := m.SequenceBytes(tokens); got != want {
			t.Errorf("%d tokens take %d B, want %d", tokens, got, want)
		}
	}
	if got := m.InFlight(); got != 2048/16*block {
		t.Errorf("%d B in flight, want %d", got, 2048/16*block)
	}
	// vLLM's count of a request: the window and a step behind it, and one block.
	if got, want := m.RequestBytes(16_000), (1000+(127+2048+15)/16+1)*block; got != want {
		t.Errorf("a request of 16,000 tokens takes %d B at most, want %d", got, want)
	}
	if got, want := m.Concurrency(16_000), float64(m.Free/block)/float64(m.RequestBytes(16_000)/block); got != want {
		t.Errorf("%g requests at once, want %g", got, want)
	}
}

// Over pipeline stages a layer's groups are dealt in turn, so that each stage has its
// share of each, and the fullest stage's blocks count.
func TestGroupsOverStages(t *testing.T) {
	for pp, want := range map[int]int64{1: 18, 2: 9, 3: 6, 4: 5, 5: 4, 6: 3, 9: 2, 36: 1} {
		m := newStepper(t, "gpt-oss-120b", "hgx-b200:64", Config{Layout: Layout{PP: pp}, Engine: loadEngine(t, "vllm")}).Memory()
		if got := m.pool.block / (16 * 2 * 8 * 64 * 2); got != want {
			t.Errorf("%d stages: a block has %d layers of each kind, want %d", pp, got, want)
		}
		for i := range m.pool.groups {
			total := int64(0)
			for _, sizes := range m.pool.groups[i].sizes {
				for _, n := range sizes {
					total += n
				}
			}
			if total != 18 {
				t.Errorf("%d stages: group %d has %d layers in all", pp, i, total)
			}
		}
	}
}

// What a sequence is charged lies between what it needs by the model's figures, once it
// is longer than windows and states make it, and what blocks of whole groups come to at
// their most; so do requests at once.
func TestPoolsHoldWhatModelsNeed(t *testing.T) {
	type held struct {
		name string
		m    Memory
	}
	var all []held
	for _, x := range []struct{ model, engine string }{
		{"v4-flash", "vllm"}, {"gpt-oss-120b", "vllm"}, {"qwen3-next", "vllm"}, {"minimax-m1", "vllm"}, {"v3.2", "vllm"}, {"v4-flash", "sglang"}, {"gpt-oss-120b", "sglang"}, {"llama-3.1-8b", "trtllm"},
	} {
		all = append(all, held{x.model + " in " + x.engine, newStepper(t, x.model, "hgx-b200:16", Config{Layout: Layout{TP: 8}, Engine: loadEngine(t, x.engine)}).Memory()})
	}
	rapid.Check(t, func(r *rapid.T) {
		x := rapid.SampledFrom(all).Draw(r, "pool")
		n := rapid.Int64Range(1, x.m.longest).Draw(r, "tokens")
		one, least := x.m.SequenceBytes(n), x.m.ExactBytes(n)
		if n >= 8192 && one < least {
			r.Fatalf("%s: %d tokens are charged %d B and need %d", x.name, n, one, least)
		}
		if most := x.m.RequestBytes(n); one > most+2*blockOf(&x.m) {
			r.Fatalf("%s: %d tokens are charged %d B, blocks come to %d at most", x.name, n, one, most)
		}
		if more := x.m.Concurrency(n); more < x.m.Concurrency(n+1) || n >= 8192 && more*float64(least) > float64(x.m.Free) {
			r.Fatalf("%s: %g requests of %d tokens, %g of one more; %d B in all", x.name, more, n, x.m.Concurrency(n+1), x.m.Free)
		}
	})
}

func blockOf(m *Memory) int64 {
	if m.pool == nil {
		return 0
	}
	return m.pool.block * int64(len(m.pool.groups))
}

// Experts in MXFP4 are padded to the widths of their kernels: gpt-oss's 2,880 to 3,072 and
// 2,944 for Marlin (65.97 GiB of weights, vllm-project/vllm#23278), to 3,072 twice on
// Blackwell, after they are cut.
func TestExpertsArePaddedToTheirKernels(t *testing.T) {
	routed := func(topology string, tp, ep int) int64 {
		for _, w := range newStepper(t, "gpt-oss-120b", topology, Config{Layout: Layout{TP: tp, EP: ep}, Engine: loadEngine(t, "vllm")}).Memory().Weights {
			if w.Name == "routed experts" {
				return w.Bytes
			}
		}
		return 0
	}
	bias := int64(2*(2*2880+2880)) * 128 * 36
	expert := func(hidden, inter int64) int64 { return 3 * hidden * inter * 17 / 32 * 128 * 36 }
	for _, x := range []struct {
		topology string
		tp, ep   int
		want     int64
	}{
		{"hgx-h100", 1, 1, expert(3072, 2944)}, {"hgx-a100", 1, 1, expert(3072, 2944)}, {"hgx-b200", 1, 1, expert(3072, 3072)},
		{"hgx-h100", 4, 4, expert(3072, 2944) / 4},
		{"hgx-h100", 8, 1, expert(3072, 384)}, // 360 a rank
		{"hgx-b200", 8, 1, expert(3072, 512)},
	} {
		near(t, fmt.Sprintf("%s, TP %d, EP %d", x.topology, x.tp, x.ep), float64(routed(x.topology, x.tp, x.ep)), float64(x.want+bias/int64(x.tp)), 0.002)
	}
}

// A profile is found again by the name that a resolved scenario has for it.
func TestProfilesAreFoundByTheirOwnNames(t *testing.T) {
	for _, name := range EngineNames() {
		if got := loadEngine(t, name).Ref(); got != name {
			t.Errorf("%s calls itself %s", name, got)
		}
	}
}
