package traces

import (
	"bufio"
	"errors"
	"io"
	"strconv"

	"github.com/clustersim/clustersim/sim/des"
)

// ownFormat is described in the package comment.
var ownFormat = jsonFormat{
	fields: [jsonColumns]jsonField{
		colArrival: {"arrival_s", true}, colInput: {"input_tokens", true}, colOutput: {"output_tokens", true},
		colPrefix: {"prefix", false}, colSession: {"session", false},
		colVersion: {"clustersim_trace", false}, colBlock: {"block_tokens", false},
	},
	places: 9, // seconds
	strict: true,
}

func sniffOwn(head []byte) bool {
	return hasKeys(head, "clustersim_trace") || hasKeys(head, "arrival_s")
}

func openOwn(in *input) (rows, error) { return &jsonRows{in: in, format: &ownFormat}, nil }

// header takes the first line of our own format.
func (j *jsonRows) header(l *jsonLine) error {
	switch {
	case !l.seen[colVersion]:
		return j.field(colVersion, "is missing beside block_tokens")
	case l.number[colVersion] != 1:
		return j.field(colVersion, "must be 1, the only version there is, got %d", l.number[colVersion])
	case j.lines > 1:
		return j.field(colVersion, "belongs in the first line only")
	case l.seen[colArrival] || l.seen[colInput] || l.seen[colOutput] || l.seen[colSession] || l.seen[colPrefix]:
		return j.field(colVersion, "must stand in a line of its own")
	case l.seen[colBlock] && (l.number[colBlock] < 1 || l.number[colBlock] > MaxTokens):
		return j.field(colBlock, "must be from 1 to %d, got %d", MaxTokens, l.number[colBlock])
	}
	j.block = int(l.number[colBlock])
	return nil
}

// Write writes what is left of a source in our own format and returns how many
// requests that was. tick, if not nil, is called after each.
func Write(out io.Writer, s Source, tick func(Request)) (int64, error) {
	w := bufio.NewWriterSize(out, 1<<16)
	line := []byte(`{"clustersim_trace":1`)
	if s.BlockTokens() > 0 {
		line = strconv.AppendInt(append(line, `,"block_tokens":`...), int64(s.BlockTokens()), 10)
	}
	line = append(line, "}\n"...)
	for n := int64(0); ; n++ {
		if _, err := w.Write(line); err != nil {
			return n, err
		}
		r, err := s.Next()
		if errors.Is(err, io.EOF) {
			return n, w.Flush()
		}
		if err != nil {
			return n, err
		}
		line = appendRequest(line[:0], &r)
		if tick != nil {
			tick(r)
		}
	}
}

func appendRequest(line []byte, r *Request) []byte {
	line = appendSeconds(append(line, `{"arrival_s":`...), r.Arrival)
	line = strconv.AppendInt(append(line, `,"input_tokens":`...), int64(r.InputTokens), 10)
	line = strconv.AppendInt(append(line, `,"output_tokens":`...), int64(r.OutputTokens), 10)
	if r.Session != 0 {
		line = strconv.AppendUint(append(line, `,"session":`...), r.Session, 10)
	}
	if len(r.Prefix) > 0 {
		line = append(line, `,"prefix":[`...)
		for i, id := range r.Prefix {
			if i > 0 {
				line = append(line, ',')
			}
			line = strconv.AppendUint(line, id, 10)
		}
		line = append(line, ']')
	}
	return append(line, "}\n"...)
}

// appendSeconds writes a time exactly, with as many decimals as it needs.
func appendSeconds(line []byte, t des.Time) []byte {
	const second = 1_000_000_000
	line = strconv.AppendInt(line, int64(t/second), 10)
	part := t % second
	if part == 0 {
		return line
	}
	// Adding a second keeps the zeros behind the point; its digit becomes the point.
	start := len(line)
	line = strconv.AppendInt(line, int64(part+second), 10)
	line[start] = '.'
	for line[len(line)-1] == '0' {
		line = line[:len(line)-1]
	}
	return line
}
