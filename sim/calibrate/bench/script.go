package bench

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/clustersim/clustersim/models"
)

// The script's parts, one after the other.
var (
	//go:embed script/1_points.py
	points1 string
	//go:embed script/2_device.py
	device2 string
	//go:embed script/3_operators.py
	operators3 string
	//go:embed script/4_measure.py
	measure4 string
)

// FileName is what the script for a model is called.
func FileName(m *models.Model) string { return "bench_" + word(m.Name) + ".py" }

// Write writes the script for a model. version names the program that wrote it, in
// every row that is measured.
func Write(w io.Writer, m *models.Model, version string) error {
	if err := untimed(m); err != nil {
		return err
	}
	_, err := strings.NewReplacer(
		"@SHAPES@", Table(Families(m)), "@MODEL@", word(m.Name), "@FILE@", FileName(m), "@VERSION@", word(version),
	).WriteString(w, points1+device2+operators3+measure4)
	return err
}

// word is a text that a quoted Python string and a field of words can hold.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n\"'\\", r) {
			return '-'
		}
		return r
	}, s)
}

// Table writes families a line each. Those that differ in one number of their shapes
// and in their levels alone share a line: {1 2+1}.
func Table(fs []Family) string {
	var groups [][]Family
	for _, f := range fs {
		at := slices.IndexFunc(groups, func(g []Family) bool { return alike(append(slices.Clip(g), f)) })
		if at < 0 {
			groups = append(groups, []Family{f})
			continue
		}
		groups[at] = append(groups[at], f)
	}
	lines := make([]string, len(groups))
	for i, g := range groups {
		lines[i] = line(g)
	}
	return strings.Join(lines, "\n")
}

// alike tells whether families differ in nothing but level and one number of the shape.
func alike(fs []Family) bool {
	_, ok := braced(fs)
	for _, f := range fs[1:] {
		ok = ok && f.Op == fs[0].Op && f.Ranks == fs[0].Ranks && formats(f) == formats(fs[0]) && points(f) == points(fs[0])
	}
	return ok
}

// braced is the common shape of families with the values of the one number in which
// they differ in braces.
func braced(fs []Family) (string, bool) {
	first := parts(fs[0].Shape)
	base, at := fs[0].Level, -1
	for _, f := range fs {
		base = min(base, f.Level)
		p := parts(f.Shape)
		if len(p) != len(first) {
			return "", false
		}
		for i := range p {
			if p[i] == first[i] {
				continue
			}
			if at >= 0 && at != i {
				return "", false
			}
			at = i
		}
	}
	if at < 0 {
		return fs[0].Shape, len(fs) == 1
	}
	var values []string
	for _, f := range fs {
		value := parts(f.Shape)[at]
		if _, err := strconv.Atoi(value); err != nil {
			return "", false
		}
		values = append(values, later(value, f.Level-base))
	}
	first[at] = "{" + strings.Join(values, " ") + "}"
	return strings.Join(first, ""), true
}

// parts cuts a shape into its numbers and what is between them.
func parts(shape string) []string {
	var out []string
	digit := func(r byte) bool { return r >= '0' && r <= '9' }
	for start := 0; start < len(shape); {
		end := start + 1
		for end < len(shape) && digit(shape[end]) == digit(shape[start]) {
			end++
		}
		out = append(out, shape[start:end])
		start = end
	}
	return out
}

func line(fs []Family) string {
	shape, _ := braced(fs)
	level, ranks := fs[0].Level, ""
	for _, f := range fs {
		level = min(level, f.Level)
	}
	if fs[0].Ranks > 0 {
		ranks = strconv.FormatInt(fs[0].Ranks, 10)
	}
	return fmt.Sprintf("%d | %s | %s | %s | %s | %s", level, fs[0].Op, shape, ranks, formats(fs[0]), points(fs[0]))
}

func later(s string, levels int) string {
	if levels == 0 {
		return s
	}
	return s + "+" + strconv.Itoa(levels)
}

func formats(f Family) string {
	words := make([]string, len(f.Formats))
	for i, d := range f.Formats {
		words[i] = later(d.Name, d.Level)
	}
	return strings.Join(words, " ")
}

func points(f Family) string {
	words := make([]string, len(f.Points))
	for i, p := range f.Points {
		at := strconv.FormatInt(p.Tokens, 10)
		if p.Context > 0 {
			at += "@" + strconv.FormatInt(p.Context, 10)
		}
		words[i] = later(at, p.Level)
	}
	return strings.Join(words, " ")
}
