package traces

// bailianFormat is that of Alibaba's Bailian traces
// (alibaba-edu/qwen-bailian-usagetraces-anon, qwen_traceA_blksz_16.jsonl and others): the
// keys of Mooncake's, but seconds and ids of 16 tokens. chat_id, parent_chat_id, type and
// turn are not read: ids of prefixes say what turns share.
var bailianFormat = jsonFormat{
	fields: [jsonColumns]jsonField{
		colArrival: {"timestamp", true}, colInput: {"input_length", true}, colOutput: {"output_length", true},
		colPrefix: {"hash_ids", false},
	},
	places: 9, // seconds
	block:  16,
}

// sniffBailian goes by keys that Mooncake's traces do not have; it is asked first.
func sniffBailian(head []byte) bool {
	return hasKeys(head, "timestamp", "input_length", "chat_id") || hasKeys(head, "timestamp", "input_length", "parent_chat_id")
}

func openBailian(in *input) (rows, error) {
	return &jsonRows{in: in, format: &bailianFormat, block: bailianFormat.block}, nil
}
