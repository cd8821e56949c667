package models

import (
	"slices"
	"strings"
	"testing"
)

// A longer draft never yields fewer tokens: where measurements say so, the shorter
// draft's number stands.
func TestAcceptedLengthNeverFalls(t *testing.T) {
	for _, x := range []struct {
		published string
		want      []float64
	}{
		{"[1.6, 1.5, 2.25]", []float64{1.6, 1.6, 2.25}},
		{"[1.9, 1.2, 1.4]", []float64{1.9, 1.9, 1.9}},
		{"[1.5, 2, 2.5]", []float64{1.5, 2, 2.5}},
	} {
		text := strings.Replace(small, "source: test",
			"source: test\nmtp: {layers: [full/moe], projection: joint, embeddings: shared, accepted_length: "+x.published+", accepted_source: a}", 1)
		m, err := fromYAML("x.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.AcceptedLength, x.want) {
			t.Errorf("%s: %v, want %v", x.published, m.AcceptedLength, x.want)
		}
	}
}
