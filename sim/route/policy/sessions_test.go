package policy

import (
	"testing"

	"pgregory.net/rapid"
)

// The last sessions, limit of them at least and twice as many at most, have their last places; a session
// older than those is new.
func TestSessionsRememberTheLast(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(r, "limit")
		s := newSessions(limit)
		var recent []uint64 // the last one last, each once
		places := map[uint64]place{}
		for n := range rapid.IntRange(1, 60).Draw(r, "uses") {
			id := rapid.Uint64Range(1, 20).Draw(r, "session")
			age := -1
			for k, other := range recent {
				if other == id {
					age = len(recent) - 1 - k
					recent = append(recent[:k:k], recent[k+1:]...)
					break
				}
			}
			at, known := s.find(id)
			if age >= 0 && age < limit && (!known || at != places[id]) {
				r.Fatalf("session %d, %d others ago, is at %v, %v; want %v", id, age, at, known, places[id])
			}
			if known && (age < 0 || age >= 2*limit) {
				r.Fatalf("session %d is known, %d others ago", id, age)
			}
			recent = append(recent, id)
			places[id] = place{int32(n), int32(n)}
			s.put(id, places[id])
			if len(s.young)+len(s.old) > 2*limit {
				r.Fatalf("%d sessions are kept, limit %d", len(s.young)+len(s.old), limit)
			}
		}
	})
}

// nowhere is a pool whose least loaded rank is another at every look.
type nowhere struct{ looks int }

func (n *nowhere) Least() int             { n.looks++; return n.looks }
func (n *nowhere) LeastRank(int) int      { return 0 }
func (n *nowhere) Key(int) int64          { return 0 }
func (n *nowhere) RankKey(int, int) int64 { return 0 }

// A session that goes on stays where it is, however many others come and go meanwhile.
func TestSessionThatGoesOnIsRemembered(t *testing.T) {
	v := View{Instances: 1 << 30, Ranks: 1, Loads: &nowhere{}}
	s := newSessions(4)
	at, _ := s.pick(&v, &Request{Session: 1})
	for n := range uint64(100) {
		s.pick(&v, &Request{Session: 2 + n})
		if n%3 == 0 {
			if again, _ := s.pick(&v, &Request{Session: 1}); again != at {
				t.Fatalf("after %d other sessions it goes to %d, its first request went to %d", n+1, again, at)
			}
		}
	}
}

func TestSessionsDoNotAllocate(t *testing.T) {
	s, id := newSessions(1000), uint64(0)
	use := func() {
		id++
		s.find(id)
		s.put(id, place{1, 2})
	}
	for range 5000 {
		use()
	}
	if n := testing.AllocsPerRun(5000, use); n != 0 {
		t.Errorf("%v allocations a new session", n)
	}
}
