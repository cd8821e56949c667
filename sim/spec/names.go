package spec

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Nearest returns the candidate closest to name by edit distance (insertion, deletion,
// substitution and swapped neighbours count one each, case none), the first of equals,
// or "" when none is close enough to be a likely slip.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", len(name)/2+2
	if len(name) > longestName {
		return ""
	}
	for _, c := range candidates {
		d := distance(strings.ToLower(name), strings.ToLower(c))
		if d < bestDistance && d < max(len(name), len(c)) {
			best, bestDistance = c, d
		}
	}
	return best
}

// NameIn is the candidate that a name means, which may be written in letters of any case,
// or "" when none is it. One that is written the same goes before others.
func NameIn(name string, candidates []string) string {
	if name == "" || slices.Contains(candidates, name) {
		return name
	}
	for _, c := range candidates {
		if strings.EqualFold(c, name) {
			return c
		}
	}
	return ""
}

// UnknownName is the error for a name that no list has: it names the nearest one and,
// when the list is short, all of them.
func UnknownName(kind, name string, candidates []string) error {
	sorted := slices.Sorted(slices.Values(candidates))
	msg := fmt.Sprintf("unknown %s %q", kind, Clip(name))
	near := Nearest(name, sorted)
	if near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	switch more := len(sorted) - listed; {
	case len(sorted) == 0 || near != "" && more > 0:
	case more > 0:
		msg += fmt.Sprintf(" (known: %s and %d more)", strings.Join(sorted[:listed], ", "), more)
	default:
		msg += fmt.Sprintf(" (known: %s)", strings.Join(sorted, ", "))
	}
	return fmt.Errorf("%s", msg)
}

// longestName is how long a name may be, in bytes, that is a slip of another one.
const longestName = 200

// Clip shortens what an error quotes: a name as long as a file would bury the error.
func Clip(text string) string {
	if len(text) <= longestName {
		return text
	}
	return strings.ToValidUTF8(text[:longestName], "") + "…"
}

// listed is how many names an error lists: more would fill the screen.
const listed = 24

// YAMLNames lists the *.yaml files in a folder of fsys, without extension.
func YAMLNames(fsys fs.FS, dir string) []string {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if n, ok := strings.CutSuffix(e.Name(), ".yaml"); ok && !e.IsDir() {
			names = append(names, n)
		}
	}
	return names
}

// IsPath reports whether a reference names a file rather than something shipped.
func IsPath(ref string) bool {
	return strings.ContainsAny(ref, `/\`) || path.Ext(ref) == ".yaml" || path.Ext(ref) == ".yml" || path.Ext(ref) == ".json"
}

// distance is the optimal string alignment distance over bytes.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			substitution := last[j-1]
			if a[i-1] != b[j-1] {
				substitution++
			}
			row[j] = min(last[j]+1, row[j-1]+1, substitution)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
