package traces

import (
	"fmt"
	"regexp"
)

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

// fractional is a time stamp that is not whole. Mooncake's are whole milliseconds; other
// traces with its keys count seconds.
var fractional = regexp.MustCompile(`"timestamp"\s*:\s*[0-9]+\.0*[1-9]`)

func openMooncake(in *input) (rows, error) {
	head, _ := in.r.Peek(headBytes)
	if in.sniffed && in.opts.Warn != nil && fractional.Match(head) {
		in.opts.Warn(fmt.Sprintf("%s: timestamps have decimals and are read as milliseconds, as Mooncake's are; where they are seconds: --trace-format bailian", in.name))
	}
	return &jsonRows{in: in, format: &mooncakeFormat, block: mooncakeFormat.block}, nil
}
