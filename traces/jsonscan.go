package traces

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// scanner reads one line of JSON in place. It is written out, rather than left to
// a library, for three things at once: strictness (unknown and repeated keys,
// exact decimals, unsigned 64-bit ids), errors that name the field, and no
// allocation a line. encoding/json judges it in a fuzz test.
type scanner struct {
	b  []byte
	at int
}

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// take steps over c, if it is next but for space.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.b)
}

// text is the next string without its quotes. Escapes, rare in keys, are left to
// encoding/json.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	start, plain := s.at, true
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; {
		case c == '"':
			raw := s.b[start:s.at]
			s.at++
			if plain {
				return raw, true
			}
			var out string
			if json.Unmarshal(s.b[start-1:s.at], &out) != nil {
				return nil, false
			}
			return []byte(out), true
		case c == '\\':
			plain = false
			s.at++
		case c < 0x20 || c >= 0x80:
			plain = false
		}
	}
	return nil, false
}

// number is the text of the next number, checked against JSON's grammar.
func (s *scanner) number() ([]byte, bool) {
	s.space()
	start := s.at
	if s.peek('-') {
		s.at++
	}
	if zero := s.peek('0'); s.digits() == 0 || zero && s.at > start+1 && s.leadingZero(start) {
		return nil, false
	}
	if s.peek('.') {
		s.at++
		if s.digits() == 0 {
			return nil, false
		}
	}
	if s.peek('e') || s.peek('E') {
		s.at++
		if s.peek('+') || s.peek('-') {
			s.at++
		}
		if s.digits() == 0 {
			return nil, false
		}
	}
	return s.b[start:s.at], true
}

func (s *scanner) leadingZero(start int) bool {
	whole := s.b[start:s.at]
	if whole[0] == '-' {
		whole = whole[1:]
	}
	return len(whole) > 1
}

func (s *scanner) peek(c byte) bool { return s.at < len(s.b) && s.b[s.at] == c }

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.b) && s.b[s.at] >= '0' && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

// skip steps over any one value.
func (s *scanner) skip() bool {
	s.space()
	start, depth := s.at, 0
	for s.at < len(s.b) {
		switch c := s.b[s.at]; {
		case c == '"':
			if _, ok := s.text(); !ok {
				return false
			}
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth < 0 || depth == 0 && s.b[s.at] == ',' {
			break
		}
		s.at++
	}
	return s.at > start && json.Valid(s.b[start:s.at])
}

// ids appends the next array of unsigned 64-bit integers to out.
func (s *scanner) ids(out []uint64) ([]uint64, error) {
	if !s.take('[') {
		return out, fmt.Errorf("must be an array of whole numbers")
	}
	if s.take(']') {
		return out, nil
	}
	for {
		text, ok := s.number()
		if !ok {
			return out, fmt.Errorf("id %d is not a whole number", len(out))
		}
		id, ok := unsigned(text)
		if !ok {
			return out, fmt.Errorf("id %d must be a whole number from 0 to %d, got %s", len(out), uint64(math.MaxUint64), clip(text))
		}
		out = append(out, id)
		if s.take(']') {
			return out, nil
		}
		if !s.take(',') {
			return out, fmt.Errorf("lacks a comma or ] after id %d", len(out)-1)
		}
	}
}

func unsigned(text []byte) (uint64, bool) {
	if len(text) == 0 {
		return 0, false
	}
	v := uint64(0)
	for _, c := range text {
		d := uint64(c - '0')
		if c < '0' || c > '9' || v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// wholeNumber reads decimal digits with an optional minus sign; 12.0 and 1e3 are
// whole as well.
func wholeNumber(text []byte) (int64, bool) {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if v, ok := unsigned(digits); ok && v <= math.MaxInt64 {
		if len(digits) < len(text) {
			return -int64(v), true
		}
		return int64(v), true
	}
	v, ok := fixedPoint(text, 0)
	f, err := strconv.ParseFloat(string(text), 64)
	if !ok || err != nil || f != math.Trunc(f) {
		return 0, false
	}
	return v, true
}

// fixedPoint reads a decimal number times 10^places, rounded half away from
// zero; without an exponent it is exact. It fails beyond ±2⁶².
func fixedPoint(text []byte, places int) (int64, bool) {
	if bytes.ContainsAny(text, "eE") {
		return fromFloat(text, places)
	}
	digits, negative := bytes.CutPrefix(text, []byte("-"))
	whole, fraction, point := bytes.Cut(digits, []byte("."))
	v, ok := unsigned(whole)
	if !ok || v > uint64(maxTime) || point && len(fraction) == 0 {
		return 0, false
	}
	for i := range max(places+1, len(fraction)) {
		c := byte('0')
		if i < len(fraction) {
			c = fraction[i]
		}
		switch {
		case c < '0' || c > '9':
			return 0, false
		case i < places && v > uint64(maxTime)/10-1:
			return 0, false
		case i < places:
			v = v*10 + uint64(c-'0')
		case i == places && c >= '5':
			v++
		}
	}
	if negative {
		return -int64(v), true
	}
	return int64(v), true
}

// fromFloat takes what has an exponent, and refuses the words and bases that
// ParseFloat knows besides.
func fromFloat(text []byte, places int) (int64, bool) {
	for _, c := range text {
		if (c < '0' || c > '9') && bytes.IndexByte([]byte("+-.eE"), c) < 0 {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	f = math.Round(f * math.Pow10(places))
	if err != nil || !(math.Abs(f) < float64(maxTime)) {
		return 0, false
	}
	return int64(f), true
}

// clampTokens keeps what is out of range out of range: checks come later, at the
// one place that all formats share.
func clampTokens(n int64) int32 { return int32(max(-1, min(n, MaxTokens+1))) }
