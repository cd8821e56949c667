// Package law gives the time of one operator on one chip, split by cause.
//
// One skeleton serves every class of operator:
//
//	t = t_floor + pnorm_p(F/(P·ec), B/(W·em)) + Σ extra traffic/(W·e) + serial terms
//
// F are FLOPs, P the peak of the precision, B the weight or KV bytes that must cross
// HBM, W its bandwidth; ec, em and e are fractions. p is 2 where compute and memory
// overlap in part, nearer 1 for 8- and 4-bit GEMMs, where they hardly do. What makes
// a class differ is the physics around that core, given at each function: K latency
// and activation quantisation of a GEMM, the traffic of all token-expert pairs in
// MoE, exponentials and thread blocks in attention prefill, gathered entries, scores
// and one-block-per-row top-k in sparse attention, the projections inside whole
// attention blocks. Four to eleven constants a class, chip and precision predict
// measured kernels with a median error of 3–12 %; finer efficiency curves, wave
// quantisation and grids gain nothing worth having.
//
// # Where it is
//
//	gemm.go moe.go               dense and grouped GEMM; the fused MegaMoE kernel
//	gqa.go mla.go                attention kernels; whole MLA blocks
//	block.go sparse.go           whole blocks of DSA and of DeepSeek-V4's CSA and HCA
//	linear.go elementwise.go     gated delta layers; hyper-connections, small kernels
//	decode.go prefill.go tiles.go  what a caller says about a step
//	set.go constants.go          a rank's peaks, and its constants read from a chip
//	need.go                      which classes a caller uses, and what is missing
//
// A new class is a form with its compiled constants, a compile step in New, its name
// in need.go and a block under operators: in the chips' YAML. A class without
// constants has no price: its times are NaN, and Need refuses to begin.
//
// A new figure of the chip is a field of topologies.Silicon, a line in rankPeaks of
// set.go, and the term that reads it.
//
// # Units and causes
//
// Seconds, bytes, FLOPs (two a multiply-add), per rank: one die of a package.
// A p-norm's time is split between compute and memory by their p-th powers; floors
// are Launch; serial and per-row terms are Compute; weight bytes are Weights; KV,
// index keys and gathered entries are KV; activations, quantisation, scores and
// permutes are Act. Total is the sum of the parts.
//
// No share of compulsory traffic or of arithmetic exceeds 1, so that nothing beats
// the peaks. Fractions of activation, score and gather traffic may: caches serve part
// of it. Costs per thread block are those of an NVIDIA SM (`core: sm` in a chip's
// file); a chip of other cores counts as many SMs as its BF16 peak is worth on H100.
//
// # Sources
//
// Constants live in topologies/chips/*.yaml, each with its source, number of rows,
// median and 90th-percentile error: fits to the kernel tables of
// ai-dynamo/aiconfigurator@095f58a (SGLang 0.5.14 unless their source says otherwise).
// A chip without tables inherits its ancestor's fractions and microseconds with its
// own peaks; Assumptions lists them. Ascend's floors come from decode times in
// cann-recipes-infer@fbc225d, its shares of peak from CloudMatrix384
// (arXiv:2506.12708v2).
//
// # Not modelled
//
// Clock and power limits, contention between kernels that run at the same time, the
// host (but for HostFloor of eager prefills), communication (but for MegaMoE's), load
// imbalance between ranks. Kernel sources other than the tables' differ by up to tens
// of percent: FP8 block GEMM on Blackwell and MXFP4 on Hopper most. The selection
// kernels of CSA are those of one SGLang version, so the caller says when they run.
// Top-k and logits beyond 262,144 keys a batch (DSA) or a million tokens (V4) are
// extrapolated. The FP4 indexer of DeepSeek-V4 is not measured anywhere.
package law
