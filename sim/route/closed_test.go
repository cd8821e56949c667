package route_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/des"
	"github.com/clustersim/clustersim/sim/metrics"
	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/sim/serve"
	"github.com/clustersim/clustersim/traces"
)

// alone is the time of a lone request's prefill, in chunks, and of its decoding, as
// sums of steps that are priced one by one. Ranks but the first have no work.
func alone(s *serve.Spec, input, output int64) (prefill, decode des.Time) {
	loads := make([]cost.Load, s.Ranks)
	for done := int64(0); done < input; {
		n := min(s.MaxTokens, input-done)
		l := cost.Load{ChunkTokens: n, Chunks: 1, Prefix: done}
		for j, limit := range s.Breaks {
			l.Pairs[j] = cost.PairSum(done, n, limit)
		}
		if done += n; done == input {
			l.LastChunks = 1
		}
		loads[0] = l
		t := s.Stepper.Step(loads).Time
		prefill += t
		if done == input {
			// the prompt's last micro-batch leaves the pipeline behind the first
			size := (n + s.Stages - 1) / s.Stages
			prefill += t * des.Time((n+size-1)/size-1) / des.Time(s.Stages)
		}
	}
	for k := int64(1); k < output; k++ {
		l := cost.Load{Sequences: 1}
		for j, limit := range s.Breaks {
			l.Context[j] = min(input+k, limit) << cost.ContextShift
		}
		loads[0] = l
		decode += s.Stepper.Step(loads).Time
	}
	return prefill, decode
}

func TestLoneRequestIsTheSumOfItsSteps(t *testing.T) {
	for i := range rigs {
		for _, q := range []struct{ input, output, budget int64 }{{1, 1, 64}, {7, 2, 1}, {100, 40, 33}, {2000, 300, 512}, {5000, 1, 8192}} {
			tune := func(s *serve.Spec) { s.MaxTokens = q.budget }
			requests := []traces.Request{{Arrival: 12345, InputTokens: int32(q.input), OutputTokens: int32(q.output)}}
			cfg := aggregated(t, i, 2, tune)
			cfg.Source, cfg.FrontEnd = &fixedSource{requests: requests}, 1000
			got, _ := simulate(t, cfg)
			prefill, decode := alone(cfg.Pools[0].Spec, q.input, q.output)
			want := metrics.Completion{
				Arrival: 12345, FirstToken: 13345 + prefill, Finish: 13345 + prefill + decode,
				Queue: 1000, Prefill: prefill, Decode: decode,
				InputTokens: q.input, OutputTokens: q.output, Gaps: q.output - 1, Measured: true,
			}
			if len(got) != 1 || got[0] != want {
				t.Errorf("%s, aggregated, %+v:\n got %s\nwant %s", rigs[i].model, q, describe(&got[0]), describe(&want))
			}

			cfg = disaggregated(t, i, 2, 3)
			tune(cfg.Pools[0].Spec)
			cfg.Source, cfg.FrontEnd = &fixedSource{requests: requests}, 1000
			got, _ = simulate(t, cfg)
			prefill, _ = alone(cfg.Pools[0].Spec, q.input, 1)
			_, decode = alone(cfg.Pools[1].Spec, q.input, q.output)
			transfer := cfg.Handover.Latency + nanoseconds(cfg.Pools[0].Spec.Memory.TransferBytes(q.input), int64(cfg.Handover.Rate))
			if q.output == 1 {
				transfer = 0
			}
			want.FirstToken, want.Finish = 13345+prefill+transfer, 13345+prefill+transfer+decode
			want.Prefill, want.KVTransfer, want.Decode = prefill, transfer, decode
			if len(got) != 1 || got[0] != want {
				t.Errorf("%s, disaggregated, %+v:\n got %s\nwant %s", rigs[i].model, q, describe(&got[0]), describe(&want))
			}
		}
	}
}

// A request that is handed over to an instance in the midst of a step waits for its
// end, first token and all, and what decodes there already does not notice before.
func TestHandedOverAtTheNextStep(t *testing.T) {
	cfg := disaggregated(t, 0, 2, 1)
	cfg.Pools[1].Spec.Ranks = 1
	long, late := traces.Request{InputTokens: 300, OutputTokens: 400}, traces.Request{InputTokens: 200, OutputTokens: 30}
	prefill := func(r *traces.Request) des.Time {
		time, _ := alone(cfg.Pools[0].Spec, int64(r.InputTokens), 1)
		return time
	}
	handover := func(r *traces.Request) des.Time {
		return cfg.Handover.Latency + nanoseconds(cfg.Pools[0].Spec.Memory.TransferBytes(int64(r.InputTokens)), int64(cfg.Handover.Rate))
	}
	begins := prefill(&long) + handover(&long)
	after := func(steps int64) des.Time {
		_, decode := alone(cfg.Pools[1].Spec, int64(long.InputTokens), 1+steps)
		return begins + decode
	}
	// The cache arrives a third into the long one's 101st step.
	arrives := after(100) + (after(101)-after(100))/3
	late.Arrival = arrives - prefill(&late) - handover(&late)
	cfg.Source = &fixedSource{requests: []traces.Request{long, late}}
	done, _ := simulate(t, cfg)
	for _, d := range done {
		if d.Number == 1 && (d.FirstToken != after(101) || d.KVTransfer != after(101)-late.Arrival-prefill(&late)) {
			t.Errorf("first token at %d after %d of hand-over; the cache is there at %d, the step ends at %d", d.FirstToken, d.KVTransfer, arrives, after(101))
		}
		if d.Number == 0 && d.FirstToken != begins {
			t.Errorf("the long request's first token is out at %d, want %d", d.FirstToken, begins)
		}
	}
}

// nanoseconds is ⌈bytes/rate⌉ in ns.
func nanoseconds(bytes, rate int64) des.Time {
	x := new(big.Int).Mul(big.NewInt(bytes), big.NewInt(1_000_000_000))
	x.Add(x, big.NewInt(rate-1))
	return des.Time(x.Div(x, big.NewInt(rate)).Int64())
}

// poisson are n requests of one length with exponential gaps.
func poisson(n int, mean float64, input, output int32) []traces.Request {
	r := rand.New(rand.NewPCG(4, 2))
	out, now := make([]traces.Request, n), 0.0
	for i := range out {
		now += r.ExpFloat64() * mean
		out[i] = traces.Request{Arrival: des.Time(now), InputTokens: input, OutputTokens: output}
	}
	return out
}

// A rank whose budget is one prompt and whose answers are one token is a queue with
// constant service: the mean wait is ρD/(2(1−ρ)) and nobody waits with chance 1−ρ
// (Pollaczek, Khinchine).
func TestPrefillRankIsMD1(t *testing.T) {
	const n, prompt, load = 200_000, 1000, 0.6
	cfg := disaggregated(t, 6, 1, 1) // one prefill rank
	cfg.Pools[0].Spec.MaxTokens = prompt
	service, _ := alone(cfg.Pools[0].Spec, prompt, 1)
	d := float64(service)
	cfg.Source = &fixedSource{requests: poisson(n, d/load, prompt, 1)}
	got, sum := simulate(t, cfg)
	wait, immediately := 0.0, 0
	for i := range got {
		wait += float64(got[i].Queue) / n
		if got[i].Queue == 0 {
			immediately++
		}
		if got[i].Prefill != service {
			t.Fatalf("service of %d ns, want %d", got[i].Prefill, service)
		}
	}
	if want := load * d / (2 * (1 - load)); math.Abs(wait/want-1) > 0.03 {
		t.Errorf("mean wait %.0f ns, want %.0f within 3 %%", wait, want)
	}
	if p := float64(immediately) / n; math.Abs(p-(1-load)) > 0.01 {
		t.Errorf("%.3f of the requests do not wait, want %.3f", p, 1-load)
	}
	if steps := sum.Window.Ledgers[0].Steps; steps != [metrics.NumPhases]int64{n, 0} {
		t.Errorf("%v steps, want one a request", steps)
	}
}

// The mean number in flight is the rate of arrival times the mean time in the
// system: looked at every so often, against what the requests say of themselves.
func TestLittlesLaw(t *testing.T) {
	for _, cfg := range []route.Config{aggregated(t, 0, 2, nil), disaggregated(t, 0, 1, 2)} {
		requests := poisson(4000, 2e6, 300, 30)
		cfg.Source = &fixedSource{requests: requests}
		samples, inFlight := 0.0, 0.0
		cfg.ObserveEvents, cfg.ObserveInterval = math.MaxInt64, 2_900_003
		cfg.Observe = func(s *metrics.Snapshot) bool {
			samples++
			inFlight += float64(s.Requests.InFlight)
			return false
		}
		got, sum := simulate(t, cfg)
		inside := 0.0
		for i := range got {
			inside += float64(got[i].Finish - got[i].Arrival)
		}
		want := inside / float64(sum.Window.End)
		if have := inFlight / samples; math.Abs(have/want-1) > 0.02 || samples < 2000 {
			t.Errorf("%.3f in flight over %.0f looks, λW = %.3f", have, samples, want)
		}
	}
}

// Round-robin over two instances is two independent instances with every second
// request.
func TestTwoInstancesAreTwoHalves(t *testing.T) {
	requests := poisson(600, 3e6, 200, 50)
	run := func(instances int, requests []traces.Request) []metrics.Completion {
		cfg := aggregated(t, 1, instances, nil)
		cfg.Policy, cfg.Source = router(t, "round-robin"), &fixedSource{requests: requests}
		got, _ := simulate(t, cfg)
		slices.SortFunc(got, func(a, b metrics.Completion) int { return int(a.Number) - int(b.Number) })
		return got
	}
	both := run(2, requests)
	for half := range 2 {
		var own []traces.Request
		for i := half; i < len(requests); i += 2 {
			own = append(own, requests[i])
		}
		for i, c := range run(1, own) {
			c.Number = uint64(2*i + half)
			c.PrefillInstance, c.DecodeInstance = int32(half), int32(half)
			if both[c.Number] != c {
				t.Fatalf("request %d:\nwith both %s\nalone     %s", c.Number, describe(&both[c.Number]), describe(&c))
			}
		}
	}
}

// Answers longer than the ring of steps looks ahead, with breaks in between and a
// cache that they outgrow.
func TestBeyondTheRing(t *testing.T) {
	var requests []traces.Request
	for i := range 9 {
		requests = append(requests, traces.Request{Arrival: des.Time(i) * 1e6, InputTokens: 3, OutputTokens: int32(4090 + 1500*i)})
	}
	build := func(forTwin bool) route.Config {
		s := serve.NewSpec(0, cached(t, 0, cost.Mixed, 0, forTwin), 0)
		s.Memory.Free = 3 * s.Memory.SequenceBytes(16200)
		s.Watermark = s.Memory.Free / 100
		return route.Config{Seed: 1, Policy: router(t, ""), Pools: []route.Pool{{Name: "serve", Spec: s, Instances: 1}}, Source: &fixedSource{requests: requests}}
	}
	seen := compare(t, scenario{build: build})
	if seen[crossing] < 9 || seen[eviction] == 0 {
		t.Errorf("%d crossings, %d evictions", seen[crossing], seen[eviction])
	}
}
