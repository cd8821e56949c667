package traces

// mooncakeFormat is that of the traces of Mooncake (Qin et al., FAST'25;
// kvcache-ai/Mooncake, FAST25-release/traces). Its ids are remapped hashes of 512
// tokens and all before them; the last block of a prompt may be partly filled.
var mooncakeFormat = jsonFormat{
	fields: [jsonColumns]jsonField{
		colArrival: {"timestamp", true}, colInput: {"input_length", true}, colOutput: {"output_length", true},
		colPrefix: {"hash_ids", false},
	},
	places: 6, // milliseconds
	block:  512,
}

func sniffMooncake(head []byte) bool { return hasKeys(head, "timestamp", "input_length") }

func openMooncake(in *input) (rows, error) {
	return &jsonRows{in: in, format: &mooncakeFormat, block: mooncakeFormat.block}, nil
}
