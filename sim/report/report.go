package report

import (
	"io"

	"github.com/clustersim/clustersim/sim/result"
	"github.com/clustersim/clustersim/sim/spec"
)

// Format is one way of writing a result.
type Format struct {
	Name  string
	Write func(w io.Writer, r *result.Result) error
}

// Formats are all there are, the default first.
var Formats = []Format{
	{"text", Text},
	{"json", JSON},
	{"csv", CSV},
}

// Find is the writer of a format's name.
func Find(name string) (func(io.Writer, *result.Result) error, error) {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		if f.Name == name {
			return f.Write, nil
		}
		names[i] = f.Name
	}
	return nil, spec.UnknownName("report format", name, names)
}
