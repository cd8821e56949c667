package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// printable is a stream of text in which control characters are shown, not sent: what a
// file calls something must not move the cursor of who reads it. They are written as
// JSON writes them (\u001b), so that JSON stays JSON; line ends and tabs stay.
type printable struct{ to io.Writer }

func (w *printable) Write(p []byte) (int, error) {
	if bytes.IndexFunc(p, control) < 0 {
		return w.to.Write(p)
	}
	var out bytes.Buffer
	for rest := p; ; {
		at := bytes.IndexFunc(rest, control)
		if at < 0 {
			out.Write(rest)
			break
		}
		out.Write(rest[:at])
		r, size := utf8.DecodeRune(rest[at:])
		fmt.Fprintf(&out, `\u%04x`, r)
		rest = rest[at+size:]
	}
	if _, err := w.to.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// escaped is a text as a printable stream shows it.
func escaped(text string) string {
	var out bytes.Buffer
	// A buffer takes everything.
	_, _ = (&printable{to: &out}).Write([]byte(text))
	return out.String()
}

// control is C0 but for line ends and tabs, delete, and C1.
func control(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
}
