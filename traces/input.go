package traces

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// input is the plain text of a trace, line by line.
type input struct {
	name   string
	packed string // zstd, gzip or ""
	// sniffed says that nobody named the format.
	sniffed bool
	r       *bufio.Reader
	opts    Options
	number  int    // of the line read last
	long    []byte // holds a line longer than the buffer of r
}

// maxLine holds a prompt of MaxTokens in blocks of 16 with ids of 20 digits.
const maxLine = 32 << 20

// line is the next line without its end, valid until the next call; io.EOF when
// there is none.
func (in *input) line() ([]byte, error) {
	text, err := in.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		text, err = in.longLine(text)
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0) {
		return nil, in.broken(err)
	}
	in.number++
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text = text[:n-1]
	}
	return text, nil
}

// maxBlank is how many blank lines may follow each other: a small compressed file can hold
// more than anybody waits for.
const maxBlank = 1 << 20

// row is the next line that is not blank.
func (in *input) row() ([]byte, error) {
	for range maxBlank {
		line, err := in.line()
		if err != nil || len(bytes.TrimSpace(line)) > 0 {
			return line, err
		}
	}
	return nil, in.errorf("%d blank lines follow each other; at most %d may", maxBlank, maxBlank-1)
}

var errLongLine = fmt.Errorf("is longer than %d bytes", maxLine)

func (in *input) longLine(text []byte) ([]byte, error) {
	in.long = append(in.long[:0], text...)
	for {
		more, err := in.r.ReadSlice('\n')
		in.long = append(in.long, more...)
		if len(in.long) > maxLine {
			return nil, errLongLine
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return in.long, err
		}
	}
}

// broken explains an error of reading; io.EOF stays itself.
func (in *input) broken(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) && in.packed != "":
		return fmt.Errorf("%s:%d: the %s data breaks off here; the file is cut short", in.name, in.number+1, in.packed)
	case in.packed != "" && !errors.Is(err, errLongLine):
		return fmt.Errorf("%s:%d: broken %s data: %w", in.name, in.number+1, in.packed, err)
	}
	return fmt.Errorf("%s:%d: %w", in.name, in.number+1, err)
}

// errorf is an error at the line read last.
func (in *input) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", in.name, in.number, fmt.Sprintf(format, args...))
}
