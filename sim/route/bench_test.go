package route_test

import (
	"fmt"
	"testing"

	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/traces"
)

// BenchmarkHold is the hold model of the cluster: a closed loop keeps as many
// requests in flight as there are clients, on more and more instances; an event
// should cost the same wherever it happens.
func BenchmarkHold(b *testing.B) {
	for _, mode := range modes {
		for _, instances := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("mode=%s/instances=%d", mode, instances), func(b *testing.B) {
				cfg := aggregated(b, 0, instances, nil)
				if mode == "disaggregated" {
					cfg = disaggregated(b, 0, instances, instances)
				}
				input, err := traces.Uniform(50, 500)
				if err != nil {
					b.Fatal(err)
				}
				output, err := traces.Uniform(1, 60)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				events, requests := int64(0), int64(0)
				for b.Loop() {
					cfg.Loop = &traces.ClosedLoop{Concurrency: 16 * instances, Requests: int64(20_000 + 200*instances), Input: input, Output: output, Seed: 1}
					c := route.NewCluster(cfg, recorder(&cfg))
					if partial, err := c.Run(b.Context()); partial || err != nil {
						b.Fatal(partial, err)
					}
					events += c.Events()
					requests += cfg.Loop.Requests
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(requests), "ns/request")
			})
		}
	}
}

// BenchmarkTrace is an open loop of n requests: what one costs should not grow.
func BenchmarkTrace(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("requests=%d", n), func(b *testing.B) {
			cfg := disaggregated(b, 1, 4, 2)
			requests := poisson(n, 3e5, 0, 0)
			for i := range requests {
				requests[i].InputTokens, requests[i].OutputTokens = int32(20+(i*37)%180), int32(1+(i*53)%90)
			}
			b.ResetTimer()
			for b.Loop() {
				cfg.Source = &fixedSource{requests: requests}
				rec := recorder(&cfg)
				c := route.NewCluster(cfg, rec)
				if _, err := c.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				if got := rec.Counts(); got != (metrics.Counts{Arrived: int64(n), Completed: int64(n)}) {
					b.Fatal(got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/request")
		})
	}
}
