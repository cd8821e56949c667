package bench

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/clustersim/clustersim/models"
)

// Last is the last level that is timed.
const Last = 3

// Graded is a precision and how many levels after its family it comes.
type Graded struct {
	Name  string
	Level int
}

// Point is a number of tokens or sequences, and the context of each (0: none).
type Point struct {
	Tokens, Context int64
	Level           int
}

// Family is one operator of one shape on one rank; {m} in the shape is a point's Tokens.
type Family struct {
	Op, Shape string
	Ranks     int64 // expert parallelism, 0 where it has no meaning
	Level     int
	Formats   []Graded
	Points    []Point
}

// Families are those of a model, each once, in the order of first use.
func Families(m *models.Model) []Family {
	s := &set{model: m, at: map[string]int{}}
	for _, layers := range [][]models.Layer{m.Layers, m.MTP} {
		for _, l := range layers {
			s.attention(l.Attention)
			s.ffn(l.FFN)
		}
	}
	for _, l := range m.MTPLinears {
		s.linear(l, rows)
	}
	s.linear(m.Head, headRows)
	s.between()
	return s.found
}

// Measurements is how many rows a script for the families has at most.
func Measurements(fs []Family) int {
	n := 0
	for _, f := range fs {
		for _, p := range f.Points {
			for _, d := range f.Formats {
				if f.Level+p.Level+d.Level <= Last {
					n++
				}
			}
		}
	}
	return n
}

// set collects families; one that is there already keeps its place, takes the earlier
// level, and gains what formats and points it had not.
type set struct {
	model *models.Model
	found []Family
	at    map[string]int
}

func (s *set) add(f Family) {
	key := fmt.Sprintf("%s|%s|%d", f.Op, f.Shape, f.Ranks)
	i, known := s.at[key]
	if !known {
		s.at[key] = len(s.found)
		s.found = append(s.found, f)
		return
	}
	old := &s.found[i]
	old.Level = min(old.Level, f.Level)
	old.Formats = merge(old.Formats, f.Formats, func(a, b Graded) int { return cmp.Compare(a.Name, b.Name) }, func(g *Graded) *int { return &g.Level })
	old.Points = merge(old.Points, f.Points, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Context, b.Context), cmp.Compare(a.Tokens, b.Tokens))
	}, func(p *Point) *int { return &p.Level })
}

// merge adds what is new to a list; what is there takes the earlier level.
func merge[T any](list, more []T, compare func(a, b T) int, level func(*T) *int) []T {
	list = slices.Clone(list)
	for _, x := range more {
		i := slices.IndexFunc(list, func(y T) bool { return compare(x, y) == 0 })
		if i < 0 {
			list = append(list, x)
			continue
		}
		*level(&list[i]) = min(*level(&list[i]), *level(&x))
	}
	return list
}

// degrees are the tensor-parallel cuts and the level each comes in: the uncut and the
// whole node of 8 first. More ranks than heads are not tried.
func degrees(heads int64) []Point {
	var out []Point
	for _, tp := range []Point{{Tokens: 1}, {Tokens: 8}, {Tokens: 2, Level: 1}, {Tokens: 4, Level: 1}, {Tokens: 16, Level: 1}} {
		if tp.Tokens <= heads {
			out = append(out, tp)
		}
	}
	return out
}

// heads is the most that attention can be cut in.
func (s *set) heads() int64 {
	most := int64(1)
	for _, l := range s.model.Layers {
		most = max(most, l.Attention.Heads)
	}
	return most
}

// Grids of rows.
var (
	rows     = tokens(0, 1, 64, 2048).and(1, 16, 256, 8192).and(2, 4, 128, 1024)
	headRows = tokens(0, 1, 64).and(1, 16, 256).and(2, 4, 128) // only the last token of a prompt gets there
	few      = tokens(0, 1, 128, 4096).and(1, 16, 1024).and(2, 16384)
)

// grid is a list of points.
type grid []Point

func tokens(level int, counts ...int64) grid { return grid(nil).and(level, counts...) }

func (g grid) and(level int, counts ...int64) grid {
	g = slices.Clone(g)
	for _, n := range counts {
		g = append(g, Point{Tokens: n, Level: level})
	}
	return g
}

// at adds points of a context each.
func (g grid) at(level int, context int64, counts ...int64) grid {
	g = slices.Clone(g)
	for _, n := range counts {
		g = append(g, Point{Tokens: n, Context: context, Level: level})
	}
	return g
}

// within drops the points beyond the model's context.
func (g grid) within(most int64) grid {
	return slices.DeleteFunc(slices.Clone(g), func(p Point) bool { return p.Context > most })
}

// wide is the format of what is never stored narrower.
var wide = []Graded{{Name: "bfloat16"}}

// narrow are the precisions that a projection may be served in: FP8 and the
// checkpoint's own first, what needs another checkpoint a level later.
func narrow(stored models.Format) []Graded {
	out := []Graded{{Name: "fp8"}, {Name: "fp8_block", Level: 1}, {Name: "int8", Level: 1}, {Name: "nvfp4", Level: 1}}
	for i := range out {
		if out[i].Name == string(stored) {
			out[i].Level = 0
		}
	}
	return out
}

// quantised tells whether a projection may be served in 8 or 4 bits: not the head, nor
// what is multiplied in BF16 whatever it is stored in, nor routers and compressors,
// which checkpoints leave in BF16.
func quantised(l models.Linear) bool {
	return l.Name != "head" && l.Compute == "" && (l.Format != models.BF16 || l.Shard != models.Replicated)
}

// linear adds a projection under every cut. Groups that share no input are a grouped
// product. gemm is the product of BF16 operands, gemm_fused one on operands that are
// quantised already.
func (s *set) linear(l models.Linear, at grid) {
	for _, tp := range degrees(s.heads()) {
		cut := l.Cut(tp.Tokens)
		if cut.Out*cut.Groups < 128 || cut.In < 128 {
			continue
		}
		if cut.Groups > 1 {
			shape := fmt.Sprintf("groups=%d;m_per_group={m};n=%d;k=%d", cut.Groups, cut.Out, cut.In)
			s.add(Family{Op: "grouped_gemm_contiguous", Shape: shape, Level: tp.Level, Formats: wide, Points: at})
			continue
		}
		shape := fmt.Sprintf("m={m};n=%d;k=%d", cut.Out, cut.In)
		s.add(Family{Op: "gemm", Shape: shape, Level: tp.Level, Formats: wide, Points: at})
		if quantised(l) {
			s.add(Family{Op: "gemm_fused", Shape: shape, Level: tp.Level, Formats: narrow(l.Format), Points: at})
		}
		if l.Shard == models.Replicated {
			break
		}
	}
}

// between adds the small operators between the big ones: a norm, a gated activation,
// and hyper-connections where the model has them.
func (s *set) between() {
	h := s.model.Hidden
	s.add(Family{Op: "elementwise", Shape: fmt.Sprintf("layer_norm;h=%d;kernels=1;bytes={m*%d}", h, 4*h), Formats: wide, Points: few})
	s.add(Family{Op: "elementwise", Shape: fmt.Sprintf("glu;h=%d;kernels=1;bytes={m*%d}", 2*h, 6*h), Formats: wide, Points: few})
	if s.model.HC > 1 {
		for _, op := range []string{"mhc_pre", "mhc_post"} {
			s.add(Family{Op: op, Shape: fmt.Sprintf("d=%d;hc=%d", h, s.model.HC), Formats: wide, Points: few})
		}
	}
}
