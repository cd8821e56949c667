package traces

import "time"

// wallClock reads 2023-11-16 18:17:03.9799600, with up to nine decimals, a T for
// the space, and Z or ±hh:mm behind it, as nanoseconds since 1970. It is written
// out because time.Parse allocates and takes a third of the time of a row.
func wallClock(b []byte) (ns int64, ok bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != ' ' && b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	var part [6]int
	for i, at := range [6][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		n, valid := unsigned(b[at[0]:at[1]])
		if !valid {
			return 0, false
		}
		part[i] = int(n)
	}
	t := time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], 0, time.UTC)
	// Date carries over what is out of range, so a field that comes back changed was wrong.
	if t.Month() != time.Month(part[1]) || t.Day() != part[2] || t.Hour() != part[3] || t.Minute() != part[4] || t.Second() != part[5] {
		return 0, false
	}
	if part[0] < 1970 || part[0] > 2200 {
		return 0, false
	}
	fraction, rest, ok := decimals(b[19:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	return t.Unix()*1e9 + fraction - offset, ok
}

// decimals reads up to nine digits behind a point, if there is one, as nanoseconds.
func decimals(b []byte) (ns int64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' {
		return 0, b, true
	}
	n := 1
	for ; n < len(b) && n <= 9 && b[n] >= '0' && b[n] <= '9'; n++ {
		ns = ns*10 + int64(b[n]-'0')
	}
	for i := n; i <= 9; i++ {
		ns *= 10
	}
	return ns, b[n:], n > 1
}

// zone is the offset of Z, ±hh:mm or nothing from UTC in nanoseconds.
func zone(b []byte) (ns int64, ok bool) {
	if len(b) == 0 || len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	h, okH := unsigned(b[1:3])
	m, okM := unsigned(b[4:6])
	if !okH || !okM || h > 23 || m > 59 {
		return 0, false
	}
	ns = int64(h*3600+m*60) * 1e9
	if b[0] == '-' {
		ns = -ns
	}
	return ns, true
}
