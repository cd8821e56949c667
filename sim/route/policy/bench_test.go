package policy_test

import (
	"fmt"
	"testing"

	"github.com/clustersim/clustersim/sim/route/policy"
)

// BenchmarkPick is a pick of a pool under load whose caches hold some of everything: most
// policies do not look at every rank.
func BenchmarkPick(b *testing.B) {
	for _, p := range policy.All() {
		for _, instances := range []int{1, 16} {
			b.Run(fmt.Sprintf("policy=%s/ranks=%d", p.Name, 32*instances), func(b *testing.B) {
				bed := newBed(p, instances, 32, setup(1), false)
				for n := range uint64(96 * instances) {
					bed.take(prompt(n, n%9))
				}
				number := uint64(0)
				requests := make([]*policy.Request, 64)
				for i := range requests {
					requests[i] = prompt(uint64(i), uint64(i%9))
				}
				b.ReportAllocs()
				for b.Loop() {
					bed.pick(&bed.view, requests[number%64])
					number++
				}
			})
		}
	}
}
