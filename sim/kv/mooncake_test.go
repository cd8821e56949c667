package kv

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// shared is a file of the folder of traces that is kept beside the checkout.
func shared(t *testing.T, name string) *os.File {
	t.Helper()
	dir := os.Getenv("CLUSTERSIM_SHARED")
	required := dir != ""
	for at, err := os.Getwd(); !required && err == nil; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			dir = filepath.Join(at, "..", "shared")
			break
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	f, err := os.Open(filepath.Join(dir, "traces", name))
	if err != nil && required {
		t.Fatal(err)
	}
	if err != nil {
		t.Skipf("needs traces/%s in the folder named by CLUSTERSIM_SHARED", name)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func mooncake(t *testing.T) (prompts [][]uint64) {
	t.Helper()
	z, err := zstd.NewReader(shared(t, "mooncake_conversation_trace.jsonl.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row struct {
			IDs []uint64 `json:"hash_ids"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		prompts = append(prompts, row.IDs)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return prompts
}

// The Mooncake conversation trace (kvcache-ai/Mooncake@3b5a5941, FAST25-release) has
// 288,500 blocks of 512 tokens, 182,790 of them distinct: a cache without bounds hits 0.3664.
func TestMooncakeHitRatio(t *testing.T) {
	p, asked, hit := NewPrefix(512), 0, 0
	prompts := mooncake(t)
	for _, ids := range prompts {
		asked += len(ids)
		hit += p.Match(ids)
		p.Insert(ids)
	}
	if len(prompts) != 12031 || asked != 288500 || hit != 288500-182790 || p.Blocks() != 182790 {
		t.Errorf("%d requests, %d blocks, %d hits, %d held; want 12031, 288500, 105710, 182790", len(prompts), asked, hit, p.Blocks())
	}
	bounded := func(capacity int) (hit int) {
		p := NewPrefix(512)
		for _, ids := range prompts {
			hit += p.Match(ids)
			p.Insert(ids)
			p.Evict(p.Blocks() - capacity)
		}
		return hit
	}
	before := 0
	for _, capacity := range []int{0, 1000, 10_000, 30_000, 100_000, 182_790} {
		now := bounded(capacity)
		t.Logf("capacity %6d blocks: hit ratio %.4f", capacity, float64(now)/float64(asked))
		if now < before || now > hit {
			t.Errorf("capacity %d: %d hits, smaller cache %d, no bound %d", capacity, now, before, hit)
		}
		before = now
	}
	if before != hit {
		t.Errorf("a cache for all blocks hits %d, without bound %d", before, hit)
	}
}
