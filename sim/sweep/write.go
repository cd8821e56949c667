package sweep

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/clustersim/clustersim/sim/report"
	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/spec"
	"github.com/clustersim/clustersim/sim/typeset"
)

// Sweep is all points of a grid with what came of them.
type Sweep struct {
	Manifest string // the digest of the grid's
	Points   []Outcome
}

// Format is one way of writing a sweep.
type Format struct {
	Name  string
	Write func(w io.Writer, s *Sweep) error
}

// Formats are all there are, the default first.
var Formats = []Format{{"text", Table}, {"json", JSON}, {"csv", CSV}}

// Find is the writer of a format's name.
func Find(name string) (func(io.Writer, *Sweep) error, error) {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		if f.Name == name {
			return f.Write, nil
		}
		names[i] = f.Name
	}
	return nil, spec.UnknownName("format", name, names)
}

// column is one figure of a point: its name in CSV, its heading in the table, and
// its value as shown in each.
type column struct {
	name, heading string
	digits        int // significant digits in the table
	of            func(o *Outcome) (v float64, ok bool)
}

func always(f func(*Outcome) float64) func(*Outcome) (float64, bool) {
	return func(o *Outcome) (float64, bool) { return f(o), true }
}

var columns = []column{
	{"kv_bytes_per_token", "KV B/TOKEN", 5, always(func(o *Outcome) float64 { return o.Result.KV.BytesPerToken })},
	{"mean_context_tokens", "CONTEXT", 4, always(func(o *Outcome) float64 { return o.MeanContext })},
	{"kv_bytes_at_mean_context", "KV MB", 4, always(func(o *Outcome) float64 { return o.KVBytes })},
	{"capacity_requests_per_s", "CAPACITY req/s", 4, func(o *Outcome) (float64, bool) {
		if o.Result.Capacity == nil {
			return 0, false
		}
		return o.Result.Capacity.RequestsPerS, true
	}},
	{"requests_per_s", "req/s", 4, always(func(o *Outcome) float64 { return o.Result.Throughput.RequestsPerS })},
	{"output_tokens_per_s", "OUTPUT tok/s", 4, always(func(o *Outcome) float64 { return o.Result.Throughput.OutputTokensPerS })},
	{"output_tokens_per_s_per_chip", "tok/s/CHIP", 4, always(func(o *Outcome) float64 { return o.Result.Throughput.OutputTokensPerSPerChip })},
	{"ttft_ms_p50", "TTFT ms p50", 4, always(func(o *Outcome) float64 { return o.Result.Latency.TTFT.P50 })},
	{"ttft_ms_p99", "TTFT ms p99", 4, always(func(o *Outcome) float64 { return o.Result.Latency.TTFT.P99 })},
	{"tpot_ms_p50", "TPOT ms p50", 4, always(func(o *Outcome) float64 { return o.Result.Latency.TPOT.P50 })},
	{"tpot_ms_p99", "TPOT ms p99", 4, always(func(o *Outcome) float64 { return o.Result.Latency.TPOT.P99 })},
	{"goodput_fraction", "IN SLO", 4, always(func(o *Outcome) float64 { return o.Result.Goodput.Fraction })},
}

// Table writes one line a point for people, then what each point was bound by and
// where it failed.
func Table(w io.Writer, s *Sweep) error {
	outcomes := s.Points
	page := typeset.NewPage(w)
	if err := s.asked(page); err != nil {
		return err
	}
	t := typeset.NewTable(page)
	heading := []string{"#"}
	if len(outcomes) > 0 {
		for _, set := range outcomes[0].Set {
			heading = append(heading, short(set.Path))
		}
		t.Keys += len(outcomes[0].Set)
	}
	for _, c := range columns {
		heading = append(heading, c.heading)
	}
	fmt.Fprintln(t, strings.Join(append(heading, "BOUND BY", "LAYOUT"), "\t"))
	for i := range outcomes {
		fmt.Fprintln(t, strings.Join(tableRow(&outcomes[i]), "\t"))
	}
	for _, o := range overSeeds(outcomes) {
		row := tableRow(&o)
		row[0] = "mean"
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range outcomes {
		if o := &outcomes[i]; o.Err != nil {
			if _, err := fmt.Fprintf(page, "\npoint %d: %v\n", o.ID, o.Err); err != nil {
				return err
			}
		}
	}
	return page.Flush()
}

// asked says what the first point that ran was asked; the others differ in what the
// table's columns say.
func (s *Sweep) asked(w io.Writer) error {
	for i := range s.Points {
		r := s.Points[i].Result
		if r == nil || r.Scenario == nil {
			continue
		}
		if err := report.Asked(w, r.Scenario, &r.Workload); err != nil {
			return err
		}
		seeds := ""
		if s.repeated() {
			seeds = ", with the same seeds; ± is half of the 95 % interval of the mean"
		}
		_, err := fmt.Fprintf(w, "\nThat is point %d; the others differ in what is set and what follows from it%s.\n", i, seeds)
		return err
	}
	return nil
}

// overSeeds are, where the seed is an axis, the points that differ in it alone, taken
// together.
func overSeeds(outcomes []Outcome) []Outcome {
	groups, order := map[string][]*result.Result{}, []Outcome{}
	for i := range outcomes {
		o := outcomes[i]
		axis := slices.IndexFunc(o.Set, func(s Setting) bool { return s.Path == "seed" })
		if axis < 0 || o.Result == nil || o.Result.Partial {
			continue
		}
		o.Set = slices.Clone(o.Set)
		o.Set[axis].Value = "all"
		key := settings(o.set())
		if len(groups[key]) == 0 {
			order = append(order, o)
		}
		groups[key] = append(groups[key], o.Result)
	}
	var out []Outcome
	for _, o := range order {
		if s := result.OverSeeds(groups[settings(o.set())]); s != nil {
			r := *o.Result
			r.Seeds, o.Result = s, &r
			out = append(out, o)
		}
	}
	return out
}

// seeded reports that a column is a figure that several seeds give an interval of.
func (c *column) seeded() bool { return slices.Contains(result.Figures(), c.name) }

// value is a column's figure of a point: the mean of its seeds, with half of its 95 %
// interval, where it has several.
func (c *column) value(o *Outcome) (v, half float64, ok bool) {
	if s := o.Result.Seeds; s != nil {
		if f, there := s.Figures[c.name]; there {
			return f.Mean, f.HalfWidth95, true
		}
	}
	v, ok = c.of(o)
	return v, 0, ok
}

// repeated reports that some point has several seeds.
func (s *Sweep) repeated() bool {
	return slices.ContainsFunc(s.Points, func(o Outcome) bool { return o.Result != nil && o.Result.Seeds != nil })
}

// short is the last part of a path.
func short(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func tableRow(o *Outcome) []string {
	row := []string{strconv.Itoa(o.ID)}
	for _, set := range o.Set {
		row = append(row, set.Value)
	}
	if o.Result == nil {
		row = append(row, make([]string, len(columns))...)
		return append(row, status(o))
	}
	for _, c := range columns {
		v, half, ok := c.value(o)
		switch {
		case !ok:
			row = append(row, "–")
		case half > 0:
			row = append(row, significant(v, c.digits)+" ± "+significant(half, 2))
		case c.name == "kv_bytes_at_mean_context":
			row = append(row, significant(v/1e6, c.digits))
		default:
			row = append(row, significant(v, c.digits))
		}
	}
	b := o.Result.Bound()
	return append(row, b.Words, Layout(o.Result))
}

// interrupted is what stands for a point that has neither result nor error of its own.
const interrupted = "interrupted"

// status says why a point has no result, in a few words.
func status(o *Outcome) string {
	if o.Err == nil {
		return interrupted
	}
	line, _, _ := strings.Cut(o.Err.Error(), "\n")
	if utf8.RuneCountInString(line) > 80 {
		line = string([]rune(line)[:79]) + "…"
	}
	return "failed: " + line
}

func significant(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'g', digits, 64)
	if strings.Contains(s, "e+") {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return s
}

// Layout is a result's deployment in a few words.
func Layout(r *result.Result) string {
	one := func(name string, p *result.PoolInfo) string {
		s := fmt.Sprintf("%s%d × TP%d DP%d EP%d", name, p.Instances, p.Layout.TP, p.Layout.DP, p.Layout.EP)
		if p.Layout.PP > 1 {
			s += fmt.Sprintf(" PP%d", p.Layout.PP)
		}
		if p.Layout.CP > 1 {
			s += fmt.Sprintf(" CP%d", p.Layout.CP)
		}
		return s
	}
	if d := &r.Deployment; d.Serve != nil {
		return one("", d.Serve)
	} else if d.Prefill != nil && d.Decode != nil {
		return one("P ", d.Prefill) + ", " + one("D ", d.Decode)
	}
	return ""
}

// CSV writes one row a point with full precision.
func CSV(w io.Writer, s *Sweep) error {
	outcomes := s.Points
	c := csv.NewWriter(w)
	row := []string{"id"}
	if len(outcomes) > 0 {
		for _, set := range outcomes[0].Set {
			row = append(row, set.Path)
		}
	}
	repeated := s.repeated()
	for _, col := range columns {
		row = append(row, col.name)
		if repeated && col.seeded() {
			row = append(row, col.name+"_half_width_95")
		}
	}
	if err := c.Write(append(row, "bound_phase", "bound_cause", "bound_fraction", "layout", "chips", "error")); err != nil {
		return err
	}
	for i := range outcomes {
		if err := c.Write(csvRow(&outcomes[i], repeated)); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// figureColumns is how many columns of CSV figures take.
func figureColumns(repeated bool) int {
	n := len(columns)
	for i := range columns {
		if repeated && columns[i].seeded() {
			n++
		}
	}
	return n
}

func csvRow(o *Outcome, repeated bool) []string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	row := []string{strconv.Itoa(o.ID)}
	for _, set := range o.Set {
		row = append(row, set.Value)
	}
	if o.Result == nil {
		row = append(row, make([]string, figureColumns(repeated)+5)...)
		if o.Err != nil {
			return append(row, o.Err.Error())
		}
		return append(row, interrupted)
	}
	for _, c := range columns {
		v, half, ok := c.value(o)
		row = append(row, number(v))
		if !ok {
			row[len(row)-1] = ""
		}
		if repeated && c.seeded() {
			row = append(row, number(half))
		}
	}
	b := o.Result.Bound()
	return append(row, b.Pool, b.Cause, number(b.Fraction), Layout(o.Result), strconv.Itoa(o.Result.Deployment.Chips), "")
}

// document is the JSON of a sweep, a stable surface.
type document struct {
	Version  int      `json:"version"`
	Manifest string   `json:"manifest"`          // the digest of the grid
	Partial  bool     `json:"partial,omitempty"` // some points were interrupted
	Points   []stored `json:"points"`
}

// Read reads what JSON wrote; name is what errors call it. JSON does not say in which
// order the axes were given: here they are sorted.
func Read(name string, data []byte) (*Sweep, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var d document
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if d.Version != result.Version {
		return nil, fmt.Errorf("%s: version: want %d, got %d", name, result.Version, d.Version)
	}
	s := &Sweep{Manifest: d.Manifest}
	for i := range d.Points {
		o, err := d.Points[i].outcome()
		if err != nil {
			return nil, fmt.Errorf("%s: points[%d]: %w", name, i, err)
		}
		for _, path := range slices.Sorted(maps.Keys(d.Points[i].Set)) {
			o.Set = append(o.Set, Setting{Path: path, Value: d.Points[i].Set[path]})
		}
		s.Points = append(s.Points, *o)
	}
	return s, nil
}

// JSON writes the points with their whole results. A point that was read from a file is
// written as it stands there, so that a sweep in several goes is one in a single go.
func JSON(w io.Writer, s *Sweep) error {
	d := document{Version: result.Version, Manifest: s.Manifest, Points: make([]stored, len(s.Points))}
	for i := range s.Points {
		o := &s.Points[i]
		text, err := o.text()
		if err != nil {
			return fmt.Errorf("point %d: %w", o.ID, err)
		}
		p := stored{ID: o.ID, Set: o.set(), MeanContext: o.MeanContext, KVBytes: o.KVBytes, Result: text}
		switch {
		case o.Err != nil:
			p.Error = o.Err.Error()
		case o.Result == nil:
			p.Error, d.Partial = interrupted, true
		}
		d.Points[i] = p
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(d)
}
