// Package kv keeps account of the key-value blocks that one attention rank group
// holds for reuse.
//
// # What is modelled
//
// Prefix caching as serving engines do it: the KV of a prompt is cut into blocks of
// a fixed number of tokens, and a block is worth reusing only behind the very
// blocks that preceded it when it was computed. The cache is therefore a tree whose
// edges are block ids; a prompt matches the longest path from the root. Ids may be
// chained (an id stands for all tokens up to its block, as in the Mooncake traces,
// arXiv:2407.00079) or stand for a block's own tokens: the place in the tree
// tells equal ids with different pasts apart.
//
// Blocks stand in one list by their last use. A use touches the whole path from the
// deepest block up to the root, so a block always stands before its parent, and
// evicting from the front of the list takes leaves only: what is left is always
// reachable. The order is that of vLLM's block pool (freed blocks are queued tail of
// the prompt first).
//
// Running requests do not hold the blocks that they reuse: the engine charges each for its
// whole context, lets the cache have what requests leave free, and evicts when they need
// it. The cache can count holders, whose blocks then stay out of the list (acquire,
// release); that is for running requests that share the memory of a prefix, and nothing
// outside this package does so yet.
//
// Each operation costs O(blocks named). A block takes a node of 24 bytes and 6 to 12
// bytes of hash table, reused after eviction.
//
// # What is not modelled
//
// Bytes: a block's size follows from the model's formats, which the caller knows.
// The growth of running sequences, which the engine keeps as sums. Which page of HBM
// a block lies in, hash collisions, and partly filled blocks: the last, partial block
// of a prompt has an id in some traces, and Saved leaves it out.
package kv
