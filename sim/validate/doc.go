// Package validate compares predictions with published measurements.
//
// # The way of a row
//
//  1. A reader (inferencex.go, silicon.go, splitwise.go, replay.go, cases.go) takes a
//     file whose header it knows and turns each row into a Case: a scenario made of
//     what the row states before the run, and the figures that were measured. What a
//     row does not state but its benchmark's published launch script does is a recipe
//     (package recipe), found by what the row states; what is known of the files
//     themselves, names and rows that say other than was run, is in known.yaml; what is
//     stated nowhere and had to be chosen is in Case.Assumed, and
//     is printed.
//  2. Run predicts everything that differs once, several at a time, and takes the
//     figures from the results; equal input gives equal output whatever the number of
//     workers.
//  3. summary.go counts errors e = predicted/measured − 1 by chip, family of models,
//     model, engine, mode, regime and metric, or by the combination that is asked for;
//     text.go, markdown.go and write.go print.
//
// # Definitions
//
// TTFT, TPOT, ITL and E2E are those of result.Result, over all requests, the first burst
// included, in milliseconds. A figure a chip divides by packages (a 910C has two
// dies): of the pool that the case's phase names, or of all. What sources mean:
//
//	InferenceX        tput_per_gpu: prompt and output tokens a second over all GPUs
//	                  from the first arrival to the last token; output_tput_per_gpu:
//	                  output tokens over the GPUs that decode; medians of TTFT, TPOT
//	aiconfigurator    means of TTFT and TPOT
//	SGLang, DeepSeek  tokens a second of a node, counting the nodes of one phase alone,
//	                  the other unlimited: a steady state, divided by eight
//	CloudMatrix384    the same of a package; the batch is a package's too
//	CANN's guide      TPOT and tokens of a die, offline, a step without scheduler
//	TensorRT-LLM      generated tokens alone, every request queued at once
//	dstack, offline   prompt and output tokens over the time from start to end
//	BLIS              means over an open-loop run
//	Splitwise         one batch: prompt_time its prefill, token_time a step
//	LLMServingSim     every request of a run, from its arrival at the client
//
// A regime is that of the prediction: light is at most 8 requests under way an
// instance on average (of a steady state: sequences or prompts in the step); overload
// is more than a tenth of requests' time spent waiting or pre-empted; knee is what
// lies between. Nothing measured decides on it, so a row keeps its regime when the
// measurement is wrong. A mode is disaggregated also where one phase stands alone.
//
// Closed loops are simulated whole, 10 requests a client, everyone at once, as the
// benchmark sends them: their workloads have window: all, those of a list of cases too
// where it names none. Nothing is cut short: the first burst and the last wave are part of
// the means and of the throughput that was measured.
//
// # Steady states
//
// A figure of one phase with the other unlimited (steady.go) is one step, priced: every
// rank decodes so many sequences of so many tokens, or prefills so many prompts.
// Arrivals, admission and the growth of contexts are not in it.
//
// # Replays
//
// A folder of a run that logged every request (replay.go) is run with its own arrivals
// and lengths on the deployment that its files state. Beside the usual rows, whole
// distributions are compared (distribution.go): Kolmogorov–Smirnov distance,
// Wasserstein distance over the mean, rank correlation and median error of single
// requests. Prefix hits are not in a log and not in the prediction: 7 to 8 % of the
// prompt tokens of ShareGPT sessions.
//
// # Traps of the files, and what is done
//
//   - Lengths of InferenceX are uniform in [0.8, 1.0] of the nominal; aiconfigurator's
//     rows from its own runs (source_file=local/…) are exact.
//   - What InferenceX's disaggregated rows do not state is in the recipes that ran them:
//     places of a decode rank, prompt tokens of a prefill step, drafts, and whether rows
//     are dispatched to experts or gathered. TensorRT-LLM's have a table of deployments
//     (srt-trtllm-r1.csv), SGLang's go by chip. Where the list's attention DP is not
//     the recipe's, the recipe is taken. TTFT is that of the first
//     token which the decode worker passes on: it contains the wait for a place there.
//   - TP 1 and EP 1 for workers of several GPUs are placeholders of the lists of 2025;
//     workers that the lists' comments name are laid out by them, others are skipped.
//   - InferenceX's declared GPUs are tp·ep where experts are parallel: gpus_best counts,
//     and must agree with the layout. A row whose degrees do not make its GPUs is skipped.
//   - InferenceX's medians are compared with medians, aiconfigurator's means with means.
//   - aiconfigurator's DeepSeek rows do not say whether they ran with MTP: skipped.
//   - aiconfigurator's tp, dp and ep of rows from InferenceX are multiplied into one
//     another: see siliconPool. Its batch_size is divided by a wrong dp;
//     silicon_concurrency is the clients.
//   - An empty precision is the checkpoint's own.
//   - TensorRT-LLM's benchmark chooses batch and chunk by a rule of its own, from
//     memory; the case list has what it yields.
//   - The rows of SGLang's large-EP decode have an ITL of 100 ms: they are not SLO points.
//   - dstack's prefill-decode runs do not ignore EOS: answers have the measured mean.
//   - Splitwise's prompt_time at batch 64 is shorter than at batch 32 on two GPUs, and its
//     token_time does not grow with the answer; its engine had no CUDA graphs. An E2E
//     that is not its own prompt and stated tokens within a tenth is listed, not compared.
//   - Of a log's clocks, the client's and the engine's are apart, and the engine sees a
//     request only between steps: see replayOf.
//   - Doubtful measurements stay in, with a note beside the worst rows. No row is left
//     out for its error.
//
// # MTP
//
// InferenceX's rows say mtp or none; aiconfigurator's do not, and Qwen3.5's on SGLang
// 0.5.9 are told apart by the layouts of the benchmark's two configurations (rows in
// known.yaml). None says how many drafts. The launch script's number is taken, and
// the accepted length that is published for the model or that its recipe assumes.
//
// # Not modelled
//
// Versions of engines: a row's image picks its launch script's choices, but no other
// kernels and no other fitted numbers. ATOM has no profile of its own and runs with its
// chip's usual engine. Where no script is known the memory fraction is the profile's.
//
// # Fitting an engine
//
// Tune (tune.go) moves numbers of a profile's `fitted:` until TPOT and TTFT of its
// cases come nearest: least squares of ln(predicted/measured) with soft-L1 (package
// fit), every deployment with the same weight whatever its number of loads, TTFT with
// half of TPOT's. Deployments are fitted or held out whole, and errors are given for
// both. Throughput is not fitted.
//
// # Adding a case
//
// Write it into a list of cases/, or into a file of one's own that is given to
// `clustersim validate`:
//
//	version: 1
//	cases:
//	  - id: h800-decode
//	    source: "where it is published, with the table"
//	    engine: deepseek       # what tables call it, when not by its profile
//	    scenario: {model: v3, topology: "hgx-h800:128", deployment: {decode: {…}}}
//	    phase: decode          # whose chips the per-chip figures count: prefill, decode, all
//	    steady: {sequences: 128, context: 4096}   # one step in place of a workload
//	    measure: {output_tokens_per_s_per_chip: 2325}
//	    assumed: [what the row does not state and the scenario has]
//	    note: what is doubtful about the measurement
//	  - id: loads
//	    source: "…"
//	    scenario: {…, workload: {concurrency: 1}, …}
//	    inferencex: {framework: sglang, precision: fp8, spec: none, isl: 8192, osl: 1024}
//	    points:                # one case each: id loads/c4
//	      - {id: c4, set: {workload.concurrency: "4"}, measure: {tpot_ms_p50: 18.4}}
//	skipped:
//	  - {id: a-row, why: what it does not state}
//
// The scenario is complete: nothing is planned. With inferencex the workload and the
// launch script's choices are that benchmark's, of the recipe that it names (recipe:) or of
// the one that is found. A scenario holds only what is known
// before the run; a figure that was measured never decides on it. Who has to choose
// something takes a documented default and says so under assumed; where a choice
// decides the figure, the row belongs under skipped. A row is never left out for its
// error.
//
// Adding a file format takes one reader and one line in formats; adding a metric one
// line in figures.
package validate
