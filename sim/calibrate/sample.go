package calibrate

import (
	"cmp"
	"slices"

	"github.com/clustersim/clustersim/sim/cost/law"
)

// Sample is one measured call of one operator: repeats of a key are one sample, of
// their median.
type Sample struct {
	Class, Variant string // of a chip's operators block: whose constants predict it
	Kernel         string // what ran
	Part           string // of a class whose kernels were timed apart: which
	Shape          string // what tests on left-out shapes split by: a layer, not its load
	Key            string // shape and load
	Size           float64
	Rare           bool // a shape that hardly any layer has: it counts little
	Seconds        float64
	Rows           int // rows of the table that it stands for
	// Time is what the law says of the call.
	Time func(*law.Set) law.Time

	spread []float64 // all the seconds, until they are merged
}

// LeftOut are rows that no fit uses, and why.
type LeftOut struct {
	File string `json:"file"`
	Why  string `json:"why"`
	Rows int    `json:"rows"`
}

// Rows is what was read of a file, or of several.
type Rows struct {
	Files   []string
	Samples []*Sample
	LeftOut []LeftOut
	Read    int

	index map[string]*Sample
}

// add files a sample under its key.
func (r *Rows) add(s *Sample) {
	if r.index == nil {
		r.index = map[string]*Sample{}
	}
	key := s.Class + "\x00" + s.Variant + "\x00" + s.Kernel + "\x00" + s.Part + "\x00" + s.Key
	first, ok := r.index[key]
	if !ok {
		r.index[key], r.Samples = s, append(r.Samples, s)
		first = s
	}
	first.spread = append(first.spread, s.Seconds)
}

func (r *Rows) leave(file, why string) {
	for i := range r.LeftOut {
		if r.LeftOut[i].File == file && r.LeftOut[i].Why == why {
			r.LeftOut[i].Rows++
			return
		}
	}
	r.LeftOut = append(r.LeftOut, LeftOut{file, why, 1})
}

// settle gives every sample the median of its repeats and puts all in an order that
// does not depend on the files'.
func (r *Rows) settle() {
	for _, s := range r.Samples {
		slices.Sort(s.spread)
		n := len(s.spread)
		s.Rows, s.Seconds = n, (s.spread[(n-1)/2]+s.spread[n/2])/2
		s.spread = nil
	}
	slices.SortFunc(r.Samples, func(a, b *Sample) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Variant, b.Variant), cmp.Compare(a.Kernel, b.Kernel),
			cmp.Compare(a.Part, b.Part), cmp.Compare(a.Shape, b.Shape), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Key, b.Key))
	})
	r.index = nil
}
