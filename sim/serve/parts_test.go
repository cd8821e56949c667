package serve

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/cost"
)

// The ring gives every entry back in its step, also those beyond its horizon.
func TestRingIsACalendar(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ring, filed := newRing(), map[int64][]int32{}
		now, number := int64(0), int32(0)
		for range rapid.IntRange(1, 60).Draw(r, "rounds") {
			for range rapid.IntRange(0, 5).Draw(r, "entries") {
				step := now + rapid.SampledFrom([]int64{0, 1, 7, horizon - 2, horizon - 1, horizon, horizon + 1, 3*horizon + 5, 50_000}).Draw(r, "ahead")
				ring.file(now, entry{step: step, request: number})
				filed[step] = append(filed[step], number)
				number++
			}
			for range rapid.SampledFrom([]int{1, 2, 100, horizon, 9000}).Draw(r, "steps") {
				var got []int32
				for _, e := range ring.take(now, nil) {
					if e.step != now {
						r.Fatalf("an entry of step %d in step %d", e.step, now)
					}
					got = append(got, e.request)
				}
				slices.Sort(got)
				if !slices.Equal(got, filed[now]) {
					r.Fatalf("step %d gives %v, filed were %v", now, got, filed[now])
				}
				delete(filed, now)
				now++
			}
		}
	})
}

// The lists are lists: against a slice, with requests that hold cache in front.
func TestListIsAQueue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var table Table
		l, want := emptyList(), []int32{}
		for range rapid.IntRange(1, 80).Draw(r, "operations") {
			switch op := rapid.IntRange(0, 3).Draw(r, "operation"); {
			case op == 0:
				h := table.New()
				l.pushBack(&table, h)
				want = append(want, h)
			case op == 1:
				h, at := table.New(), 0
				for at < len(want) && table.At(want[at]).Held > 0 {
					at++
				}
				l.pushFront(&table, h)
				want = slices.Insert(want, at, h)
			case op == 2 && len(want) > 0:
				i := rapid.IntRange(0, len(want)-1).Draw(r, "gone")
				l.remove(&table, want[i])
				table.Free(want[i])
				want = slices.Delete(want, i, i+1)
			case op == 3 && len(want) > 0:
				table.At(want[0]).Held = 5
			}
			var forth, back []int32
			for h := l.head; h != None; h = table.At(h).next {
				forth = append(forth, h)
			}
			for h := l.tail; h != None; h = table.At(h).prev {
				back = append(back, h)
			}
			slices.Reverse(back)
			if !slices.Equal(forth, want) || !slices.Equal(back, want) || l.count != int64(len(want)) || table.InFlight() != int64(len(want)) {
				r.Fatalf("forth %v, back %v, %d of %d, want %v", forth, back, l.count, table.InFlight(), want)
			}
		}
	})
}

// The number of verify steps that is drawn has the mean and spread of drafts being
// accepted one by one.
func TestDraftingIsTheProcessItStandsFor(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, x := range []struct {
		drafts   int
		accepted float64
		tokens   int32
	}{{1, 1.79, 400}, {1, 1.2, 50}, {2, 1.99, 300}, {3, 3.2, 1000}, {5, 2.5, 200}} {
		d := NewDrafting(x.drafts, x.accepted)
		low, high := 0.0, 1.0
		for high-low > 1e-12 { // the chance for which 1 + p + … + p^drafts is the mean
			p, mean := (low+high)/2, 0.0
			for i := range x.drafts + 1 {
				mean += math.Pow(p, float64(i))
			}
			if mean < x.accepted {
				low = p
			} else {
				high = p
			}
		}
		const n = 20_000
		var drawn, played [2]float64
		for range n {
			s := d.Steps(x.tokens, random.NormFloat64())
			if s < (x.tokens+int32(x.drafts))/int32(x.drafts+1) || s > x.tokens {
				t.Fatalf("%+v: %d steps for %d tokens", x, s, x.tokens)
			}
			drawn[0], drawn[1] = drawn[0]+float64(s)/n, drawn[1]+float64(s)*float64(s)/n
			steps := 0.0
			for got := int32(0); got < x.tokens; steps++ {
				got++
				for k := 0; k < x.drafts && random.Float64() < low; k++ {
					got++
				}
			}
			played[0], played[1] = played[0]+steps/n, played[1]+steps*steps/n
		}
		spread := func(m [2]float64) float64 { return math.Sqrt(max(0, m[1]-m[0]*m[0])) }
		// The last step may yield more than is left: up to a step's excess.
		if math.Abs(drawn[0]-played[0]) > 1 || math.Abs(spread(drawn)/spread(played)-1) > 0.06 {
			t.Errorf("%+v: drawn %.2f ± %.3f steps, played %.2f ± %.3f", x, drawn[0], spread(drawn), played[0], spread(played))
		}
	}
	if d := NewDrafting(0, 1); d.Steps(17, 3) != 17 || d.Steps(0, 1) != 0 {
		t.Error("without drafts a step is a token")
	}
}

// A plan never generates more tokens than were asked for, nor a token less.
func TestPlanEndsAtTheAnswer(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		output := int32(rapid.IntRange(2, 100_000).Draw(r, "output"))
		steps := int32(rapid.IntRange(1, int(output)-1).Draw(r, "steps"))
		q := Request{Input: int32(rapid.IntRange(1, 100_000).Draw(r, "input")), Output: output}
		q.Plan(steps)
		end := int64(q.Input+output-1) << cost.ContextShift
		if last := q.Context + int64(steps)*q.Slope; last > end || end-last >= int64(steps) {
			r.Fatalf("ends at %d of %d", last, end)
		}
		at := int32(rapid.IntRange(0, int(steps)-1).Draw(r, "at"))
		context := q.Context + int64(at)*q.Slope
		q.Resume(at)
		if q.Context != context || q.StepsDone != at || q.Target != int32(context>>cost.ContextShift) {
			r.Fatalf("resumed at %+v", q)
		}
	})
}

// Growth is steepest at the start, so a watermark of StepGrowth holds any step's.
func TestStepGrowthBoundsEveryStep(t *testing.T) {
	for _, model := range []string{"v4-flash", "gpt-oss-120b", "deepseek-v3.2", "qwen3-next-80b-a3b"} {
		b := newBed(t, model, "gb200-nvl72", cost.Decode, cost.Layout{DP: 16, EP: 16})
		s := b.spec
		for _, rows := range []int64{1, 3} {
			s.DecodeRows = rows
			for _, at := range []int64{0, 1, 5, 126, 127, 128, 2047, 8192, 100_000} {
				if grows := s.Memory.SequenceBytes(at+rows) - s.Memory.SequenceBytes(at); grows > s.StepGrowth() {
					t.Errorf("%s: %d bytes at %d, StepGrowth is %d", model, grows, at, s.StepGrowth())
				}
			}
		}
		if s.Watermark < s.Memory.Free/watermarkShare {
			t.Errorf("%s: a watermark of %d bytes of %d", model, s.Watermark, s.Memory.Free)
		}
	}
}
