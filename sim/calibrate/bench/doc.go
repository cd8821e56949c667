// Package bench writes a Python script that times a model's operators on hardware of
// one's own, in rows that calibrate reads.
//
// What is timed follows from the model and from the layouts that plan considers for
// it: every projection as each rank runs it under tensor parallelism 1 to 16, the
// experts of a rank under expert parallelism 1 to 64, attention in prefill and decode
// with a rank's heads, the pieces of sparse attention (gather, scores, top-k), the
// gated delta rule's update, hyper-connections and the small operators between. Equal
// shapes of different layouts are one. A grid of tokens and contexts goes with each.
//
// Families, precisions and points have levels that add up: level 0 is a coarse grid
// over everything, by itself enough for a fit, and each later level refines it, so
// that a run that is cut short is still fittable; what comes after Last is left out.
//
// Not timed: communication, sliding windows in prefill, channel-wise gated delta and
// lightning attention (no stock PyTorch operator runs them), prefill of the gated delta
// rule, projections narrower than 128, and anything that only a serving engine's own
// kernels can do, such as attention on an FP8 cache.
package bench
