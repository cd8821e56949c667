// Package serve is one serving engine: continuous batching with chunked prefill,
// a KV cache on every attention rank, pre-emption when a rank runs out.
//
// An Instance's ranks step together. In each step a rank decodes every running
// sequence once (one verify step with MTP) and, with what is left of its budget of
// rows, processes chunks of the prompts in its queue, first come first served. A
// prompt is admitted when its whole cache fits beside what is held, less a
// watermark; when growing sequences overrun the cache, the one that joined last
// gives up its place and is prefilled again with what it has generated.
//
// That is how vLLM does it. Engines differ in what they do with prompts, and a Spec
// says so: run them in steps of their own while decoding stands still (PrefillFirst,
// SGLang), take none that does not fit whole (WholePrompts, TensorRT-LLM), hold them
// back until more have come or every rank has one (wait.go), look for new requests
// only every so many steps (PollSteps).
//
// # The change-driven step
//
// A step costs O(ranks + what changes). Per rank the instance keeps, for every
// break b of the model's costs, Σ min(L, b) over the running sequences and by how
// much that sum grows a step. Both change only when a sequence joins, ends, is
// pre-empted or crosses a break, and the step in which it will end or cross is
// known when it joins: a ring of buckets, indexed by step, holds these events.
// Contexts are fixed-point integers, so sums do not depend on the order of events.
//
// # Definitions
//
// The first token comes out of the prefill; the other Output−1 take one decode
// step each, or fewer with MTP: their number is drawn when the request arrives.
// In decode step k of a sequence its context is its prompt plus k times its
// growth a step. A step that processes any prompt token is booked as prefill.
//
// A rank may be several of the system: tensor-parallel ones, pipeline stages, and in a
// prefill instance those that share its prompts (context parallelism). Its budget and its
// queue are theirs together. Each of those that share prompts holds all of the rank's cache,
// so that what the rank can hold, and what it keeps of prompts for later ones, is what one
// of them can; each hands over its share.
//
// Not modelled: pages as such (half a page a sequence is charged instead),
// swapping to host memory, priorities.
package serve
