package validate

import (
	"fmt"

	"github.com/clustersim/clustersim/sim/scenario"
	"github.com/clustersim/clustersim/traces"
)

// hold names a topology that has room for pools of so many chips, each pool on
// nodes of its own.
func (s *system) hold(pools ...int) string {
	need := 0
	for _, chips := range pools {
		need += (chips + s.Node - 1) / s.Node * s.Node
	}
	if need <= s.Chips {
		return s.Topology
	}
	if s.Chips > s.Node { // no worker is cut in two by the end of a rack
		need = (need + s.Chips - 1) / s.Chips * s.Chips
	}
	return fmt.Sprintf("%s:%d", s.Topology, need)
}

// split is an instance's layout on so many chips, from the degrees that a row
// states. Attention is cut over tp ranks; with data-parallel attention each chip is a
// rank of its own, and the stated tp is the size of the group. Degrees that do
// not make the chips are refused: which of them is wrong is not known.
func split(chips, tp, ep int, dataParallel bool) (scenario.Pool, error) {
	whole := tp == chips || tp == 1 && ep == chips
	switch {
	case chips < 1 || tp < 1 || ep < 1:
		return scenario.Pool{}, fmt.Errorf("layout unknown: %d chips an instance, tp %d, ep %d", chips, tp, ep)
	case !whole:
		return scenario.Pool{}, fmt.Errorf("layout unknown: tp %d and ep %d do not make the %d chips of an instance", tp, ep, chips)
	case dataParallel || tp == 1:
		return scenario.Pool{Instances: 1, TP: 1, DP: chips, EP: ep}, nil
	}
	return scenario.Pool{Instances: 1, TP: tp, DP: 1, EP: ep}, nil
}

// workload is the benchmark's closed loop: clients that each send the next request
// when the last has ended, ten requests a client in all, everyone at once at the
// start (vLLM's benchmark_serving.py with --max-concurrency C --num-prompts 10·C
// --request-rate inf). share is the shortest length as a share of the nominal one.
func workload(clients, input, output int, share float64) (*scenario.Workload, error) {
	w := &scenario.Workload{Concurrency: clients, Requests: int64(clients) * requestsPerClient, Window: "all"}
	for _, d := range []struct {
		into    **traces.Dist
		nominal int
	}{{&w.InputTokens, input}, {&w.OutputTokens, output}} {
		least := max(1, int(float64(d.nominal)*share))
		dist := traces.Constant(d.nominal)
		if least < d.nominal {
			var err error
			if dist, err = traces.Uniform(least, d.nominal); err != nil {
				return nil, err
			}
		}
		*d.into = &dist
	}
	return w, nil
}

const (
	// routing is how the benchmarks' tokens fall on experts: DeepSeek-V3's own traffic
	// (cost.Routing), and what aiconfigurator assumes of all mixtures.
	routing = "power-law(1.01)"

	requestsPerClient = 10
	// rangeRatio is --random-range-ratio of InferenceX's benchmark-tmpl.yml: lengths
	// are uniform in [0.8, 1.0] of the nominal one.
	rangeRatio = 0.8
)
