package traces

import (
	"math"

	"github.com/clustersim/clustersim/sim/des"
)

// sessionPlan says which turn of which session a request number is. Requests
// go round the slots; a slot holds one session after another, each of the same
// number of turns. All of it is arithmetic on the number, so any request can be
// drawn without those before it.
type sessionPlan struct {
	slots, turns int64
	shared       int64
	blockTokens  int
	phases       des.Key // the turn at which each slot starts
}

func newSessionPlan(w Workload) *sessionPlan {
	s := w.Sessions
	return &sessionPlan{
		slots: max(1, int64(math.Round(s.TurnGap.Seconds()*w.Rate))), turns: int64(s.Turns),
		shared: int64(s.SharedTokens), blockTokens: s.BlockTokens, phases: des.NewKey(w.Seed, "phases"),
	}
}

// place is where a request stands: slot, turns that the slot has had (those
// before the start included), and turn within its session.
func (p *sessionPlan) place(number int64) (slot, had, turn int64) {
	slot = number % p.slots
	phase := int64(p.phases.Uniform(uint64(slot), 0) * float64(p.turns))
	had = phase + number/p.slots
	return slot, had, had % p.turns
}

// owner numbers a slot's turns apart from all others; the lengths of a turn are its own draws.
func (p *sessionPlan) owner(slot, had int64) int64 { return had*p.slots + slot }

// said is the context that a session has gathered before its given turn.
func (p *sessionPlan) said(d *Drawer, slot, had, turn int64) int64 {
	total := p.shared
	for t := had - turn; t < had; t++ {
		total += p.turnTokens(d, slot, t)
	}
	return total
}

func (p *sessionPlan) turnTokens(d *Drawer, slot, had int64) int64 {
	n := p.owner(slot, had)
	return int64(d.turnInput(n)) + int64(d.turnOutput(n))
}

func (p *sessionPlan) draw(d *Drawer, number int64) (input, output int32) {
	slot, had, turn := p.place(number)
	n := p.owner(slot, had)
	return promptTokens(p.said(d, slot, had, turn), d.turnInput(n)), d.turnOutput(n)
}

// promptTokens holds a prompt to MaxTokens, as a server that truncates from the left.
func promptTokens(said int64, input int32) int32 {
	return int32(min(said+int64(input), MaxTokens))
}

// sessionWalk goes through request numbers in order and keeps each slot's
// context, so that a turn costs two draws and its ids, whatever came before.
type sessionWalk struct {
	drawer Drawer
	plan   *sessionPlan
	said   []int64 // by slot; 0 before the slot's first request
	ids    []uint64
}

func newSessionWalk(d Drawer) *sessionWalk {
	return &sessionWalk{drawer: d, plan: d.sessions, said: make([]int64, d.sessions.slots)}
}

func (w *sessionWalk) step(number int64, r *Request) {
	p := w.plan
	slot, had, turn := p.place(number)
	if number < p.slots {
		w.said[slot] = p.said(&w.drawer, slot, had, turn)
	} else if turn == 0 {
		w.said[slot] = p.shared
	}
	n := p.owner(slot, had)
	input, output := w.drawer.turnInput(n), w.drawer.turnOutput(n)
	r.InputTokens, r.OutputTokens = promptTokens(w.said[slot], input), output
	r.Session = uint64(had/p.turns*p.slots+slot) + 1
	w.said[slot] += int64(input) + int64(output)
	r.Prefix = w.blocks(r.Session, int64(r.InputTokens))
}

// blocks are the ids of a prompt's full blocks: the session and the block's
// place, or session 0 where all sessions share the text. A session only ever
// appends, so the pair fixes the text up to there, which is what chained means.
func (w *sessionWalk) blocks(session uint64, tokens int64) []uint64 {
	size := int64(w.plan.blockTokens)
	shared := w.plan.shared / size
	w.ids = w.ids[:0]
	for b := range tokens / size {
		owner := session
		if b < shared {
			owner = 0
		}
		w.ids = append(w.ids, owner<<blockBits|uint64(b))
	}
	return w.ids
}

// blockBits leaves room for every block of a prompt of MaxTokens, and 39 bits for sessions.
const blockBits = 25
