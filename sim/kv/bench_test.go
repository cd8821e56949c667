package kv

import (
	"fmt"
	"testing"
)

// One request of a full cache: match, acquire, evict, insert, release.
func BenchmarkRequest(b *testing.B) {
	for _, blocks := range []int{1 << 12, 1 << 16, 1 << 20} {
		b.Run(fmt.Sprintf("cache=%d/length=64", blocks), func(b *testing.B) {
			_, step := turnover(blocks, 64)
			for range 2 * blocks / 32 {
				step()
			}
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/block")
		})
	}
}

// The table against a Go map from (parent, id) to node: a match of 64 blocks.
func BenchmarkMatch(b *testing.B) {
	for _, blocks := range []int{1 << 12, 1 << 16, 1 << 20} {
		p, step := turnover(blocks, 64)
		for range 2 * blocks / 32 {
			step()
		}
		type key struct {
			parent int32
			id     uint64
		}
		index := make(map[key]int32, blocks)
		for _, i := range p.table {
			if i != 0 {
				index[key{p.nodes[i].parent, p.nodes[i].id}] = i
			}
		}
		prompts := make([][]uint64, 32)
		for i := range prompts {
			for k := range 32 {
				prompts[i] = append(prompts[i], uint64(i)<<32|uint64(k))
			}
		}
		b.Run(fmt.Sprintf("cache=%d/in=table", blocks), func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				p.walk(prompts[n%32])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/block")
		})
		b.Run(fmt.Sprintf("cache=%d/in=map", blocks), func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				p.path = p.path[:0]
				last := int32(0)
				for _, id := range prompts[n%32] {
					child := index[key{last, id}]
					if child == 0 {
						break
					}
					p.path = append(p.path, child)
					last = child
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/block")
		})
	}
}
