// Package plan decides what a scenario leaves open: the layout, pool sizes, the rate
// and the number of requests. It stands above package sim, which runs complete
// scenarios only.
//
// # The search
//
// A candidate is a pool layout (TP, DP, EP, PP, CP, redundant experts) in a role. For
// each, cost.New says whether it fits; then the highest load of one instance within
// the SLO is found by bisection with cost.Step on mean batches, without simulating
// requests:
//
//   - alone (alone.go): a request that finds the instance empty is priced step by step, as
//     a run with one client goes. A layout in which it misses the SLO is listed as such;
//   - decode: sequences a rank, bounded by TPOT and ITL beside as many others as there are
//     one time in ten, by the KV cache and by the engine's limit;
//   - prefill: prompt tokens a rank and step, bounded by TTFT. The rank with the most
//     tokens, and the one with the longest prompts, hold up the others of a step;
//   - mixed (mixed.go): sequences a rank, which end as many answers a step as prompts are
//     taken in. How many prompts a step has is a Poisson number; what they add to steps holds
//     up every sequence. Prompts that come while another is prefilled wait behind it and then
//     hold up its tokens. The share of requests that miss TTFT or TPOT must stay below a tenth.
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
// Beside the layout, and where the scenario leaves them open, the search tries MTP drafts
// (with every layout that decodes), the overlaps that the engine's profile has, and redundant
// experts (with the best layouts), one after the other, and says what each gave (besides.go).
// Drafts that are given stay, 0 as well.
//
// # Probes
//
// The best few by estimate are run (probe.go), each on a cut of its instances at the same
// load an instance, side by side and in rounds, until the highest rate that one sustains
// is known to a tenth; --find-capacity goes on to a fiftieth. They are ordered by that, and
// stand before those that are only estimated.
//
// # The typical step
//
// Typical turns the same estimate round: at a given rate, the batch of a pool's step for
// which as many requests leave as arrive. Shares of time by cause are within 5 points of
// what runs show when decoding, and within 8 in prompt steps, which differ in size from one
// to the next; see TestTypicalStepIsWhatRuns.
//
// # Rate and requests
//
// A workload without rate is offered at 80 % of capacity. Without a limit that
// a growing queue breaks, on TTFT or E2E, every rate would be within the SLO: capacity
// is then judged by the usual TTFT as well (judging), and a warning says so.
//
// # Assumptions
//
// Requests come at random (Poisson); prefix caches are cold; the router leaves half
// of the deviation between ranks that chance would give (spread). The wait for a
// prefill rank is that of M/G/k with an exponential tail; where instances serve, the router
// counts requests and not tokens, so that each rank is a queue of its own. Over drawn layouts
// four fifths of the estimates are within a quarter of what bisected runs find: see
// TestEstimatesAgreeWithRuns. Pools of different chips are priced when they are asked
// for, but not searched.
package plan
