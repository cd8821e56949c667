package net

import (
	"testing"

	"github.com/clustersim/clustersim/sim/des"
)

func TestQuick(t *testing.T) {
	n := New([]float64{1e9})
	n.Start(0, 0, 1000, []int32{0}, 0)
	n.Start(0, 1, 2000, []int32{0}, 0)
	if n.Next() != 2000 {
		t.Fatal(n.Next())
	}
	got := n.Finished(2000, nil)
	if len(got) != 1 || got[0] != 0 || n.Next() != 3000 {
		t.Fatal(got, n.Next())
	}
	_ = des.Never
}
