package route

import (
	"math/rand/v2"
	"testing"

	"github.com/clustersim/clustersim/sim/des"
)

// Both lists of arrivals in order: an open loop's, and the heap of clients.
func TestClientsComeInOrder(t *testing.T) {
	var a arrivals
	random := rand.New(rand.NewPCG(7, 8))
	pending := map[des.Time]int{}
	for n := range 5000 {
		if len(a.due) == 0 || random.IntN(2) == 0 && n < 4000 {
			at := des.Time(random.IntN(300))
			a.push(at)
			pending[at]++
			continue
		}
		least := des.Never
		for at := range pending {
			least = min(least, at)
		}
		if got := a.pop(); got != least {
			t.Fatalf("client at %d, the first is at %d", got, least)
		}
		if pending[least]--; pending[least] == 0 {
			delete(pending, least)
		}
	}
}
