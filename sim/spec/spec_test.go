package spec

import "testing"

func TestParseReportsEverythingWithPositions(t *testing.T) {
	var out struct {
		Name string `yaml:"name"`
		HBM  struct {
			Capacity  Bytes     `yaml:"capacity"`
			Bandwidth Bandwidth `yaml:"bandwidth"`
		} `yaml:"hbm"`
	}
	doc := Parse("x.yaml", []byte("name: a\nhbm:\n  capasity: 80GiB\n  bandwidth: 900\n"), &out)
	doc.Errorf("hbm.bandwidth", "must be positive")
	t.Log(doc.Err())
	if len(doc.Err().(Problems)) != 3 {
		t.Fatal(doc.Err())
	}
}
