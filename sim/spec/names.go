package spec

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Nearest returns the candidate closest to name by edit distance, or "" when
// none is close enough to be a likely slip.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", len(name)/2+2
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// UnknownName is the error for a name that no list has: it names the nearest
// one and, when the list is short, all of them.
func UnknownName(kind, name string, candidates []string) error {
	sorted := slices.Sorted(slices.Values(candidates))
	msg := fmt.Sprintf("unknown %s %q", kind, name)
	if near := Nearest(name, sorted); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	if len(sorted) > 0 {
		msg += fmt.Sprintf(" (known: %s)", strings.Join(sorted, ", "))
	}
	return fmt.Errorf("%s", msg)
}

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

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			substitution := diagonal
			if a[i-1] != b[j-1] {
				substitution++
			}
			diagonal = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, substitution)
		}
	}
	return row[len(b)]
}
