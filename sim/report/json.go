package report

import (
	"encoding/json"
	"io"

	"github.com/clustersim/clustersim/sim/result"
)

// JSON writes the result as the stable surface that it is, indented.
func JSON(w io.Writer, r *result.Result) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
