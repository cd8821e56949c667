package validate

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/spec"
)

// format is a kind of file that Read knows.
type format struct {
	name string
	// sign is a column that no other kind has.
	sign string
	read func(name string, data []byte, o *ReadOptions) (*Set, error)
}

var formats = []format{
	{"InferenceX", "gpus_best", readInferenceX},
	{"aiconfigurator silicon points", "silicon_data_source", readSilicon},
	{"Splitwise iteration times", "prompt_time", readSplitwise},
}

// Read reads a file of measurements; its kind shows in its header. A case list is
// YAML.
func Read(name string, data []byte, o ReadOptions) (*Set, error) {
	if o.Engine != "" && !spec.IsPath(o.Engine) {
		if _, err := cost.LoadEngine(o.Engine); err != nil {
			return nil, err
		}
	}
	if o.names == nil {
		o.names = nameCache{}
	}
	header := headerOf(data)
	for _, f := range formats {
		if slices.Contains(header, f.sign) {
			return f.read(name, data, &o)
		}
	}
	lower := strings.ToLower(name)
	if strings.HasSuffix(lower, ".yaml") || strings.HasSuffix(lower, ".yml") || len(header) < 3 && bytes.Contains(data, []byte("cases:")) {
		return readCases(name, data, &o)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", name)
	}
	var signs []string
	for _, f := range formats {
		signs = append(signs, fmt.Sprintf("%s (column %s)", f.name, f.sign))
	}
	return nil, fmt.Errorf("%s: unknown kind of file; want %s, or a case list in YAML (version: 1, cases: …)", name, strings.Join(signs, ", "))
}

func headerOf(data []byte) []string {
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	header, err := in.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return header
}
