// Package policy holds the routers: a policy picks the rank of a pool that a request
// goes to. One file a policy, one line in the table below the types.
//
// # What a router knows
//
// The request: its number, its session, its prompt. The pool: a View, which shows the
// load of every rank at the moment of the pick and how much of the prompt a rank has
// cached. Looking changes nothing. The load is prompt tokens waiting and in work on a
// prefill rank, and requests elsewhere. What a router wants to remember beyond that, such
// as where a session has been, is its own: Policy.New makes a router for one pool of one run.
//
// # Rules
//
// A pick depends on the view, the request, the seed and earlier picks alone, and allocates
// nothing. A request that is sent to a decode rank without room asks again at the next event,
// one turn on, so a pick may be asked for many times: what a policy remembers must not count
// how often it was asked.
//
// A pool that decodes has no prompt to compute, so a cached prefix saves nothing there:
// policies that go by caches or sessions are least-loaded in it.
//
// # Not modelled
//
// The time that a router takes, and that what it knows is old: loads and caches are those of
// the moment, as a router has them that sees every event. A waiting prompt counts whole as
// load until it is admitted, whatever of it is cached.
package policy
