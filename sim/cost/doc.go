// Package cost is the time of one step of a serving instance: model × layout ×
// topology → nanoseconds, split by cause. It has no clock and no queue; the same
// inputs give the same step in every process.
//
// # What a step is
//
// A step runs every layer once for what each attention rank holds (Load), then
// the LM head, the sampler and, with MTP, the drafts. Three kinds of time add up:
//
//   - attention, which depends on the contexts of one rank's sequences. It is
//     evaluated for every rank; the slowest one governs, and what it takes beyond
//     the mean rank is imbalance.
//   - everything that depends on token counts alone (projections, experts, head,
//     communication, launches, host). Ranks pad to the longest of them, as CUDA
//     graphs under data-parallel attention do, so one count serves all. These are
//     kept in small direct-mapped tables.
//   - what overlap hides, which is taken off and reported apart.
//
// The time of a single operator comes from package law, that of a collective
// from topologies; this package knows only how they are put together.
//
// # Units
//
// Seconds in float64 inside, rounded once to integer nanoseconds at the end: the
// running sum of the causes is rounded and its differences taken (cumulative
// rounding), so that the causes add up to the step exactly.
//
// # Not modelled
//
// Context parallelism, attention and experts on separate chips, and the
// sequence-parallel form of tensor parallelism (reduce-scatter, all-gather in
// place of an all-reduce; the bytes are the same).
package cost
