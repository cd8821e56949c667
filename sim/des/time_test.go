package des

import "testing"

func TestTimeRoundsToTheNearestNanosecond(t *testing.T) {
	for s, want := range map[float64]Time{0: 0, 1: 1e9, 1.4e-9: 1, 1.6e-9: 2, 0.5e-9: 1, 3600: 3.6e12, 1e-10: 0} {
		if got := FromSeconds(s); got != want {
			t.Errorf("%g s: %d ns, want %d", s, got, want)
		}
	}
	for _, ns := range []Time{0, 1, 999_999_999, 1_000_000_001, 86_400e9} {
		if got := FromSeconds(ns.Seconds()); got != ns {
			t.Errorf("%d ns is %d ns after going through seconds", ns, got)
		}
	}
}
