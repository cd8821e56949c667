// Package route is the event loop of a cluster: it takes requests as they arrive,
// picks their instances and ranks, moves caches from prefill to decode, and ends the
// run.
//
// # The loop
//
// A Cluster holds one clock for few entities: every instance has the end of its step
// and the start of its next, and there is one entry each for transfers, arrivals, the
// observer and the end of the warm-up. Events at one moment are taken in that order of
// entities, so that a step which starts at a moment sees all that happened at it. A
// request is in the loop only when it arrives, is handed over or is done; what
// happens to it in between is filed in its instance (package serve).
//
// way.go has the parts of a request's way in the order in which they are called,
// arrivals.go where requests come from, pool.go what a router sees, cluster.go the
// rest. The routers are in package policy.
//
// # Definitions
//
// A pool is a number of equal instances: one that serves (aggregated), or one that
// prefills and one that decodes. Each has a router of its own, of the same policy. It
// sees the load that a board shows at that moment (prompt tokens waiting and in work on
// a prefill rank, requests elsewhere) and, where prompts are computed, what ranks have
// cached. In a decode pool nothing of a prompt is cached, and policies that go by caches
// or sessions are least-loaded.
//
// A prompt waits on the rank that is picked for it. Prefilled requests wait for a decode
// rank together, first come first served: the first of them asks the router for a rank at
// every event, and where that has no room it asks again at the next. Each time takes a turn, so that
// round-robin comes to a rank that has room. A request keeps its cache until that
// has arrived at the rank it found: after the engine's hand-over time (handover_ms) and
// the library's latency it moves as a flow over the egress of its rank and the ingress
// of the other (package net). The decode instance takes it up, and its first token
// leaves, when the next step begins there.
//
// The measured requests are the first so many after the warm-up, or those of a time.
// Arrivals go on until all of them have finished, so that none of them sees a system
// that empties. What is in flight at a stationary start is counted apart. At the end
// initial + arrived = completed + rejected + lost + in flight, or the loop panics.
//
// # What holds it to that
//
// The tests have a naive twin, which walks every token of every sequence with the
// same definitions and no sums: random clusters give the same completions to the
// nanosecond.
//
// # Not modelled
//
// What a decode instance does for a request before its prefill (SGLang's takes it in,
// shakes hands and reserves its cache between steps of its own, and the prompt waits
// for that), failures, retries and timeouts, priorities, the time that a router itself
// takes, routers that know loads and caches late.
package route
