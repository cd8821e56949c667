// Package metrics turns what happens in a run into the figures that a result
// reports. The engine calls a Recorder; nothing here knows a clock of its own, a
// queue or a file.
//
// Definitions, per request, all from its arrival at the router:
//
//	TTFT  first token − arrival
//	TPOT  (last token − first token) / (output tokens − 1); none for one token
//	E2E   last token − arrival
//	ITL   gap between two output events of one sequence; with drafts several
//	      tokens may share one event. Every event of the window counts once.
//
// A request meets its SLO when it is within every limit that is given (package slo); a
// rejected one does not. Goodput is the share that does. Limits are bounds of the live
// histograms: that of a TTFT which grows with the prompt at its least.
//
// Percentiles of TTFT, TPOT and E2E interpolate linearly between closest ranks at
// position (n−1)·p, as numpy.percentile and so the benchmark clients of vLLM and
// SGLang do. They are exact up to four million requests and within 0.1 % beyond
// (DDSketch, Masson, Rim, Lee 2019). ITL is kept in bins at most 0.1 % wide.
//
// Throughput, the ledger of causes and ITL are taken over one measured window,
// whoever the tokens belong to: a window starts open at time 0, OpenWindow moves
// its start and forgets what was before, CloseWindow ends it. What is live for a
// scraper (Fill) runs from the start of the run and is never forgotten.
//
// Not modelled: the clients' network, tokenisation at the client, and wall-clock
// time, which belongs to stderr and to the scrape endpoint.
package metrics
