package plant

import (
	"strings"
	"testing"

	"github.com/clustersim/clustersim/sim/scenario"
)

func with(t *testing.T, text string, sets ...string) *scenario.Scenario {
	t.Helper()
	s, err := Read("s.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		path, value, _ := strings.Cut(set, "=")
		if err := s.Set(path, value); err != nil {
			t.Fatal(err)
		}
	}
	s.Defaults()
	return s
}
