package net

// calendar is a binary heap of the ends of the flows in flight, the earliest and
// then the lowest id first. Each flow knows its place in it.
type calendar []end

func (e end) before(o end) bool { return e.at < o.at || e.at == o.at && e.id < o.id }

func (c *calendar) push(flows []flow, e end) {
	*c = append(*c, e)
	c.up(flows, len(*c)-1, e)
}

// set moves the flow at a place to another time.
func (c *calendar) set(flows []flow, place int, e end) {
	if e.before((*c)[place]) {
		c.up(flows, place, e)
	} else {
		c.down(flows, place, e)
	}
}

func (c *calendar) remove(flows []flow, place int) {
	heap := *c
	flows[heap[place].slot].place = -1
	last := heap[len(heap)-1]
	*c = heap[:len(heap)-1]
	if place < len(*c) {
		c.set(flows, place, last)
	}
}

func (c *calendar) up(flows []flow, i int, e end) {
	heap := *c
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(heap[parent]) {
			break
		}
		heap[i] = heap[parent]
		flows[heap[i].slot].place = int32(i)
		i = parent
	}
	heap[i] = e
	flows[e.slot].place = int32(i)
}

func (c *calendar) down(flows []flow, i int, e end) {
	heap := *c
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		if child+1 < len(heap) && heap[child+1].before(heap[child]) {
			child++
		}
		if !heap[child].before(e) {
			break
		}
		heap[i] = heap[child]
		flows[heap[i].slot].place = int32(i)
		i = child
	}
	heap[i] = e
	flows[e.slot].place = int32(i)
}
