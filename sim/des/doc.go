// Package des is the event core: integer time, the tournament that says which
// entity acts next, and named random streams. It knows nothing of what is
// simulated, and everybody may use it.
//
// # Time
//
// Time is in nanoseconds from the start of the run, 63 bits of them (292 years).
// Costs are computed in seconds as floats and rounded to a Time once; from there on
// sums are exact, so that the parts of a latency add up to it.
//
// # Order
//
// Every entity has one next event, kept in a Winner. Events at the same moment come
// in the order of the entities' numbers, so who owns the lower numbers is part of
// the model: completions come before arrivals, for example. An entity that has
// several events pending keeps their order itself.
//
// # Randomness
//
// Nothing draws from a shared generator. An actor has a Stream of its own, named for
// its purpose; what belongs to a numbered thing, a request, is a function of the
// purpose's Key and the number (Uniform). Adding a draw somewhere shifts no other.
// The generators are PCG-DXSM (math/rand/v2) seeded by SHA-256, and SplitMix64.
//
// # What is not here
//
// Event objects, handlers, goroutines and cancellation lists: an event is a moment in
// the Winner and a direct call by whoever runs the loop.
package des
