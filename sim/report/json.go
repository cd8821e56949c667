package report

import (
	"encoding/json"
	"io"

	"github.com/clustersim/clustersim/sim"
)

// JSON writes the result as the stable surface that it is, indented.
func JSON(w io.Writer, r *sim.Result) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
