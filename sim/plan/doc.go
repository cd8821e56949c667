// Package plan decides what a scenario leaves open: the layout, pool sizes, the rate
// and the number of requests. It stands above package sim, which runs complete
// scenarios only.
//
// # The search
//
// A candidate is a pool layout (TP, DP, EP, PP, redundant experts) in a role. For
// each, cost.New says whether it fits; then the highest load of one instance within
// the SLO is found by bisection with cost.Step on mean batches (point.go), without
// simulating requests:
//
//   - decode: sequences a rank, bounded by TPOT and ITL, by the KV cache and by the engine's
//     limit, less headroom for the fluctuation of a Poisson number of requests;
//   - prefill: prompt tokens a rank and step, bounded by TTFT. The rank with the most
//     tokens, and the one with the longest prompts, hold up the others of a step;
//   - mixed: sequences a rank with the prompt tokens that keep them in balance; the
//     steps that hold a chunk lengthen every token.
//
// One instance's rate times the instances that the topology has room for is the
// capacity of an aggregated deployment; a disaggregated one has the better split of
// the topology between two pools, in whole instances. Deployments are ranked by
// capacity within the SLO; where none is within it, the least violation comes first.
// A limit on E2E is shared by the two pools (splitter.together): each is priced as if it
// had all of it, then both are loaded less, alike, until the slow request's time in one and in
// the other is within it.
//
// A layout that is given in full (instances and a degree) is priced as it is, with the
// engine's own prompt budget; only a search tries smaller ones.
//
// # The typical step
//
// Typical turns the same estimate round: at a given rate, the batch of a pool's step for
// which as many requests leave as arrive. Shares of time by cause are within 3 points of
// what runs show when decoding, and within 8 in prompt steps, which differ in size from one
// to the next; see TestTypicalStepIsWhatRuns.
//
// # Rate and requests
//
// Probe runs of a part of the deployment at the same load an instance correct the
// estimate. A workload without rate is offered at 80 % of capacity. Without a limit that
// a growing queue breaks, on TTFT or E2E, every rate would be within the SLO: capacity
// is then judged by the usual TTFT as well (judging), and a warning says so.
//
// # Assumptions
//
// Requests come at random (Poisson); prefix caches are cold; the router leaves half
// of the deviation between ranks that chance would give (spread). The wait for a
// prefill rank is that of M/G/k with an exponential tail. Against bisected runs the
// estimates are within a tenth where one pool's throughput decides and within two
// fifths at worst (aggregated mixtures of experts over many ranks); see
// TestCapacityAgainstRuns. Pools of different chips are priced when they are asked
// for, but not searched.
package plan
