// Package calibrate fits the constants of a chip's operator laws (sim/cost/law) to
// timings of kernels, and says how far predictions are from them.
//
// # Bring your own tables
//
// Two kinds of CSV are read, plain, zstd or gzip; the kind shows in the header:
//
//   - aiconfigurator's kernel tables: columns op_name, kernel_source, latency (ms) and
//     the shape's, one call a row. Every schema of operators is known (GEMM, experts,
//     attention, MLA and DSA and DeepSeek-V4 blocks, gated delta, hyper-connections);
//     those of communication are refused, which are constants of a library.
//   - kernels.csv: id, source, hardware, op, dtype, shape, batch_or_tokens, ctx_or_isl,
//     ranks, latency_us, tflops, gbps, notes. Rows of other hardware are left out. notes
//     names the kernel. op and shape are:
//
// The shapes of kernels.csv, a semicolon between parts (kernelOps is the list):
//
//	gemm gemm_fused              m=;n=;k=                      dtype bfloat16, fp8, fp8_block, nvfp4 …; fused: A arrives quantised
//	moe                          h=;i=;E=;topk=[;tp=][;ep=];D  tokens of the whole group; D balanced, uniform or power_law_α
//	moe_dispatched               the same                      behind an all-to-all: the rank's share of the pairs
//	attention_prefill_causal     h=;kv=;d=[;w=]                batch and prompt length; dtype bfloat16/kv fp8
//	attention_decode             h=;kv=;d=[;w=]                batch and length of the cache
//	mla_prefill_causal           heads=                        the kernel alone
//	mla_decode mla_decode_block  heads=                        the kernel, or the block (dtype: its projections'/kv …)
//	gdn_update gdn_shift gdn_chunks gdn_convolution  kh=;dk=;vh=;dv=[;conv=]  sequences, and tokens of each
//	mhc_pre mhc_post             d=                            tokens; both sites of a layer
//	indexer_logits               [heads=]                      query rows, and keys of each
//	elementwise                  bytes=[;kernels=]
//
// heads, widths and experts are those of the timed rank, after TP; E is the model's.
// A chip of one's own is a YAML file with its peaks and `ancestor:`; where no row of
// the tables decides a constant, the ancestor's stands.
//
// # Which rows are trusted
//
// What cannot be the operator's own time is left out, with the reason and the count in
// the report: another device's rows under the chip's name, GEMMs narrower than a tile,
// EP rows whose routing put all picks on one rank, paths that dequantise a cache first
// or run Triton attention, whole blocks that the host launches kernel by kernel and
// bounds. Repeats of a key count once, with their median. No row is left out for its
// residual. Where a class was timed with several kernels, the fastest on common shapes
// is fitted unless the caller chooses; kernels of experts that differ in traffic have
// variants of their own.
//
// # How a fit is done
//
// Least squares of ln(predicted/measured), soft-L1 beyond 10 %, over the constants
// within bounds, most in the logarithm: package fit, from several starts. law predicts: a
// trial is a chip with the constants in place, so that no formula is written twice.
// Rows are weighted so that 1–16, 17–256, 257–4096 and more rows of input count alike,
// for a decode step lives in the first two. A weak pull towards the constants that the
// chip has (a factor of two costs as much as one row that is off by 10 %) decides only
// what no row does; such constants are named in the report.
//
// # What the residuals mean
//
// The error is predicted/measured − 1; median and 90th percentile are of its absolute
// value over all kept samples, the bias is its median. "Shapes left out" fits every
// other shape (a GEMM's n and k, a model's experts, an attention's heads and batch) and
// predicts the rest, both ways. Tables measured twice differ by about 1 % in the median
// and up to 8 % at the 90th percentile; GEMM at up to 16 rows, where the time is flat,
// varies by 10–27 %, so that its 90th percentile is near the data's own.
//
// # Not modelled
//
// Loads of experts that follow a power law are drawn by the rule that reproduces the
// tables (p(x) ∝ x^-α on [0.1, 1]) and scored apart: no constant is fitted to a draw.
package calibrate
