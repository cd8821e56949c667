package validate

import (
	"embed"
	"path"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/spec"
)

// caseFiles are the case lists that ship: published deployments, by where they were
// published.
//
//go:embed cases/*.yaml
var caseFiles embed.FS

// ShippedNames lists the shipped case lists, sorted.
func ShippedNames() []string {
	entries, err := caseFiles.ReadDir("cases")
	if err != nil {
		panic("validate: " + err.Error()) // embedded
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	slices.Sort(names)
	return names
}

// Shipped is a shipped case list's file.
func Shipped(name string) (file string, data []byte, err error) {
	file = name + ".yaml"
	if data, err = caseFiles.ReadFile(path.Join("cases", file)); err != nil {
		return "", nil, spec.UnknownName("case list", name, ShippedNames())
	}
	return file, data, nil
}
