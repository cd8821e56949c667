package traces

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// ServeGen (alibaba/ServeGen; Xiang et al., arXiv 2505.09999) publishes statistics
// of the clients of a service. A client has two files:
//
//	chunk-N-trace.csv     start_s,rate_rps,cv,pattern,arg1,arg2 a window
//	chunk-N-dataset.json  {"start_s": {"input_tokens": "{length: share, …}", "output_tokens": …}}
//
// In a window, a client's requests are a stationary renewal process whose gaps
// are Gamma or Weibull (pattern) with the fitted shape arg1 and mean 1/rate, so
// that the expected number of requests is rate × window. The fitted scale arg2
// is not used: it is that of the gaps inside the window's bursts, and with it the
// published rate would be missed by up to six times where cv is 9. cv follows
// from the shape. Lengths are drawn from the client's distributions of the time,
// input and output apart; a length of 0 counts as 1. Clients without a dataset
// file cannot be drawn; they are left out with a warning.

// serveGenClient is one client's statistics; see window and lengthTable.
type serveGenClient struct {
	name    string
	windows []window
	periods []period
}

// window is a stretch of time with one arrival process; rate 0 is silence.
type window struct {
	start, end float64 // s
	rate       float64
	gaps       renewal
}

// period is a stretch of time, from start to the next one, with one distribution of lengths.
type period struct {
	start         float64
	input, output lengthTable
}

// lengthTable is an empirical distribution: share[i] of draws are at most length[i].
type lengthTable struct {
	length []int32
	share  []float64
}

// tokens inverts the distribution at u in [0,1).
func (t *lengthTable) tokens(u float64) int32 {
	i, found := slices.BinarySearch(t.share, u)
	if found {
		i++
	}
	return max(1, t.length[min(i, len(t.length)-1)])
}

func sniffServeGen(head []byte) bool { return len(head) > 262 && string(head[257:262]) == "ustar" }

// Limits of an archive, so that a broken or hostile one cannot take all memory.
const (
	maxMember  = 256 << 20
	maxArchive = 4 << 30
	maxClients = 100_000
)

var memberName = regexp.MustCompile(`^(.*)chunk-(\d{1,9})-(trace\.csv|dataset\.json)$`)

// openServeGen reads all statistics; memory grows with them, not with the requests.
func openServeGen(in *input) (rows, error) {
	found := map[string]*serveGenClient{}
	archive, size := tar.NewReader(in.r), int64(0)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return assemble(in, found)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: broken tar archive or %w", in.name, in.unpacked(err))
		}
		m := memberName.FindStringSubmatch(h.Name)
		if m == nil || h.Typeflag != tar.TypeReg {
			continue
		}
		if size += h.Size; h.Size > maxMember || size > maxArchive || len(found) >= maxClients {
			return nil, fmt.Errorf("%s: %s: an archive may have %d clients, %d bytes a member and %d in all", in.name, clip([]byte(h.Name)), maxClients, maxMember, int64(maxArchive))
		}
		key := m[1] + "chunk-" + m[2]
		c := found[key]
		if c == nil {
			c = &serveGenClient{name: key}
			found[key] = c
		}
		body := bufio.NewReaderSize(archive, headBytes)
		if m[3] == "trace.csv" {
			err = c.readWindows(&input{name: in.name + ": " + path.Base(h.Name), packed: in.packed, r: body})
		} else {
			err = c.readPeriods(in.name+": "+path.Base(h.Name), body)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (in *input) unpacked(err error) error {
	if in.packed == "" {
		return err
	}
	return fmt.Errorf("%s data: %w", in.packed, err)
}

const windowColumns = "start_s,rate_rps,cv,pattern,arg1,arg2"

// usualWindow is the length of a window that none follows.
const usualWindow = 600.0

func (c *serveGenClient) readWindows(in *input) error {
	for {
		line, err := in.line()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		w, err := parseWindow(in, strings.Split(string(line), ","))
		if err != nil {
			return err
		}
		if n := len(c.windows); n > 0 {
			if w.start <= c.windows[n-1].start {
				return in.errorf("start_s: must be over that of the line before (%v), got %v", c.windows[n-1].start, w.start)
			}
			c.windows[n-1].end = w.start
		}
		c.windows = append(c.windows, w)
	}
	if n := len(c.windows); n > 0 {
		last := usualWindow
		if n > 1 {
			last = c.windows[n-1].start - c.windows[n-2].start
		}
		c.windows[n-1].end = c.windows[n-1].start + last
	}
	return nil
}

// Limits of a window: a shape below the least one has gaps beyond the clock, and
// a start above the last is past a hundred years.
const (
	leastGammaShape   = 1e-4
	leastWeibullShape = 0.05
	mostShape         = 1e6
	mostStart         = 3.2e9
)

func parseWindow(in *input, cells []string) (w window, err error) {
	if len(cells) != 6 {
		return w, in.errorf("has %d fields, want 6 (%s)", len(cells), windowColumns)
	}
	if w.start, err = finite(strings.TrimSpace(cells[0])); err != nil || w.start < 0 || w.start > mostStart {
		return w, in.errorf("start_s: must be from 0 to %g seconds, got %q", mostStart, clip([]byte(cells[0])))
	}
	if w.rate, err = finite(strings.TrimSpace(cells[1])); err != nil || w.rate < 0 || w.rate > maxRate {
		return w, in.errorf("rate_rps: must be from 0 to %g, got %q", maxRate, clip([]byte(cells[1])))
	}
	pattern := strings.TrimSpace(cells[3])
	if w.rate == 0 {
		return w, nil
	}
	shape, err := finite(strings.TrimSpace(cells[4]))
	least := leastGammaShape
	switch pattern {
	case "Gamma":
	case "Weibull":
		least = leastWeibullShape
	default:
		return w, in.errorf("pattern: must be Gamma or Weibull when the rate is not 0, got %q", clip([]byte(pattern)))
	}
	if err != nil || shape < least || shape > mostShape {
		return w, in.errorf("arg1: the shape must be from %g to %g, got %q", least, mostShape, clip([]byte(cells[4])))
	}
	w.gaps = newRenewal(pattern == "Weibull", shape)
	return w, nil
}

// readPeriods reads {"0": {"input_tokens": "{…}", "output_tokens": "{…}", …}, …}.
func (c *serveGenClient) readPeriods(name string, body io.Reader) error {
	text, err := spec.Data.ReadAll(name, body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s := scanner{b: text}
	fail := func(what string) error {
		line := 1 + bytes.Count(text[:min(s.at, len(text))], []byte("\n"))
		return fmt.Errorf("%s:%d: %s", name, line, what)
	}
	if !s.take('{') {
		return fail("must be a JSON object of periods")
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return fail("not valid JSON: wants a comma or }")
		}
		key, ok := s.text()
		if !ok || !s.take(':') {
			return fail("not valid JSON: wants the start of a period in quotes, and a colon")
		}
		p := period{}
		if p.start, err = finite(string(key)); err != nil || p.start < 0 || p.start > mostStart {
			return fail(fmt.Sprintf("the start of a period must be from 0 to %g seconds, got %q", mostStart, clip(key)))
		}
		if err := p.parse(&s); err != nil {
			return fail(fmt.Sprintf("%s: %s", clip(key), err))
		}
		if len(p.input.length) > 0 && len(p.output.length) > 0 {
			c.periods = append(c.periods, p)
		}
	}
	if !s.end() {
		return fail("not valid JSON: wants nothing behind the object")
	}
	slices.SortStableFunc(c.periods, func(a, b period) int { return cmp.Compare(a.start, b.start) })
	return nil
}

func (p *period) parse(s *scanner) error {
	if !s.take('{') {
		return fmt.Errorf("must be an object")
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return fmt.Errorf("not valid JSON: wants a comma or }")
		}
		key, ok := s.text()
		if !ok || !s.take(':') {
			return fmt.Errorf("not valid JSON: wants a key in quotes, and a colon")
		}
		var table *lengthTable
		switch string(key) {
		case "input_tokens":
			table = &p.input
		case "output_tokens":
			table = &p.output
		default:
			if !s.skip() {
				return fmt.Errorf("not valid JSON: wants a value of %s", clip(key))
			}
			continue
		}
		name := string(key)
		text, ok := s.text()
		if !ok {
			return fmt.Errorf("%s: must be a string", name)
		}
		var err error
		if *table, err = parseTable(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// parseTable reads "{143: 0.25, 148: 0.75}".
func parseTable(text []byte) (lengthTable, error) {
	type entry struct {
		length int32
		share  float64
	}
	s := scanner{b: text}
	if !s.take('{') {
		return lengthTable{}, fmt.Errorf("must be {length: share, …}")
	}
	var entries []entry
	sum := 0.0
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return lengthTable{}, fmt.Errorf("wants a comma or } behind entry %d", len(entries))
		}
		key, ok := s.number()
		n, whole := wholeNumber(key)
		if !ok || !whole || n < 0 || n > MaxTokens {
			return lengthTable{}, fmt.Errorf("length %q must be a whole number from 0 to %d", clip(key), MaxTokens)
		}
		if !s.take(':') {
			return lengthTable{}, fmt.Errorf("wants a colon behind length %d", n)
		}
		value, ok := s.number()
		share, err := strconv.ParseFloat(string(value), 64)
		if !ok || err != nil || share < 0 || share > 1 {
			return lengthTable{}, fmt.Errorf("share of length %d must be from 0 to 1, got %q", n, clip(value))
		}
		entries = append(entries, entry{int32(n), share})
		sum += share
	}
	if !s.end() {
		return lengthTable{}, fmt.Errorf("wants nothing behind the last }")
	}
	if len(entries) > 0 && !(sum > 0.99 && sum < 1.01) {
		return lengthTable{}, fmt.Errorf("shares must sum to 1, got %v", sum)
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.length, b.length) })
	t := lengthTable{length: make([]int32, len(entries)), share: make([]float64, len(entries))}
	below := 0.0
	for i, e := range entries {
		below += e.share
		t.length[i], t.share[i] = e.length, below/sum
	}
	return t, nil
}

// assemble orders the clients, leaves out those without lengths, and starts the rest.
func assemble(in *input, found map[string]*serveGenClient) (rows, error) {
	var clients, lost []*serveGenClient
	all, missing := 0.0, 0.0
	for _, c := range found {
		if len(c.windows) == 0 {
			continue
		}
		if len(c.periods) == 0 {
			lost = append(lost, c)
		} else {
			clients = append(clients, c)
		}
	}
	for _, list := range [][]*serveGenClient{clients, lost} {
		slices.SortFunc(list, func(a, b *serveGenClient) int {
			return cmp.Or(cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
		})
		for _, c := range list {
			all += c.expected()
		}
	}
	names := make([]string, len(lost))
	for i, c := range lost {
		names[i] = path.Base(c.name)
		missing += c.expected()
	}
	if len(clients) == 0 {
		return nil, fmt.Errorf("%s: has no requests: no client has both chunk-N-trace.csv and chunk-N-dataset.json", in.name)
	}
	if len(lost) > 0 && in.opts.Warn != nil {
		in.opts.Warn(fmt.Sprintf("%s: %d of %d clients have no dataset file and are left out, with %.1f %% of the requests: %s",
			in.name, len(lost), len(lost)+len(clients), 100*missing/all, strings.Join(names, ", ")))
	}
	return startServeGen(in, clients), nil
}

// expected is the expected number of a client's requests.
func (c *serveGenClient) expected() float64 {
	sum := 0.0
	for _, w := range c.windows {
		sum += w.rate * (w.end - w.start)
	}
	return sum
}
