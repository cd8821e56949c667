package typeset

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// Default is the width of what is no terminal, and narrowest the least that anything is
// laid out for.
const (
	Default   = 100
	narrowest = 20
)

// Columns is how many characters a line on a writer may have: what the writer says by a
// method of this name, otherwise Default.
func Columns(w io.Writer) int {
	if c, is := w.(interface{ Columns() int }); is {
		return max(narrowest, c.Columns())
	}
	return Default
}

// Wrap breaks a text between words into lines of a width, and words that are longer
// anywhere.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && length(line)+1+length(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		runes := []rune(word)
		for len(runes) > width {
			lines = append(lines, string(runes[:width]))
			runes = runes[width:]
		}
		line = string(runes)
	}
	return append(lines, line)
}

func length(s string) int { return utf8.RuneCountInString(s) }

// Page is a writer that breaks lines which are longer than the page is wide. What goes on
// stands two further in than the line begins.
type Page struct {
	to    io.Writer
	width int
	line  []byte // without its end
}

// NewPage is a page on a writer, as wide as that is.
func NewPage(to io.Writer) *Page { return &Page{to: to, width: Columns(to)} }

// Columns is the width of the page.
func (p *Page) Columns() int { return p.width }

// Write takes any piece of text; a line is written when its end has come.
func (p *Page) Write(text []byte) (int, error) {
	for rest := text; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		p.line, rest = append(p.line, line...), after
		if !ended {
			break
		}
		if err := p.flush("\n"); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}

// Flush writes a line that has no end.
func (p *Page) Flush() error {
	if len(p.line) == 0 {
		return nil
	}
	return p.flush("")
}

func (p *Page) flush(end string) error {
	line := string(p.line)
	p.line = p.line[:0]
	if length(line) > p.width {
		line = p.broken(line)
	}
	_, err := io.WriteString(p.to, line+end)
	return err
}

func (p *Page) broken(line string) string {
	begin := line[:len(line)-len(strings.TrimLeft(line, " "))]
	room := p.width - length(begin)
	if room < narrowest/2 {
		return line
	}
	// The first line keeps the spaces within it, which line its parts up.
	at := strings.LastIndex(string([]rune(line)[:p.width+1]), " ")
	if at <= len(begin) {
		return begin + strings.Join(Wrap(line, room), "\n"+begin)
	}
	rest := Wrap(line[at:], room-2)
	return strings.TrimRight(line[:at], " ") + "\n  " + begin + strings.Join(rest, "\n  "+begin)
}
