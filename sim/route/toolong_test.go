package route_test

import (
	"errors"
	"testing"

	"github.com/clustersim/clustersim/sim/route"
	"github.com/clustersim/clustersim/traces"
)

// longest is how many tokens the longest request that fits all pools has.
func longest(cfg *route.Config) (tokens int64) {
	fits := func(n int64) bool {
		for _, p := range cfg.Pools {
			if !p.Spec.Fits(n) {
				return false
			}
		}
		return true
	}
	for step := int64(1) << 32; step > 0; step /= 2 {
		if fits(tokens + step) {
			tokens += step
		}
	}
	return tokens
}

// The longest request that is let in is served whatever part of it is the answer, on the chips' own
// memory and on little; one token more ends the run before it begins.
func TestLongestRequestIsServed(t *testing.T) {
	for _, rig := range []int{0, 1, 4, 6, 7} {
		for _, little := range []bool{true, false} {
			if !little && rig < 6 {
				continue // tiny models have room for hundreds of millions of tokens
			}
			for _, cfg := range []route.Config{aggregated(t, rig, 1, nil), disaggregated(t, rig, 1, 1)} {
				answers := []int64{1, 2, 50}
				for i := range cfg.Pools {
					if s := cfg.Pools[i].Spec; little {
						s.Memory.Free = s.Memory.SequenceBytes(400) + s.StepGrowth()
						s.Watermark = s.StepGrowth()
						answers = []int64{1, 2, 150, 250}
					} else {
						s.MaxTokens = 1 << 17
					}
				}
				all := longest(&cfg)
				if all > 1<<24 || all < 200 {
					t.Fatalf("rig %d: %d tokens fit", rig, all)
				}
				for _, answer := range answers {
					cfg.Source = &fixedSource{requests: evenly(2, 1000, int32(all-answer), int32(answer))}
					if done, _ := simulate(t, cfg); len(done) != 2 || done[1].OutputTokens != answer {
						t.Errorf("rig %d: %d of 2 requests of %d + %d tokens are served", rig, len(done), all-answer, answer)
					}
					cfg.Source = &fixedSource{requests: evenly(1, 0, int32(all+1-answer), int32(answer))}
					var long *route.TooLongError
					if _, err := route.NewCluster(cfg, recorder(&cfg)).Run(t.Context()); !errors.As(err, &long) {
						t.Errorf("rig %d: a request of %d + %d tokens: %v", rig, all+1-answer, answer, err)
					}
				}
			}
		}
	}
}

// A client whose request is rejected sends its next one, so a closed loop ends when all have been sent:
// those that its draws make too long are rejected, the others served.
func TestRejectedClientsGoOn(t *testing.T) {
	length, err := traces.Uniform(1, 400)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []route.Config{aggregated(t, 0, 1, nil), disaggregated(t, 0, 1, 1)} {
		for i := range cfg.Pools {
			s := cfg.Pools[i].Spec
			s.Watermark = s.StepGrowth()
			s.Memory.Free = s.Memory.SequenceBytes(500) + s.Watermark
		}
		fits := longest(&cfg)
		loop := &traces.ClosedLoop{Concurrency: 3, Requests: 300, Input: length, Output: length, Seed: 5}
		tooLong := int64(0)
		for n := range loop.Requests {
			if q := loop.Draw(n); int64(q.InputTokens)+int64(q.OutputTokens) > fits {
				tooLong++
			}
		}
		if tooLong < 3 || tooLong > loop.Requests/2 {
			t.Fatalf("%d of %d requests are too long: that shows little", tooLong, loop.Requests)
		}
		cfg.Loop, cfg.RejectTooLong = loop, true
		done, sum := simulate(t, cfg)
		if c := sum.Requests; c.Arrived != loop.Requests || c.Rejected != tooLong || int64(len(done)) != loop.Requests-tooLong {
			t.Errorf("%d arrived, %d rejected, %d served; want %d, %d, %d", c.Arrived, c.Rejected, len(done), loop.Requests, tooLong, loop.Requests-tooLong)
		}
	}
}

// Rejections end the run when half of all requests so far are too long, and a hundred at least: after f that
// fit, the first f are let pass, or the first hundred.
func TestMostRequestsRejected(t *testing.T) {
	for _, fit := range []int{0, 60, 100, 101, 170, 400} {
		cfg := aggregated(t, 0, 2, nil)
		requests := evenly(fit+1000, 1000, 10, 2)
		for i := fit; i < len(requests); i++ {
			requests[i].InputTokens = 2_000_000_000
		}
		cfg.Source, cfg.RejectTooLong = &fixedSource{requests: requests}, true
		rec := recorder(&cfg)
		_, err := route.NewCluster(cfg, rec).Run(t.Context())
		var long *route.TooLongError
		if want := uint64(fit + max(100, fit)); !errors.As(err, &long) || long.Number != want {
			t.Errorf("after %d that fit: %v, want request %d to end the run", fit, err, want+1)
		}
		if n := rec.Summary(0).Requests.Rejected; n != int64(max(100, fit)) {
			t.Errorf("after %d that fit: %d rejected", fit, n)
		}
	}
}
