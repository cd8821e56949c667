// Package sim ties the rooms together: a Scenario names a model, a topology and a
// workload, and Run puts them on the engine and returns a Result.
//
// It is assembly only. What a step costs is in sim/cost, how an instance batches in
// sim/serve, where requests go in sim/route, what latencies mean in sim/metrics.
// Layouts that a scenario leaves open are decided above, in sim/plan: Run takes a
// complete scenario and never searches.
package sim
