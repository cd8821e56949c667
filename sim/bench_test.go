package sim_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/plan"
)

// BenchmarkRequests is the main job, chat on the whole supernode in the layout that
// the search picks, at more and more requests: what one costs should not depend on
// how many there are. A million take a while, and are run when asked for by
// CLUSTERSIM_BENCH_LARGE=1. Requests in flight at the start
// and the arrivals behind the measured ones count as well: they are simulated.
func BenchmarkRequests(b *testing.B) {
	s, p, err := plan.Complete(b.Context(), read(b, "version: 1\nmodel: v4\ntopology: supernode8912\ndeployment: {}\nseed: 1\n"), sim.Options{}, plan.Options{})
	if err != nil {
		b.Fatal(err)
	}
	sizes := []int64{10_000, 100_000}
	if os.Getenv("CLUSTERSIM_BENCH_LARGE") != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, n := range sizes {
		b.Run(fmt.Sprintf("requests=%d", n), func(b *testing.B) {
			if err := s.Set("workload.requests", strconv.FormatInt(n, 10)); err != nil {
				b.Fatal(err)
			}
			served := int64(0)
			for b.Loop() {
				r, err := sim.Run(b.Context(), s, p.Options)
				if err != nil {
					b.Fatal(err)
				}
				served += r.Requests.Completed
			}
			seconds := b.Elapsed().Seconds()
			b.ReportMetric(float64(served)/seconds, "requests/s")
			b.ReportMetric(1e6*seconds/float64(served), "us/request")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys)/(1<<20), "MiB-of-the-system")
		})
	}
}
