// Package topologies holds chips, the systems they are joined to, and what moving
// bytes between them costs. It knows no models: cost puts the two together.
//
// Three kinds of YAML file, each with its source, its confidence and a list of
// the values that nobody published:
//
//	chips/*.yaml      a package: peaks by precision (dense), memory, dies, what its
//	                  software is, and the constants of its operator laws, or the ancestor
//	                  it takes them from, with transfer factors where its efficiencies do
//	                  not carry over
//	*.yaml            a system: tiers of links, innermost first, each with size, shape,
//	                  bandwidth a chip (one way), oversubscription and delay budget τ
//	libraries/*.yaml  a communication library: the constants of its laws
//
// A user's folder with the same layout goes before the shipped files, and a path
// works wherever a name does. A Source reads them, and lays patches over what it reads.
//
// # What a chip's file says of its software
//
//	core: sm | other   what one of its cores is. Laws with costs per thread block count SMs as
//	                   listed; of other cores a chip has as many SMs as its BF16 peak is worth.
//	                   Wanted wherever cores are given
//	engine: NAME       the profile that serves where none is asked for
//	libraries:         the communication libraries by kind of innermost tier (node; rack, nvlink
//	                   over more than 16 chips, where it differs; bus, pcie): all_reduce,
//	                   collective, dispatch, prefill_dispatch, transfer and, where there is
//	                   one, fused
//	arithmetic:        integers: INT8 is multiplied, not a way to store only. mxfp8: blocks of FP8
//	                   weights run in MXFP8. wide_index_keys: FP4 index keys are kept in FP8
//
// A file that leaves engine, libraries or arithmetic out takes its ancestor's, and its
// assumptions say so; without an ancestor, whoever needs them is told what to write.
// The vendor's name decides nothing. A field added to Silicon (chip.go) is a key of the
// file and is shown by `chip show`; a law reads it in sim/cost/law.
//
// # Shapes and links
//
// A tier's shape is an entry of the table in shape.go: the way between two members, the
// worst and mean delay, the cut and how a group meets. One that lacks any of them, or
// that no entry names, is refused when the file is read; so is a fabric that is not
// in the list of software.go (nvlink, xgmi, ub, hccs, ici, pcie, infiniband, roce, ethernet).
//
// # Sizes
//
// name:N is the system with N chips. A file with a unit grows by it; any system can be cut
// to whole domains of the tier below the first that holds N chips, or to a part of an
// innermost one: any number behind a switch, some of one row or whole rows of a mesh, which
// keep the lanes between them alone, and of tori of tori whole members, whose rings close.
// See part.go.
//
// # Delay
//
// One traversal of a tier takes a small message, one way,
//
//	τ_path = endpoint + software + Σ_hops (switch + SerDes + FEC + optics + metres·4.9 ns)
//
// In a mesh or a torus the hop is the link to a neighbour, crossed as often as
// the way is long. WithTau replaces parts of it. Totals: NVLink 0.4 µs (assumed
// between 0.25 and 0.6), InfiniBand 2.7 µs (NCCL tuning.cc), UB 0.6 and 0.95 µs
// (half of CloudMatrix384's 512 B reads, arXiv:2506.12708v2), Atlas 950 1.05 µs
// (half of 2.1 µs, Huawei Connect 2025). How a total falls into parts is an
// apportionment, and the files say so.
//
// # Groups
//
// A collective runs over ranks of contiguous placement, or with a stride between
// members; a rank is a die of a chip of several (910C), else a chip. A group
// spreads evenly over the fewest domains that hold it, so that with N domains the
// share (N−1)/N of all-to-all bytes leaves a domain. Bytes are split by the tier
// at which two ranks first meet. Tiers have links of their own and work at once
// (NVLink and InfiniBand), or share the chip's ports (CloudMatrix384's UB plane),
// which then carry the sum.
//
// What a rank can send in an all-to-all of n members, the least over dimensions:
//
//	switch, fat tree   bandwidth / oversubscription
//	full mesh          lane · c/(1−1/e) · (1−1/n), c direct lanes, with detours those of half the outsiders
//	torus              8·link/e · (1−1/n), half of that on a line whose ends are not joined
//
// # Prices
//
// Every operation gives a Comm: latency α, the share of it that τ causes, and
// the time of the bytes. α = software + traversals·τ_path of the tier crossed,
// where software is the fitted α less the traversals of the fabric it was fitted
// on, never below 0. So another topology, and another τ, moves α on every fabric.
//
//	NCCL ring          (A^q + B^q)^(1/q), A = a + h·steps, B = wire/(e·bw) + local/(C·bw), q ≈ 0.6; 1 traversal a step
//	NCCL over nodes    min over protocols and ring or tree of a + steps inside·h + steps between·h' + wire/(e·line)
//	custom all-reduce  min(one-shot, two-shot); 1 and 2 traversals
//	dispatch, combine  α + max over tiers of bytes·(1 + g·log₂(EP/8))/(e·bw); 1 traversal, 2 more for two-sided's prepare
//	DeepEP normal      a + T·c/SMs + max(copies/(SMs·r), bytes/(e·bw))
//	KV transfer        a + bytes/(e·bw); read 2 traversals, write 1
//
// Constants are fits to ai-dynamo/aiconfigurator@095f58a, deepseek-ai/DeepEP,
// CloudMatrix384 and HIXL tables; each library's file has the source and the
// residual, and the tests hold prices to the tables. Typical error, median and
// 90th percentile: NCCL 5 and 17 %, over nodes 7 and 26, custom all-reduce 4.5 and
// 13, DeepEP low latency 2 to 5 and 10, TensorRT-LLM 2 to 3 and 7 to 10, CANN within
// 4.4 at the one token count that is published.
//
// # Beyond what was timed
//
// Dispatch and combine were timed to EP256 (DeepEP on H800, CANN), all-reduce to 16
// ranks and one point at 256. At EP320 and beyond three things grow: with ranks, α by
// the logarithm of the domains (4.1 and 1.3 µs a doubling for DeepEP, which met EP256
// blind within 12 %) and, on single-hop fabrics, the time of the bytes by 1 to 6 % a
// doubling of EP, up to 384; with hops, the traversals of τ, one each way, so that 1 µs
// more of τ is 1 µs of some 150. The bytes of a rank do not grow: each token still goes
// to k experts, of which (n−1)/n are elsewhere. Linear growth in peers is ruled out (it
// misses CANN's EP256 by 43 %). What decides at EP320 is therefore the share of line
// rate and how a fabric's links are split between tiers, not τ; on CloudMatrix384 the
// laws give 155 µs for 128 tokens where EP256 was timed at 152. An EP degree above the
// expert slots is refused.
//
// What is not modelled: contention between groups (sim/net has flows that share
// links), stragglers and routing skew (cost has imbalance), in-network reduction
// beyond NVLS on Hopper, failures, adaptive routing beyond a mesh's detours.
// Collectives of more than eight ranks in one domain, of AMD between nodes, and
// every collective of Ascend 950, TPU and Rubin stand on no timing: libraries say
// so in their Assumptions.
package topologies
