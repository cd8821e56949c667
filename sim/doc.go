// Package sim simulates: Run takes a complete scenario (sim/scenario), builds its plant
// (sim/plant), puts the requests through the engine and returns a result (sim/result).
//
// It is assembly only. What a step costs is in sim/cost, how an instance batches in
// sim/serve, where requests go in sim/route, what latencies mean in sim/metrics.
// Layouts, rates and numbers of requests that a scenario leaves open are decided above,
// by plan.Complete of sim/plan: Run never searches, and refuses a scenario that needs it.
//
// # Start
//
// A generated open loop starts as if it had run for long (start.go): the requests that
// decode are drawn, as many as Little's law has, and prompts queue for a warm-up before
// the measured window opens. What is in flight then is requests.initial. Other workloads
// start empty.
//
// # Window
//
// Rates, utilisation, causes, ITL and energy are of one interval, result.Window, and
// whoever its tokens belong to:
//
//	arrivals  an open loop's, from the end of the warm-up to the last measured arrival
//	steady    a closed loop's, from when all clients but 0.5 % have had an answer until it
//	          has lasted ten mean lives (E2E and think time) and the asked number of
//	          requests has ended; its measured requests are those that end in it
//	all       from the first admission to the last completion: of traces, of requests that
//	          arrive all at once, where workload.window asks for it, and of an open loop
//	          whose queue grows with its arrivals or that has all of these before first
//	          tokens come
//
// A queue grows when at the last arrival more than 2 % of the arrivals (and twice the root
// of their number, by chance) wait that did not at the start. Such a rate is not sustained.
//
// # Every run ends
//
// Arrivals beyond what is measured go on so that the system stays loaded, but for those
// that would make the queue longer than twice what it was at the last measured arrival and
// a thousand more: these wait outside. A run that reaches limits.simulated (a year) or
// limits.events (10^10) is partial and says why; so is one in which nothing can happen.
package sim
