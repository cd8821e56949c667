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

// family groups models that are built alike, for tables. A model that is in no
// group stands for itself.
func family(model string) string {
	for _, f := range families {
		for _, prefix := range f.prefixes {
			if strings.HasPrefix(model, prefix) {
				return f.name
			}
		}
	}
	return model
}

// families, the first that fits: Kimi-K2 has DeepSeek-V3's layers but other
// checkpoints, so it stands apart.
var families = []struct {
	name     string
	prefixes []string
}{
	{"deepseek-v4", []string{"deepseek-v4"}},
	{"deepseek-v3.2", []string{"deepseek-v3.2"}},
	{"deepseek-v3/r1", []string{"deepseek-v3", "deepseek-r1"}},
	{"kimi-k2", []string{"kimi-k2"}},
	{"glm-5", []string{"glm-5"}},
	{"gpt-oss", []string{"gpt-oss"}},
	{"llama", []string{"llama-"}},
	{"qwen3.5", []string{"qwen3.5", "qwen3-next"}},
	{"qwen3-dense", []string{"qwen3-8b", "qwen3-14b", "qwen3-32b", "qwen2.5"}},
	{"qwen3-moe", []string{"qwen3-"}},
	{"minimax-m2", []string{"minimax-m2"}},
	{"mixtral", []string{"mixtral"}},
}
