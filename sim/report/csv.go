package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/clustersim/clustersim/sim/result"
)

// CSV writes one row of path and value for every leaf of the JSON, in its order:
// latency.ttft_ms.p99,812.4. Elements of lists are numbered from 0.
func CSV(w io.Writer, r *result.Result) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	out := csv.NewWriter(w)
	if err := out.Write([]string{"path", "value"}); err != nil {
		return err
	}
	if err := flatten(dec, "", out); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// flatten writes the next value of a JSON stream, keeping the order of its fields.
func flatten(dec *json.Decoder, path string, out *csv.Writer) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		if token == nil {
			return nil
		}
		return out.Write([]string{path, fmt.Sprint(token)})
	}
	for i := 0; dec.More(); i++ {
		name := strconv.Itoa(i)
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name = fmt.Sprint(key)
		}
		if path != "" {
			name = path + "." + name
		}
		if err := flatten(dec, name, out); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing bracket
	return err
}
