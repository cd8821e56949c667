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
// # How layouts change it
//
//   - Tensor parallelism cuts projections as their shard says and sums twice a layer.
//     With data-parallel attention over experts the second sum is a gather of the
//     rows that each TP rank dispatched.
//   - Expert parallelism: the group's tokens fall on T·k/EP pairs a rank and
//     El·(1 − (1 − k/E)^T) experts; the heaviest rank's expected surplus is imbalance.
//     With EP 1, where every rank has a slice of each expert, and with the exchange
//     `gather`, data-parallel ranks gather all rows before the experts and scatter the
//     sums after them.
//   - Context parallelism (prefill instances): the ranks of a group share every prompt's
//     chunk of T tokens. Each has T/CP rows of all that runs over rows, in 2·CP blocks of
//     which rank r has the r-th from either end, and with them 1/CP of the pairs of query
//     and key: exactly in full attention, within one block's where a window or the start
//     of a prompt truncates (the mean is taken). In every layer the chunk's cache entries
//     and index keys are gathered by all, bytes as the cache stores them, and neighbours
//     hand over what reaches across the ends of their blocks: the window before a block and
//     the rows that a compressor has pending (DeepSeek-V4's report, arXiv 2606.19348 §3.5.3;
//     hicann/cann-recipes-infer). After the last layer the rows are gathered to put the
//     prompt back in order. Every rank thereby holds the whole cache of its sequences, as
//     in SGLang (docs, advanced_features/prefill_cp; sgl-project/sglang#12065, #27928) and
//     vllm-ascend (context_parallel.md, MRV2 PCP); MLA in MHA form projects all that is
//     gathered up to keys and values on every rank. Experts are spread over TP × CP × DP.
//     SGLang and vllm-ascend gather before they quantise, and SGLang's interleaved cut
//     gathers V4's entries before it compresses them: more bytes than are counted here.
//   - Pipeline stages: a step is the steady cycle in which PP micro-batches pass all
//     stages, which is every layer at 1/PP of the rows, and PP − 1 boundary sends.
//     What the fullest stage has beyond the mean one is imbalance.
//   - Two-batch overlap runs every kernel twice at half the rows, and hides the
//     engine's fraction of the shorter of layers and communication; with two streams
//     half as large a fraction of the launch floors too. Wave overlap is one kernel
//     for dispatch, experts and combine.
//   - MTP: a verify step has 1 + drafts rows a sequence; each draft is a pass of the
//     draft module and the head at one row a sequence. Gathers of chosen entries are
//     1 + drafts sets, other cache is read once.
//
// # What an engine adds
//
// A profile (engines/) has choices that the engine's documentation or recipes state
// (budgets, memory, launches, overlap, libraries), each with its source, and eight
// numbers under `fitted:`:
//
//	host_step_us       exposed host time of every step
//	host_sequence_us   the same, times the sequences and prompts of the busiest rank
//	draft_sequence_us  besides, of a step that drafts, times the sequences that it verifies
//	eager_kernel_us    a step outside CUDA graphs takes at least this times its kernels
//	prefill_factor     on layers' time, by the share of prompt rows in a step
//	ttft_ms            front end, once a request
//	handover_ms        the two servers' software before a cache moves, once a request
//	overlap_fraction   of the shorter of layers and communication, hidden by two batches
//
// Times and prefill_factor are fitted to published serving, ttft_ms and handover_ms by
// whole runs (sim, route). overlap_fraction is no fit: it is read off published
// ablations and large-EP deployments, some of them among the cases that validate
// ships. The profile says which of its numbers are assumed. Ideal has none of these
// costs.
//
// A file's name ends in the first version that it stands for: vllm-0.16. Without a
// version a name means the newest. Patches are laid over the whole of a profile, what
// it has from its base included: factors multiply what the base says too.
//
// # What is refused
//
// Nothing has a default price. New refuses a design that forms.go names no law for, an
// attention with parts that its law has no terms for (index keys under a dense kernel), a
// stored format that no kernel multiplies, and a class of operators that the chip and its
// ancestors have no constants for. It needs the classes that the configuration uses and
// no other.
//
// A block that a law prices as one (MLA, DSA, CSA, HCA) is held against the chip's peaks as
// a block, by the work that is computed apart from the law: when a stepper is made, at few
// and many sequences and contexts, and in every step. Bytes count as far as the law does
// not let caches serve them. In Explain the times of such a block's parts are
// apportioned, and marked so.
//
// # Memory
//
// A rank has what the driver gives to programs of the chip's memory (memory.usable of the
// chip). Of it go, in this order: the process's context and the communicators; weights as
// kernels keep them (MXFP4 experts widened to their tiles, latent attention's absorbed
// copy, scales, biases); the peak of activations over what lives throughout, of the largest step that the
// engine may take or of sampling its most sequences; captured graphs; what kernels allocate
// for themselves. The rest is the cache's or is left alone, as the engine defines its
// fraction (Memory.share): vLLM's of the card, SGLang's of what is free before it loads,
// TensorRT-LLM's of what is free after. Each constant stands in the engine's file under
// memory:, with the log or the line of source that it comes from.
//
// What a sequence takes follows the engine's pool. vLLM puts layers that keep different
// things into groups of one block size, each with a table of blocks of its own, so that a block is
// as large as the largest group needs (pool.go, groups.go); SGLang gives windows a pool in
// proportion to that of full layers; others keep each layer's own. Admission, pre-emption and
// the tokens that a pool holds are in these bytes; Memory.ExactBytes and the model's own
// figures stay beside them. Memory.Concurrency counts a request as the engine does at
// start-up: vLLM with the windows of a whole step in flight for each.
//
// Start-up logs hold this (sim/plant, TestStartupLogs): vLLM's of dense, MoE, hybrid
// linear and compressed models on Ampere, Hopper and Blackwell, SGLang's of an MoE model and
// of latent attention, TensorRT-LLM's of one. No log stands behind AMD, Ascend, TPU, B300 and
// GB300, SGLang's pool of linear states (its mamba_full_memory_ratio is not modelled),
// TensorRT-LLM's pools of windows, FP4 caches, or pipeline stages.
//
// # Files
//
// layout.go and validate.go: what is asked for. engine.go, profile.go and engines/:
// serving engines. precision.go: formats a chip has. forms.go: which law prices what.
// kind.go, shard.go: the model as a rank sees it. blocks.go: blocks against the peaks.
// price.go: the step; attention.go, stack.go, context.go, comm.go, skew.go, work.go:
// its parts. memory.go, workspace.go, weights.go: HBM; cachebytes.go, pool.go, groups.go:
// its cache; overheads.go: what an engine keeps. explain.go, account.go: what a step is made of.
//
// # Units
//
// Seconds in float64 inside, rounded once to integer nanoseconds at the end: the
// running sum of the causes is rounded and its differences taken (cumulative
// rounding), so that the causes add up to the step exactly.
//
// # Not modelled
//
// Context parallelism of instances that decode, or of layers whose state passes from
// token to token (refused), caches that its ranks divide (vLLM's decode context
// parallelism, SGLang's layer split), attention and experts on separate chips, and the
// sequence-parallel form of tensor parallelism (reduce-scatter, all-gather in
// place of an all-reduce; the bytes are the same).
package cost
