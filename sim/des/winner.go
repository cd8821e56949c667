package des

// Winner is a tournament tree over entities 0..n-1, each with at most one next
// event. Set is O(log n) and allocates nothing; Next is O(1). Equal times go to
// the lower entity, so the order of events depends on nothing but the times and
// the numbering.
type Winner struct {
	size int // leaves, a power of two
	at   []Time
	best []int32 // best[i] is the winning entity below node i; leaves start at size
}

// NewWinner makes a tournament in which every entity is at Never.
func NewWinner(n int) *Winner {
	size := 1
	for size < n {
		size *= 2
	}
	w := &Winner{size: size, at: make([]Time, size), best: make([]int32, 2*size)}
	for i := range w.at {
		w.at[i] = Never
		w.best[size+i] = int32(i)
	}
	for i := size - 1; i >= 1; i-- {
		w.best[i] = w.best[2*i]
	}
	return w
}

// Set schedules, reschedules or (with Never) cancels an entity's next event.
func (w *Winner) Set(entity int, t Time) {
	if w.at[entity] == t {
		return
	}
	w.at[entity] = t
	for i := (w.size + entity) / 2; i >= 1; i /= 2 {
		left, right := w.best[2*i], w.best[2*i+1]
		if w.at[right] < w.at[left] {
			left = right
		}
		w.best[i] = left
	}
}

// At is the time at which an entity acts next.
func (w *Winner) At(entity int) Time { return w.at[entity] }

// Next is the entity that acts next and when; the time is Never when nothing is left.
func (w *Winner) Next() (entity int, t Time) {
	e := w.best[1]
	return int(e), w.at[e]
}
