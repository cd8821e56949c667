package validate

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// ReadReport reads what JSON wrote; name is what errors call it.
func ReadReport(name string, data []byte) (*Report, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	r := &Report{}
	if err := dec.Decode(r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	// Rows of one deployment are told together, by the causes that they share.
	shared := map[Causes]*Causes{}
	for i := range r.Rows {
		row := &r.Rows[i]
		row.kind = row.Metric
		if f, err := findMetric(row.Metric); err == nil {
			row.kind = f.kind
		}
		if row.Causes == nil {
			return nil, fmt.Errorf("%s: rows[%d]: causes are missing: it was written by an earlier version", name, i)
		}
		if shared[*row.Causes] == nil {
			shared[*row.Causes] = row.Causes
		}
		row.Causes = shared[*row.Causes]
	}
	if len(r.Summary.Groups) > 0 {
		for _, k := range r.Summary.Groups[0].By {
			r.by = append(r.by, k.Key)
		}
	}
	return r, nil
}
