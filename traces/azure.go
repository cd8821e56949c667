package traces

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/clustersim/clustersim/sim/des"
)

// azureColumns are those of the Azure LLM inference traces of 2023 and 2024
// (Azure/AzurePublicDataset; Patel et al., Splitwise, ISCA 2024).
var azureColumns = [...]string{colArrival: "TIMESTAMP", colInput: "ContextTokens", colOutput: "GeneratedTokens"}

type azureRows struct {
	in    *input
	order [len(azureColumns)]int // where each column stands
	epoch int64                  // first timestamp, ns since 1970
	any   bool
}

func sniffAzure(head []byte) bool {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.Contains(first, []byte(azureColumns[colInput])) || bytes.HasPrefix(first, []byte("TIMESTAMP,"))
}

func openAzure(in *input) (rows, error) {
	a := &azureRows{in: in}
	head, err := in.line()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: has no requests: it is empty", in.name)
	}
	if err != nil {
		return nil, err
	}
	names := strings.Split(string(head), ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	for i, want := range azureColumns {
		if a.order[i] = indexOf(names, want); a.order[i] < 0 || len(names) != len(azureColumns) {
			return nil, in.errorf("columns must be %s, got %q", strings.Join(azureColumns[:], ","), clip(head))
		}
	}
	return a, nil
}

func (a *azureRows) blockTokens() int { return 0 }

func (a *azureRows) field(c column, format string, args ...any) error {
	return a.in.errorf("%s: %s", azureColumns[c], fmt.Sprintf(format, args...))
}

func (a *azureRows) read(r *Request) error {
	line, err := a.in.line()
	for err == nil && len(bytes.TrimSpace(line)) == 0 {
		line, err = a.in.line()
	}
	if err != nil {
		return err
	}
	var cells [len(azureColumns)][]byte
	rest, more := line, true
	n := 0
	for ; more && n < len(cells); n++ {
		cells[n], rest, more = bytes.Cut(rest, []byte(","))
	}
	if more || n != len(cells) {
		return a.in.errorf("has %d fields, want %d (%s)", bytes.Count(line, []byte(","))+1, len(cells), strings.Join(azureColumns[:], ","))
	}
	stamp := bytes.TrimSpace(cells[a.order[colArrival]])
	at, ok := wallClock(stamp)
	if !ok {
		return a.field(colArrival, "%q is not a time such as 2023-11-16 18:17:03.9799600", clip(stamp))
	}
	if !a.any {
		a.epoch, a.any = at, true
	}
	if r.Arrival = des.Time(at - a.epoch); r.Arrival < 0 {
		return a.field(colArrival, "%q is before the first request; sort the trace by arrival", clip(stamp))
	}
	if r.InputTokens, err = a.tokens(colInput, cells[a.order[colInput]]); err != nil {
		return err
	}
	r.OutputTokens, err = a.tokens(colOutput, cells[a.order[colOutput]])
	return err
}

func (a *azureRows) tokens(c column, cell []byte) (int32, error) {
	cell = bytes.TrimSpace(cell)
	n, ok := wholeNumber(cell)
	if !ok {
		return 0, a.field(c, "must be a whole number from 1 to %d, got %q", MaxTokens, clip(cell))
	}
	return clampTokens(n), nil
}

// wallClock reads 2023-11-16 18:17:03.9799600, with up to nine decimals, a T for
// the space, and Z or ±hh:mm behind it, as nanoseconds since 1970. It is written
// out because time.Parse allocates and takes a third of the time of a row.
func wallClock(b []byte) (ns int64, ok bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != ' ' && b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	var part [6]int
	for i, at := range [6][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		n, valid := unsigned(b[at[0]:at[1]])
		if !valid {
			return 0, false
		}
		part[i] = int(n)
	}
	t := time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], 0, time.UTC)
	// Date carries over what is out of range, so a field that comes back changed was wrong.
	if t.Month() != time.Month(part[1]) || t.Day() != part[2] || t.Hour() != part[3] || t.Minute() != part[4] || t.Second() != part[5] {
		return 0, false
	}
	if part[0] < 1970 || part[0] > 2200 {
		return 0, false
	}
	fraction, rest, ok := decimals(b[19:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	return t.Unix()*1e9 + fraction - offset, ok
}

// decimals reads up to nine digits behind a point, if there is one, as nanoseconds.
func decimals(b []byte) (ns int64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' {
		return 0, b, true
	}
	n := 1
	for ; n < len(b) && n <= 9 && b[n] >= '0' && b[n] <= '9'; n++ {
		ns = ns*10 + int64(b[n]-'0')
	}
	for i := n; i <= 9; i++ {
		ns *= 10
	}
	return ns, b[n:], n > 1
}

// zone is the offset of Z, ±hh:mm or nothing from UTC in nanoseconds.
func zone(b []byte) (ns int64, ok bool) {
	if len(b) == 0 || len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	h, okH := unsigned(b[1:3])
	m, okM := unsigned(b[4:6])
	if !okH || !okM || h > 23 || m > 59 {
		return 0, false
	}
	ns = int64(h*3600+m*60) * 1e9
	if b[0] == '-' {
		ns = -ns
	}
	return ns, true
}
