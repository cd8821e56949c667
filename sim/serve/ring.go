package serve

// horizon is how many steps ahead an entry is filed directly; later ones are filed
// at the horizon and filed again when it comes.
const horizon = 4096

// entry is something that happens to a decoding sequence in a step known when it
// joined: it crosses a break of the cost terms, or it is done.
type entry struct {
	step       int64
	request    int32
	generation uint32 // of the request's joining; an entry of an earlier life is dropped
	what       int8   // index of the break crossed, or done
	next       int32
}

// done marks an entry as the sequence's last step.
const done int8 = -1

// ring files entries by step: a calendar of horizon buckets over a free list, so
// that filing and taking are O(1) and allocate nothing in steady state.
type ring struct {
	heads [horizon]int32
	all   []entry
	free  int32
}

func newRing() *ring {
	r := &ring{free: None}
	for i := range r.heads {
		r.heads[i] = None
	}
	return r
}

// file puts an entry into the bucket of its step; now is the step in progress.
func (r *ring) file(now int64, e entry) {
	slot := min(e.step, now+horizon-1) % horizon
	e.next = r.heads[slot]
	i := r.free
	if i == None {
		i = int32(len(r.all))
		r.all = append(r.all, e)
	} else {
		r.free = r.all[i].next
		r.all[i] = e
	}
	r.heads[slot] = i
}

// take empties the bucket of step now into dst; entries of later steps that were
// filed at the horizon are filed again.
func (r *ring) take(now int64, dst []entry) []entry {
	i := r.heads[now%horizon]
	r.heads[now%horizon] = None
	for i != None {
		e := r.all[i]
		r.all[i].next, r.free = r.free, i
		if e.step > now {
			r.file(now, e)
		} else {
			dst = append(dst, e)
		}
		i = e.next
	}
	return dst
}
