package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// columns is how wide the text report may be, labelWidth how much of it labels take.
const (
	columns    = 100
	labelWidth = 18
)

// count writes an integer with separated thousands.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// figure writes a number with four significant digits and separated thousands.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 999.95:
		return count(int64(math.Round(v)))
	case a >= 99.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 9.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a >= 0.001:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// si writes a number with a decimal prefix: 1.23 M.
func si(v float64) string {
	const prefixes = "kMGTPE"
	i := -1
	for math.Abs(v) >= 999.5 && i+1 < len(prefixes) {
		v /= 1000
		i++
	}
	if i < 0 {
		return figure(v) + " "
	}
	return figure(v) + " " + prefixes[i:i+1]
}

func percent(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }

func seconds(s float64) string { return figure(s) + " s" }

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// bar draws a fraction in eighths of a cell, padded to the width.
func bar(fraction float64, cells int) string {
	const eighths = " ▏▎▍▌▋▊▉"
	n := int(math.Round(min(max(fraction, 0), 1) * float64(8*cells)))
	out := strings.Repeat("█", n/8)
	if n%8 > 0 {
		out += string([]rune(eighths)[n%8])
	}
	return out + strings.Repeat(" ", cells-utf8.RuneCountInString(out))
}
