package policy

var sessionSticky = Policy{
	Name: "session-sticky",
	Doc:  "the rank that served the session's last request; for a new session, or none, as least-loaded",
	Long: `A session is a conversation that a trace or a generated workload numbers. Requests that have none are
least-loaded, and so is every pick of a pool that only decodes: nothing of a session stays there. The last 500,000
sessions at least are remembered; one that comes back after more than that many others is new.`,
	New: func(s Setup) Pick {
		if !s.Prefills {
			return least
		}
		return newSessions(sessionsKept).pick
	},
}

// sessionsKept bounds what a router remembers, to some tens of megabytes.
const sessionsKept = 500_000

// place is a rank of an instance.
type place struct{ instance, rank int32 }

// sessions remembers the places of the last sessions, at least limit of them and at most twice as many: when young is full
// it becomes old, and what was old and has not been asked for since is forgotten.
type sessions struct {
	limit      int
	young, old map[uint64]place
}

func newSessions(limit int) *sessions {
	return &sessions{limit: limit, young: map[uint64]place{}, old: map[uint64]place{}}
}

func (s *sessions) pick(v *View, r *Request) (instance, rank int) {
	if r.Session == 0 {
		return least(v, r)
	}
	at, known := s.find(r.Session)
	if !known || int(at.instance) >= v.Instances || int(at.rank) >= v.Ranks {
		instance, rank = least(v, r)
		at = place{int32(instance), int32(rank)}
	}
	s.put(r.Session, at)
	return int(at.instance), int(at.rank)
}

func (s *sessions) find(session uint64) (place, bool) {
	if at, ok := s.young[session]; ok {
		return at, true
	}
	at, ok := s.old[session]
	return at, ok
}

func (s *sessions) put(session uint64, at place) {
	s.young[session] = at
	if len(s.young) >= s.limit {
		clear(s.old)
		s.young, s.old = s.old, s.young
	}
}
