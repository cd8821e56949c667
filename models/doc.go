// Package models says what a language model costs in parameters, bytes and
// FLOPs, as exact integers, and nothing about chips or time.
//
// # From file to figures
//
//  1. A YAML file (document, schema.go) names kinds of attention and of
//     feed-forward block with their sizes, and lists the layers as
//     "attention/ffn" patterns. Load writes such a document from a Hugging
//     Face config.json; every shipped file is one of those, with its sources.
//  2. The table of designs (attention.go) turns each kind into data: projections
//     (Linear), cache entries (Piece) and fixed state. One file a design.
//  3. Everything counted comes from that data by one machinery (count.go,
//     params.go, sums.go). No figure has a formula for one model.
//  4. Compress and WithFormats change the document, never a figure, and build again.
//
// # A layer
//
// For one sequence with L tokens in context, the one being decoded included,
// 1 multiply-add = 2 FLOP, bytes plain, ⌊⌋ exact:
//
//	entries read of a piece   min(⌊L/stride⌋, break/stride)
//	entries held              the same with the break of what is stored
//	decode FLOPs              2·(weights multiplied) + Σ entries·FLOPs an entry + state
//	prefill of n after p      Σ_{i=p+1..p+n} of what a decode at L = i reads, in prefill's form
//
// Σ min(⌊i/m⌋, k) has a closed form (pairsUpTo) in big integers: a prefill of a
// million tokens of DeepSeek-V3 in the absorbed form exceeds int64. In the form
// that decode runs, a prefill costs exactly the sum of its decodes. Breaks are
// the few distinct truncations of context that a model's pieces have; the engine
// adds up min(L, break)/stride, which is less than one entry a piece away.
//
// Parameters are the main model's with embedding and head. Active ones are what
// one token multiplies with or is scaled by: chosen and shared experts, head,
// no embedding. Checkpoint bytes have scales, token-to-expert tables and draft
// layers too. Golden integers for DeepSeek-V3, V3.2 and V4 are in testdata;
// published totals are in each file, compared by test.
//
// # Adding
//
// A model is one YAML file. A design is one file and one line in the table of
// attention.go; the conformance test draws its parameters at random. Its price is
// sim/cost's to know: formOf there names the law of every design, its test wants one
// for each entry of the table, and a model with a design that has none, or with parts
// that its law has no terms for, is refused there by name. A Hugging
// Face architecture is a line of hfFamilies.
//
// # Not modelled
//
// Vision towers; draft models that are not part of the checkpoint (EAGLE,
// DSpark); the dense path that engines take in DSA layers below top-k tokens;
// pooling, RoPE, norms and softmax as FLOPs (they are small kernels here);
// scores written for top-k; page padding of a serving engine's cache; sharing of
// compressed entries between layers (DeepSeek-V4.1), block-sparse attention
// (MiniMax-M3).
package models
