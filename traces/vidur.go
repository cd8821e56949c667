package traces

import "bytes"

// vidurFormat is that of Vidur's processed traces (microsoft/vidur,
// data/processed_traces/splitwise_*.csv). Its tables of lengths alone share two of the
// columns, and have others besides.
var vidurFormat = csvFormat{
	columns: [csvColumns]string{colArrival: "arrived_at", colInput: "num_prefill_tokens", colOutput: "num_decode_tokens"},
	more:    true,
	clock:   secondsClock,
}

func sniffVidur(head []byte) bool {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	return indexOf(cellsOf(first), vidurFormat.columns[colArrival]) >= 0
}

func openVidur(in *input) (rows, error) { return openCSV(in, &vidurFormat) }

func secondsClock(c *csvRows, stamp []byte) (int64, error) {
	at, ok := fixedPoint(stamp, 9)
	if !ok {
		return 0, c.field(colArrival, "must be seconds, such as 2.603621, within the clock's %d years, got %q", maxTime/nsPerYear, clip(stamp))
	}
	return at, nil
}
