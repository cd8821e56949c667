package topologies

import (
	"fmt"
	"strconv"
	"strings"
)

// lookup follows a dotted path such as "tiers[1].tau.endpoint" through decoded YAML.
func lookup(root any, path string) (any, bool) {
	at := root
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		switch v := at.(type) {
		case map[string]any:
			next, ok := v[part]
			if !ok {
				return nil, false
			}
			at = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			at = v[i]
		default:
			return nil, false
		}
	}
	return at, true
}

// scalarText writes a decoded YAML scalar, and says whether it is one.
func scalarText(v any) (string, bool) {
	switch v.(type) {
	case string, int, int64, uint64, float64, bool:
		return fmt.Sprint(v), true
	}
	return "", false
}
