package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"plain\tµs × 2\n":             "plain\tµs × 2\n",
		"\x1b]0;title\a\x1b[2Jname\r": `\u001b]0;title\u0007\u001b[2Jname\u000d`,
		"\u009b31m\x7f\x00":           `\u009b31m\u007f\u0000`,
	} {
		var out bytes.Buffer
		n, err := (&printable{to: &out}).Write([]byte(in))
		if n != len(in) || err != nil || out.String() != want {
			t.Errorf("%q: %d bytes, %v, %q, want %q", in, n, err, out.String(), want)
		}
	}
}

// No control character passes, and JSON says the same after as before.
func TestPrintableKeepsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		said := rapid.String().Draw(t, "said")
		text, err := json.Marshal(said)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := (&printable{to: &out}).Write(text); err != nil {
			t.Fatal(err)
		}
		var read string
		if err := json.Unmarshal(out.Bytes(), &read); err != nil || read != said {
			t.Fatalf("%q is %q: %v", said, read, err)
		}
		if bytes.ContainsFunc(out.Bytes(), control) {
			t.Fatalf("%q", out.String())
		}
	})
}
