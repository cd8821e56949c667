package sim_test

import (
	"context"
	"fmt"
	"log"

	"github.com/clustersim/clustersim/sim"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/plan"
	"github.com/clustersim/clustersim/sim/plant"
	"github.com/clustersim/clustersim/sim/route/policy"
)

// A scenario that leaves the layout and the rate open is completed by a plan, as the
// command line does it, and run.
func Example() {
	asked, err := plant.Read("mine.yaml", []byte(`
version: 1
model: llama-3.1-8b
topology: hgx-h100:8
workload: {profile: chat, requests: 500}
seed: 1
`))
	if err != nil {
		log.Fatal(err)
	}
	ready, p, err := plan.Complete(context.Background(), asked, sim.Options{}, plan.Options{})
	if err != nil {
		log.Fatal(err)
	}
	r, err := sim.Run(context.Background(), ready, p.Options)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Deployment.Mode, r.Deployment.Chips, "chips,", r.Requests.Measured, "requests measured")
	fmt.Println(r.Bound().Group)
	// Output:
	// aggregated 8 chips, 500 requests measured
	// memory bandwidth
}

// Run takes a scenario in which nothing is open; it names what is.
func ExampleRun_incomplete() {
	asked, err := plant.Read("mine.yaml", []byte("{version: 1, model: llama-3.1-8b, topology: 'hgx-h100:8'}"))
	if err != nil {
		log.Fatal(err)
	}
	_, err = sim.Run(context.Background(), asked, sim.Options{})
	fmt.Println(err)
	// Output:
	// the scenario leaves open deployment.mode, workload.rate, workload.requests: plan.Complete (package sim/plan) decides these; run what it returns
}

// Every request that completes is a row, in the order in which they do, measured or not:
// times are nanoseconds from the start of the run.
func ExampleOptions_rows() {
	s, err := plant.Read("mine.yaml", []byte(`
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
	rows, slow := 0, 0
	_, err = sim.Run(context.Background(), s, sim.Options{OnRequest: func(r *metrics.Completion) {
		rows++
		if ttft := (r.FirstToken - r.Arrival).Seconds(); ttft > 0.1 {
			slow++
		}
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rows, "requests,", slow, "with a first token after 100 ms")
	// Output: 112 requests, 0 with a first token after 100 ms
}

// A router of one's own sees the loads and caches of a pool and picks a rank. This one
// sends everything to the first instance that it is not told to avoid.
func ExampleOptions_router() {
	s, err := plant.Read("mine.yaml", []byte(`
version: 1
model: llama-3.1-8b
topology: hgx-h100:8
workload: {input_tokens: 1000, output_tokens: 200, concurrency: 8, requests: 100}
deployment: {mode: aggregated, serve: {instances: 8, tp: 1}}
seed: 1
`))
	if err != nil {
		log.Fatal(err)
	}
	packed := &policy.Policy{
		Name: "packed", Doc: "the first instance with fewer than four requests, or the least loaded",
		New: func(policy.Setup) policy.Pick {
			return func(v *policy.View, r *policy.Request) (instance, rank int) {
				for i := range v.Instances {
					// the key of an instance of one rank is twice its load: its own and its instance's mean
					if v.Loads.Key(i) < 2*4 {
						return i, v.Loads.LeastRank(i)
					}
				}
				least := v.Loads.Least()
				return least, v.Loads.LeastRank(least)
			}
		},
	}
	for _, router := range []*policy.Policy{nil, packed} {
		used := map[int32]bool{}
		r, err := sim.Run(context.Background(), s, sim.Options{Router: router, OnRequest: func(c *metrics.Completion) { used[c.DecodeInstance] = true }})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Scenario.Router.Policy, len(used), "instances")
	}
	// Output:
	// least-loaded 8 instances
	// packed 2 instances
}
