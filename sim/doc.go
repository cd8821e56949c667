// Package sim simulates: Run takes a complete scenario (sim/scenario), builds its plant
// (sim/plant), puts the requests through the engine and returns a result (sim/result).
//
// It is assembly only. What a step costs is in sim/cost, how an instance batches in
// sim/serve, where requests go in sim/route, what latencies mean in sim/metrics.
// Layouts, rates and numbers of requests that a scenario leaves open are decided above,
// by plan.Complete of sim/plan: Run never searches, and refuses a scenario that needs it.
package sim
