package typeset

import (
	"io"
	"strings"
)

// Table lays out lines of cells, which tabs separate, when it is flushed. A line without
// a tab stands by itself, between tables of their own widths.
type Table struct {
	// Right sets cells to the right of their columns, the first included.
	Right bool
	// Head says that the first line of a table names its columns.
	Head bool
	// Keys is how many columns are repeated where a table goes on below; at least 1.
	Keys int

	to   io.Writer
	text strings.Builder
}

const (
	gap      = 2
	flexible = 20 // a column of words may be made narrower from this width on,
	leastOf  = 16 // to this
)

// NewTable is a table with a head, set to the left.
func NewTable(to io.Writer) *Table { return &Table{Head: true, Keys: 1, to: to} }

// NewRightTable is one set to the right.
func NewRightTable(to io.Writer) *Table { return &Table{Head: true, Right: true, Keys: 1, to: to} }

// Write takes lines, in any pieces.
func (t *Table) Write(text []byte) (int, error) { return t.text.Write(text) }

// Flush writes what has come, and begins anew.
func (t *Table) Flush() error {
	text := t.text.String()
	t.text.Reset()
	page := NewPage(t.to)
	var rows [][]string
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.Contains(line, "\t") {
			rows = append(rows, strings.Split(line, "\t"))
			continue
		}
		t.lay(&out, rows, page.width)
		rows = nil
		out.WriteString(line + "\n")
	}
	t.lay(&out, rows, page.width)
	if _, err := io.WriteString(page, out.String()); err != nil {
		return err
	}
	return page.Flush()
}

// grid is one table while it is laid out.
type grid struct {
	rows   [][]string
	widths []int
	head   int // lines of the head: 0 or 1
	right  bool
}

func (t *Table) lay(out *strings.Builder, rows [][]string, width int) {
	if len(rows) == 0 {
		return
	}
	g := &grid{rows: squared(rows), right: t.Right}
	if t.Head {
		g.head = 1
	}
	all := make([]int, len(g.rows[0]))
	for i := range all {
		all[i] = i
	}
	g.natural()
	for _, narrow := range []func(){func() {}, g.narrowHead, func() { g.shrink(all, width, false) }} {
		if narrow(); g.width(all) <= width {
			g.write(out, all)
			return
		}
	}
	g.parts(out, max(1, t.Keys), width)
}

// squared gives all rows the same number of cells, and takes a last column without any
// text away.
func squared(rows [][]string) [][]string {
	most, text := 0, false
	for _, r := range rows {
		most = max(most, len(r))
	}
	for _, r := range rows {
		text = text || len(r) == most && r[most-1] != ""
	}
	if !text {
		most--
	}
	out := make([][]string, len(rows))
	for i, r := range rows {
		out[i] = make([]string, most)
		copy(out[i], r)
	}
	return out
}

func (g *grid) natural() {
	g.widths = make([]int, len(g.rows[0]))
	for _, r := range g.rows {
		for i, cell := range r {
			g.widths[i] = max(g.widths[i], length(cell))
		}
	}
}

// narrowHead lets names of columns take several lines.
func (g *grid) narrowHead() {
	for i := range g.widths {
		width := 0
		for r, row := range g.rows {
			if r < g.head {
				width = max(width, longestWord(row[i]))
			} else {
				width = max(width, length(row[i]))
			}
		}
		g.widths[i] = width
	}
}

func longestWord(s string) (n int) {
	for _, word := range strings.Fields(s) {
		n = max(n, length(word))
	}
	return n
}

// shrink makes columns of words narrower, the widest first, until the table fits or none
// can be; by force also others.
func (g *grid) shrink(columns []int, width int, force bool) {
	least := make([]int, len(g.widths))
	for i, w := range g.widths {
		switch least[i] = w; {
		case force:
			least[i] = min(w, max(1, width/len(columns)-gap))
		case w > flexible:
			word := 0
			for _, r := range g.rows {
				word = max(word, longestWord(r[i]))
			}
			least[i] = min(w, max(leastOf, min(word, w/2)))
		}
	}
	for total := g.width(columns); total > width; total-- {
		widest := -1
		for _, i := range columns {
			if w := g.widths[i]; w > least[i] && (widest < 0 || w > g.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		g.widths[widest]--
	}
}

func (g *grid) width(columns []int) (n int) {
	for _, i := range columns {
		n += g.widths[i] + gap
	}
	if g.right {
		return n
	}
	return n - gap
}

// parts writes the columns in several tables, each beginning with the keys.
func (g *grid) parts(out *strings.Builder, keys, width int) {
	var begin []int
	for i := range min(keys, len(g.widths)-1) {
		begin = append(begin, i)
	}
	if g.width(begin) > width/2 {
		begin = begin[:1]
	}
	part := begin
	for i := len(begin); i < len(g.widths); i++ {
		next := append(part[:len(part):len(part)], i)
		if len(part) > len(begin) && g.width(next) > width {
			g.part(part, width).write(out, part)
			out.WriteByte('\n')
			next = append(begin[:len(begin):len(begin)], i)
		}
		part = next
	}
	g.part(part, width).write(out, part)
}

// part is the same table with some of its columns as wide as there is room for.
func (g *grid) part(columns []int, width int) *grid {
	p := &grid{rows: g.rows, head: g.head, right: g.right, widths: make([]int, len(g.widths))}
	p.narrowHead()
	p.shrink(columns, width, false)
	p.shrink(columns, width, true)
	return p
}

// write writes some of the columns, every row in as many lines as its cells take; those
// of the head stand on its last line.
func (g *grid) write(out *strings.Builder, columns []int) {
	for r, row := range g.rows {
		cells := make([][]string, len(columns))
		lines := 1
		for k, i := range columns {
			cells[k] = []string{row[i]}
			if length(row[i]) > g.widths[i] {
				cells[k] = Wrap(row[i], g.widths[i])
			}
			lines = max(lines, len(cells[k]))
		}
		for n := range lines {
			var line strings.Builder
			for k, i := range columns {
				at := n
				if r < g.head {
					at -= lines - len(cells[k])
				}
				text := ""
				if at >= 0 && at < len(cells[k]) {
					text = cells[k][at]
				}
				pad := strings.Repeat(" ", g.widths[i]-length(text))
				if g.right {
					line.WriteString("  " + pad + text)
				} else {
					line.WriteString(text + pad + "  ")
				}
			}
			out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		}
	}
}
