package traces

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/spec"
)

func readAll(t testing.TB, s Source) []Request {
	t.Helper()
	var out []Request
	for {
		r, err := s.Next()
		if errors.Is(err, io.EOF) {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		r.Prefix = slices.Clone(r.Prefix)
		out = append(out, r)
	}
}

func generated(t testing.TB, w Workload) []Request {
	t.Helper()
	s, err := Generate(w)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, s)
}

// conversations is a small workload with sessions.
func conversations() Workload {
	return Workload{Rate: 10, Requests: 2000, Seed: 5, Input: Constant(100), Output: Constant(30),
		Sessions: &Sessions{SharedTokens: 200, Turns: 7, TurnGap: spec.Duration(3e9), BlockTokens: 16}}
}

func TestEveryProfileGenerates(t *testing.T) {
	if want := []string{"agent", "chat", "code", "reasoning"}; !slices.Equal(Profiles(), want) {
		t.Fatalf("profiles %v, want %v", Profiles(), want)
	}
	for _, name := range Profiles() {
		p, err := LoadProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != name || len(p.Sources) == 0 || p.Description == "" {
			t.Errorf("%s: name %q, %d sources, description %q", name, p.Name, len(p.Sources), p.Description)
		}
		w, err := Workload{Profile: name, Rate: 20, Requests: 200_000, Seed: 1}.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if w.Sessions != nil { // hundreds of ids a request
			w.Requests = 60_000
		}
		s, err := Generate(w)
		if err != nil {
			t.Fatal(err)
		}
		stats, err := Measure(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name+": mean input", stats.Input.Mean, w.MeanInput(), 0.03)
		near(t, name+": mean output", stats.Output.Mean, w.Output.Mean(), 0.03)
		near(t, name+": rate", stats.Rate, 20, 0.03)
		cv := max(1, w.Arrivals.arg) // Poisson has no argument
		near(t, name+": cv of gaps", stats.CV, cv, 0.03)
		reused := w.MeanReused() / w.MeanInput()
		if reused > 0 { // a block that is not full, and the cold start, are lost
			if got := stats.Prefix.HitRate; got > reused+0.002 || got < reused-0.02 {
				t.Errorf("%s: hit rate %v, want just under %v", name, got, reused)
			}
		}
	}
}

// TestAgentProfileIsAsPublished holds the derived session to the figures of its source.
func TestAgentProfileIsAsPublished(t *testing.T) {
	w, err := Workload{Profile: "agent", Rate: 1}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	near(t, "prompt", w.MeanInput(), 135_000, 0.005)
	near(t, "output", w.Output.Mean(), 850, 0)
	if hit := w.MeanReused() / w.MeanInput(); hit < 0.94 || hit > 0.97 {
		t.Errorf("hit rate %v, want 0.94 to 0.97", hit)
	}
}

func TestProfileArrivalsCanBeOverridden(t *testing.T) {
	var poissonArrivals Arrivals
	if err := poissonArrivals.UnmarshalText([]byte("poisson")); err != nil {
		t.Fatal(err)
	}
	w, err := Workload{Profile: "code", Rate: 1, Arrivals: poissonArrivals, Output: Constant(9)}.Resolve()
	if err != nil || w.Arrivals.String() != "poisson" || w.Output != Constant(9) || w.Input.IsZero() {
		t.Fatalf("%+v: %v", w, err)
	}
}

// TestDrawsBelongToNumbers: in any order, Drawer and ClosedLoop give the source's lengths.
func TestDrawsBelongToNumbers(t *testing.T) {
	chat := Workload{Profile: "chat", Rate: 50, Requests: 500, Seed: 9}
	for _, w := range []Workload{chat, conversations()} {
		requests := generated(t, w)
		d, err := w.Drawer()
		if err != nil {
			t.Fatal(err)
		}
		for i := len(requests) - 1; i >= 0; i-- {
			in, out := d.Draw(int64(i))
			if in != requests[i].InputTokens || out != requests[i].OutputTokens {
				t.Fatalf("request %d: drawn %d, %d; generated %d, %d", i, in, out, requests[i].InputTokens, requests[i].OutputTokens)
			}
		}
	}
	resolved, _ := chat.Resolve()
	loop := ClosedLoop{Concurrency: 4, Requests: 500, Input: resolved.Input, Output: resolved.Output, Seed: 9}
	for i, want := range generated(t, chat) {
		if got := loop.Draw(int64(i)); got.InputTokens != want.InputTokens || got.OutputTokens != want.OutputTokens || got.Arrival != 0 {
			t.Fatalf("closed loop request %d: %+v, want lengths of %+v", i, got, want)
		}
	}
}

// TestArrivalsAndLengthsAreApart: a changed rate scales arrivals and leaves lengths.
func TestArrivalsAndLengthsAreApart(t *testing.T) {
	slow := generated(t, Workload{Profile: "chat", Rate: 10, Requests: 300, Seed: 2})
	fast := generated(t, Workload{Profile: "chat", Rate: 20, Requests: 300, Seed: 2})
	other := generated(t, Workload{Profile: "chat", Rate: 10, Requests: 300, Seed: 3})
	same := 0
	for i := range slow {
		if slow[i].InputTokens != fast[i].InputTokens || math.Abs(float64(slow[i].Arrival-2*fast[i].Arrival)) > 2 {
			t.Fatalf("request %d: %+v against %+v", i, slow[i], fast[i])
		}
		if slow[i].InputTokens == other[i].InputTokens {
			same++
		}
	}
	if same > 10 {
		t.Errorf("another seed gives %d of 300 lengths again", same)
	}
}

func TestArrivalForms(t *testing.T) {
	base := Workload{Rate: 4, Requests: 10, Input: Constant(1), Output: Constant(1)}
	for _, c := range []struct {
		arrivals Arrivals
		want     func(i int) float64
	}{
		{Arrivals{kind: evenly}, func(i int) float64 { return float64(i) / 4 }},
		{Arrivals{kind: burst}, func(int) float64 { return 0 }},
		{Arrivals{burst, 4}, func(i int) float64 { return float64(i / 4) }},
	} {
		w := base
		w.Arrivals = c.arrivals
		for i, r := range generated(t, w) {
			if r.Arrival != des.FromSeconds(c.want(i)) {
				t.Errorf("%s: request %d at %v, want %v", c.arrivals, i, r.Arrival.Seconds(), c.want(i))
			}
		}
	}
	w := base
	w.Arrivals, w.Requests, w.Duration = Arrivals{kind: evenly}, 0, 2e9
	if n := len(generated(t, w)); n != 8 {
		t.Errorf("4 a second within 2 s: %d requests, want 8", n)
	}
}

// TestSessionsGrowAndShare checks every prompt against the session's own history,
// kept here by hand, and the ids against the text they stand for.
func TestSessionsGrowAndShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := conversations()
		w.Requests = 400
		w.Seed = rapid.Uint64().Draw(t, "seed")
		w.Input, _ = Uniform(1, rapid.IntRange(1, 90).Draw(t, "input"))
		w.Sessions = &Sessions{SharedTokens: rapid.IntRange(0, 100).Draw(t, "shared"), Turns: rapid.IntRange(1, 9).Draw(t, "turns"),
			TurnGap: spec.Duration(rapid.IntRange(1, 3e9).Draw(t, "gap")), BlockTokens: rapid.IntRange(1, 40).Draw(t, "block")}
		s, err := Generate(w)
		if err != nil {
			t.Fatal(err)
		}
		type history struct {
			ids   []uint64
			said  int32
			turns int
		}
		sessions, before := map[uint64]*history{}, map[uint64]uint64{}
		for range w.Requests {
			r, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Prefix) != int(r.InputTokens)/w.Sessions.BlockTokens {
				t.Fatalf("%d ids of %d tokens for %d", len(r.Prefix), w.Sessions.BlockTokens, r.InputTokens)
			}
			last := ^uint64(0)
			for _, id := range r.Prefix {
				if p, ok := before[id]; ok && p != last {
					t.Fatalf("id %x follows both %x and %x", id, p, last)
				}
				before[id], last = last, id
			}
			h := sessions[r.Session]
			if h == nil {
				h = &history{}
				sessions[r.Session] = h
			} else if r.InputTokens <= h.said || !slices.Equal(r.Prefix[:len(h.ids)], h.ids) {
				t.Fatalf("session %d: a prompt of %d tokens after %d were said, ids %x after %x", r.Session, r.InputTokens, h.said, r.Prefix, h.ids)
			}
			h.ids, h.said = slices.Clone(r.Prefix), r.InputTokens+r.OutputTokens
			if h.turns++; h.turns > w.Sessions.Turns {
				t.Fatalf("session %d has more than %d turns", r.Session, w.Sessions.Turns)
			}
		}
	})
}

// TestLengthBiasedIsStationary: the residual of what is found in flight has mean
// (E[n²]/E[n] + 1)/2, by renewal theory in whole tokens.
func TestLengthBiasedIsStationary(t *testing.T) {
	for _, text := range []string{"lognormal(mean=500,p99=2500)", "exp(300)", "uniform(1,10)", "64"} {
		w := Workload{Rate: 1, Input: mustDist(t, "exp(700)"), Output: mustDist(t, text), Seed: 4}
		d, err := w.Drawer()
		if err != nil {
			t.Fatal(err)
		}
		const n = 400_000
		var residual, input float64
		for i := range int64(n) {
			in, out, age := d.LengthBiased(i)
			if age < 0 || age >= out {
				t.Fatalf("age %d of %d", age, out)
			}
			residual += float64(out - age)
			input += float64(in)
		}
		near(t, text+": residual", residual/n, (w.Output.MeanBiased()+1)/2, 0.015)
		near(t, text+": prompt", input/n, 700, 0.01)
	}
}

func TestThinkTime(t *testing.T) {
	c := ClosedLoop{Concurrency: 1, Requests: 1, Input: Constant(1), Output: Constant(1)}
	if c.Think(3) != 0 {
		t.Error("thinks without a think time")
	}
	c.ThinkTime = Constant(250)
	if c.Think(3) != 250e6 {
		t.Errorf("thinks %d ns, want 250 ms", c.Think(3))
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if err := (&ClosedLoop{Input: Constant(1), Output: Constant(1)}).Validate(); err == nil {
		t.Error("no clients are accepted")
	}
}

func TestWorkloadErrors(t *testing.T) {
	ok := Workload{Rate: 1, Input: Constant(1), Output: Constant(1)}
	for want, change := range map[string]func(w *Workload){
		"did you mean \"chat\"":                  func(w *Workload) { w.Profile = "chatt" },
		"no such file":                           func(w *Workload) { w.Profile = "missing/profile.yaml" },
		"rate: must be from 1e-06":               func(w *Workload) { w.Rate = 0 },
		"got NaN":                                func(w *Workload) { w.Rate = math.NaN() },
		"requests: must not be negative, got -1": func(w *Workload) { w.Requests = -1 },
		"duration: must not be negative":         func(w *Workload) { w.Duration = -1 },
		"output_tokens: must be given":           func(w *Workload) { w.Output = Dist{} },
		"input_tokens: must be at least 1":       func(w *Workload) { w.Input = Constant(0) },
		"requests: must be given with arrivals":  func(w *Workload) { w.Arrivals = Arrivals{kind: burst} },
		"sessions.turns: must be from 1":         func(w *Workload) { w.Sessions = &Sessions{TurnGap: 1, BlockTokens: 1} },
		"sessions.turn_gap: must be given":       func(w *Workload) { w.Sessions = &Sessions{Turns: 1, BlockTokens: 1} },
		"sessions.block_tokens: must be from 1":  func(w *Workload) { w.Sessions = &Sessions{Turns: 1, TurnGap: 1} },
		"the last of 9000 turns would hold": func(w *Workload) {
			w.Input, w.Sessions = Constant(90000), &Sessions{Turns: 9000, TurnGap: 1, BlockTokens: 1}
		},
		"sessions side by side; at most": func(w *Workload) {
			w.Rate, w.Sessions = 1e9, &Sessions{Turns: 1, TurnGap: 1e9, BlockTokens: 1}
		},
	} {
		w := ok
		change(&w)
		if _, err := Generate(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestProfileErrorsHavePositions(t *testing.T) {
	_, err := parseProfile("p.yaml", []byte("name: p\ninput_tokens: lognormal(mean=3)\noutput_tokens: 5\nsesions: {turns: 1}\n"), nil)
	for _, want := range []string{"p.yaml:2:", "needs 2 value(s)", "p.yaml:4:", `did you mean "sessions"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err = parseProfile("p.yaml", []byte("name: p\ninput_tokens: 3\noutput_tokens: 5\nsessions:\n  turns: 0\n  turn_gap: 3s\n  block_tokens: 16\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "p.yaml:5:") {
		t.Errorf("%v, want position p.yaml:5", err)
	}
}

func FuzzProfile(f *testing.F) {
	for _, name := range Profiles() {
		data, _ := profiles.ReadFile(name + ".yaml")
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseProfile("p.yaml", data, nil)
		if err != nil {
			return
		}
		s, err := Generate(Workload{Rate: 1e-3, Requests: 3, Input: p.Input, Output: p.Output, Arrivals: p.Arrivals, Sessions: p.Sessions})
		if err != nil {
			return
		}
		for range 3 {
			if r, err := s.Next(); err != nil || r.InputTokens < 1 || r.OutputTokens < 1 {
				t.Fatalf("%+v: %v", r, err)
			}
		}
	})
}

func TestGeneratingAllocatesNothing(t *testing.T) {
	for _, w := range []Workload{{Profile: "chat", Rate: 10}, {Profile: "code", Rate: 10}, {Profile: "agent", Rate: 10}} {
		s, err := Generate(w)
		if err != nil {
			t.Fatal(err)
		}
		for range 30_000 { // lets the buffer of ids reach its full size
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(2000, func() { _, _ = s.Next() }); n != 0 {
			t.Errorf("%s: %v allocations a request", w.Profile, n)
		}
	}
}
