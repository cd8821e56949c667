// Package traces says which requests arrive when: it reads recorded traces,
// generates workloads, and measures both. It knows nothing of models, chips or
// serving.
//
// A [Source] streams requests in order of arrival; memory does not grow with the
// trace. It comes from one of two places:
//
//  1. [Open] reads a recorded trace. zstd and gzip are recognised by their first
//     bytes, the format by its own (the table is [Formats]); "-" is standard
//     input and "sample" the small generated trace that ships in the binary.
//  2. [Generate] draws one from a [Workload]: lengths from a [Dist], gaps from
//     [Arrivals], shared prefixes from [Sessions].
//
// A [ClosedLoop] has no arrivals of its own: whoever drives it asks for request
// number i when a client becomes free. [Measure] is one pass over any Source.
//
// # Formats
//
//	azure      CSV: TIMESTAMP (UTC wall clock), ContextTokens, GeneratedTokens.
//	           Azure/AzurePublicDataset. Time zero is the first row.
//	vidur      CSV: arrived_at (seconds), num_prefill_tokens, num_decode_tokens, others
//	           ignored. microsoft/vidur, data/processed_traces.
//	bailian    JSON lines: timestamp (seconds), input_length, output_length, hash_ids
//	           (one id for each 16 tokens). alibaba-edu/qwen-bailian-usagetraces-anon;
//	           told from mooncake by parent_chat_id.
//	mooncake   JSON lines: timestamp (ms), input_length, output_length, hash_ids
//	           (one id for each 512 tokens of the prompt, the last may be partly
//	           filled). kvcache-ai/Mooncake, FAST'25.
//	requests   JSON lines: arrival_time_ns, input_toks, output_toks, hash_ids (one
//	           id for each full 16 tokens of the prompt). Request lists in the
//	           manner of LLMServingSim's ShareGPT workloads.
//	servegen   tar of client statistics (alibaba/ServeGen, arXiv 2505.09999):
//	           chunk-N-trace.csv and chunk-N-dataset.json. Not a request list:
//	           arrivals and lengths are drawn, so it depends on the seed.
//	clustersim JSON lines, our own, below.
//
// Lengths without arrivals (Vidur's other tables) are not a trace and are
// refused. Every fault names file, line, field and limit.
//
// # Our own format
//
// JSON lines in UTF-8. An optional first line is the header; each further line is
// one request; blank lines are skipped; unknown or repeated keys are errors.
//
//	{"clustersim_trace":1,"block_tokens":512}
//	{"arrival_s":0.25,"input_tokens":1500,"output_tokens":200,"session":7,"prefix":[11,12]}
//
//	clustersim_trace  version, 1
//	block_tokens      how many prompt tokens one id of prefix stands for; needed
//	                  when any request has a prefix
//	arrival_s         seconds from the start of the trace, read exactly to the
//	                  nanosecond, never smaller than the line before
//	input_tokens      prompt tokens, 1 to 16,777,216
//	output_tokens     generated tokens, 1 to 16,777,216
//	session           optional number of the conversation
//	prefix            optional ids (unsigned 64 bit) of the leading blocks: the ids
//	                  of two prompts agree up to the block where their text parts
//
// # Ids of prefixes
//
// Ids are chained: equal ids mean equal text from the start of the prompt to the
// end of that block. They are used as recorded. A prompt of n tokens has at most
// ⌈n / BlockTokens⌉ of them, so the last one may stand for a partly filled block,
// as Mooncake's does.
//
// # The sample
//
// sample.jsonl, which "sample" opens, is the output of
//
//	clustersim trace generate --workload chat --rate 4 --requests 300 --seed 1
//
// # What is not modelled
//
// Text: only lengths and ids. Dependence between a request's input and output
// lengths, and between lengths and time, except where ServeGen's windows carry
// it. The turns of a generated session are spaced by arrivals, not by when the
// answer before was finished. ServeGen's split of outputs into reasoning and
// answer (reason_ratio): output lengths hold both.
package traces
