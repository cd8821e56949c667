// Package validate compares predictions with published measurements.
//
// # The way of a row
//
//  1. A reader (inferencex.go, silicon.go, cases.go) takes a file whose header it
//     knows and turns each row into a Case: a scenario made of what the row states
//     before the run, and the figures that were measured. What a row does not state
//     but its benchmark's published launch script does is in recipe.go.
//  2. Run simulates every distinct scenario once, several at a time, and takes the
//     figures from the results; equal input gives equal output whatever the number of
//     workers.
//  3. summary.go counts errors e = predicted/measured − 1 by hardware, model, engine,
//     metric and regime; write.go prints.
//
// # Definitions
//
// TTFT, TPOT, ITL and E2E are those of sim.Result, over all requests, the first burst
// included. tput_per_gpu is prompt and output tokens a second over all GPUs from the
// first arrival to the last token; output_tput_per_gpu output tokens over the GPUs that
// decode. Latencies are in milliseconds. Regimes come from the prediction: light is at
// most 8 requests under way an instance; overload is more than a tenth of requests'
// time spent waiting or pre-empted; knee is what lies between.
//
// Closed loops are simulated whole: 10 requests a client, everyone at once, as the
// benchmark sends them. Nothing is cut short: the first burst and the last wave are
// part of the means and of the throughput that was measured.
//
// # Traps of the files, and what is done
//
//   - Lengths of InferenceX are uniform in [0.8, 1.0] of the nominal; aiconfigurator's
//     rows from its own runs (source_file=local/…) are exact.
//   - InferenceX's declared GPUs are tp·ep where experts are parallel: gpus_best counts,
//     and must agree with the layout. A row whose degrees do not make its GPUs is skipped.
//   - InferenceX's medians are compared with medians, aiconfigurator's means with means.
//   - aiconfigurator's DeepSeek rows do not say whether they ran with MTP: skipped.
//   - aiconfigurator's tp, dp and ep of rows from InferenceX are multiplied into one
//     another: see siliconPool. Its batch_size is divided by a wrong dp;
//     silicon_concurrency is the clients.
//   - An empty precision is the checkpoint's own.
//   - Doubtful measurements stay in, with a note beside the worst rows. No row is left
//     out for its error.
//
// # MTP
//
// InferenceX's rows say mtp or none; aiconfigurator's do not, and Qwen3.5's on SGLang
// 0.5.9 are told apart by the layouts of the benchmark's two configurations (spec in
// silicon.go). None says how many drafts. The launch script's number is taken, and
// the accepted length that is published for the model; see acceptedLengths.
//
// # Not modelled
//
// Versions of engines: a row's image picks no other kernels. ATOM has no profile of its
// own and runs with its chip's usual engine. Memory fractions are the engine profile's,
// not the launch script's.
//
// # Adding a case
//
// Write it into a YAML list and give that to `clustersim validate`:
//
//	version: 1
//	cases:
//	  - id: h800-decode
//	    source: "where it is published, with the table"
//	    scenario: {model: v3, topology: "hgx-h800:128", workload: {…}, deployment: {…}}
//	    phase: decode          # whose chips the per-chip figures count: prefill, decode, all
//	    measure: {output_tokens_per_s_per_chip: 2325}
//
// The scenario is complete: nothing is planned. note says what is doubtful about the
// measurement. Adding a file format takes one reader and one line in formats; adding a
// metric one line in figures.
package validate
