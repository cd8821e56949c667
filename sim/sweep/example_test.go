package sweep_test

import (
	"context"
	"fmt"
	"log"

	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/sweep"
)

// What would faster memory buy? Any path of the chip can be an axis, as it is or by a
// factor; each point gets the layout that suits it.
func Example() {
	base, err := plant.Read("base.yaml", []byte(`
version: 1
model: llama-3.1-8b
topology: hgx-h100:8
workload: {input_tokens: 1000, output_tokens: 200, concurrency: 8, requests: 100}
deployment: {mode: aggregated, serve: {instances: 1, tp: 8}}
seed: 1
`))
	if err != nil {
		log.Fatal(err)
	}
	axis, err := sweep.ParseAxis("chip.memory.bandwidth=x1,x2,10TB/s")
	if err != nil {
		log.Fatal(err)
	}
	points, err := sweep.Grid(base, []sweep.Axis{axis})
	if err != nil {
		log.Fatal(err)
	}
	for _, point := range sweep.Run(context.Background(), points, sweep.Options{}) {
		if point.Err != nil {
			log.Fatal(point.Err)
		}
		fmt.Printf("%s: %.1f ms a token\n", point.Set[0].Value, point.Result.Latency.TPOT.Mean)
	}
	// Output:
	// x1: 2.6 ms a token
	// x2: 2.3 ms a token
	// 10TB/s: 2.2 ms a token
}
