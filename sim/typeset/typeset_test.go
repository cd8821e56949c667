package typeset

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// screen is a writer of a width.
type screen struct {
	bytes.Buffer
	columns int
}

func (s *screen) Columns() int { return s.columns }

func TestColumns(t *testing.T) {
	for want, w := range map[int]io.Writer{Default: &bytes.Buffer{}, 80: &screen{columns: 80}, narrowest: &screen{columns: 3}, 72: NewPage(&screen{columns: 72})} {
		if got := Columns(w); got != want {
			t.Errorf("%T: %d, want %d", w, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string]string{"ab cd abcdefgh x": "ab cd|abcde|fgh x", "": "", "a  b": "a b", "  ab cd ef": "ab cd|ef"} {
		if got := strings.Join(Wrap(text, 5), "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestPage(t *testing.T) {
	out := &screen{columns: 20}
	p := NewPage(out)
	for _, text := range []string{"short\n", "  a longer line that ", "goes on\n", "name   value and more of it\n\n", "no end"} {
		if n, err := p.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `short
  a longer line that
    goes on
name   value and
  more of it

no end`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// sample has a key, numbers, and words at the end.
const sample = "NAME\tREQUESTS a second\tMEAN ms\tWHAT IT IS\na\t1\t2.5\tone of them, which takes a few more words\nbcd\t100\t3\tanother\n"

func TestTable(t *testing.T) {
	for columns, want := range map[int]string{
		100: `
NAME  REQUESTS a second  MEAN ms  WHAT IT IS
a     1                  2.5      one of them, which takes a few more words
bcd   100                3        another
`,
		// first the head takes more lines
		64: `
      REQUESTS  MEAN
NAME  a second  ms    WHAT IT IS
a     1         2.5   one of them, which takes a few more words
bcd   100       3     another
`,
		// then words are broken
		40: `
      REQUESTS  MEAN
NAME  a second  ms    WHAT IT IS
a     1         2.5   one of them, which
                      takes a few more
                      words
bcd   100       3     another
`,
		// then the table goes on below
		24: `
      REQUESTS  MEAN
NAME  a second  ms
a     1         2.5
bcd   100       3

NAME  WHAT IT IS
a     one of them, which
      takes a few more
      words
bcd   another
`,
	} {
		out := &screen{columns: columns}
		table := NewTable(out)
		io.WriteString(table, sample)
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := "\n" + out.String(); got != want {
			t.Errorf("%d columns:%swant%s", columns, got, want)
		}
	}
}

func TestRightTable(t *testing.T) {
	out := &screen{columns: 80}
	table := NewRightTable(out)
	io.WriteString(table, "A\tBCD\t\nlong\t1\t\n\nalone\nx\ty\t\n")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "     A  BCD\n  long    1\n\nalone\n  x  y\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// Whatever the table and the width: no line is longer, every word is there, and what is
// written to no terminal is what is written to one of Default columns.
func TestTablesFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(narrowest, 120).Draw(t, "columns")
		cell := rapid.StringMatching(`([a-zé]{1,12}( [a-zé]{1,12}){0,5})?`)
		width := rapid.IntRange(1, 12).Draw(t, "width")
		var text strings.Builder
		words := map[string]bool{}
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			for range width {
				c := cell.Draw(t, "cell")
				for _, w := range strings.Fields(c) {
					words[w] = true
				}
				fmt.Fprintf(&text, "%s\t", c)
			}
			text.WriteByte('\n')
		}
		table := func(w io.Writer) *Table {
			return &Table{Right: columns%2 == 0, Head: columns%3 == 0, Keys: 1 + columns%4, to: w}
		}
		out, plain, default100 := &screen{columns: columns}, &bytes.Buffer{}, &screen{columns: Default}
		for _, w := range []io.Writer{out, plain, default100} {
			x := table(w)
			io.WriteString(x, text.String())
			if err := x.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if plain.String() != default100.String() {
			t.Fatalf("%s\n%s", plain, default100)
		}
		for line := range strings.Lines(out.String()) {
			if length(strings.TrimSuffix(line, "\n")) > columns {
				t.Fatalf("%d columns of %d: %q\n%s", length(line), columns, line, out)
			}
		}
		for w := range words {
			if len(w) <= 6 && !strings.Contains(out.String(), w) {
				t.Fatalf("%q is lost in\n%s", w, out)
			}
		}
	})
}
