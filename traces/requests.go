package traces

// requestsFormat is that of request lists in the manner of LLMServingSim's
// ShareGPT workloads (casys-kaist/LLMServingSim), with chained ids of full blocks
// of 16 tokens, vLLM's block size, in place of the tokens themselves.
var requestsFormat = jsonFormat{
	fields: [jsonColumns]jsonField{
		colArrival: {"arrival_time_ns", true}, colInput: {"input_toks", true}, colOutput: {"output_toks", true},
		colPrefix: {"hash_ids", false},
	},
	places: 0,
	block:  16,
}

func sniffRequests(head []byte) bool { return hasKeys(head, "arrival_time_ns", "input_toks") }

func openRequests(in *input) (rows, error) {
	return &jsonRows{in: in, format: &requestsFormat, block: requestsFormat.block}, nil
}
