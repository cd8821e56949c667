package cost

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
)

// A verify step of a recurrent layer reads a sequence's state once and leaves one
// after every row; copying the one that holds is one more read and write.
func TestVerifyWritesEveryState(t *testing.T) {
	at := func(drafts int, copies bool) float64 {
		e := *loadEngine(t, "ideal")
		e.CopiesState = copies
		s := newStepper(t, "qwen3.5", "hgx-b200", Config{Role: Decode, Engine: &e, Layout: Layout{TP: 8, DP: 1}, Drafts: drafts, MaxSequences: 512})
		for i := range s.main.attentions {
			if k := &s.main.attentions[i]; k.form == linearForm {
				w := work{sequences: 200, rows: 200 * float64(1+drafts)}
				return s.decodeAttention(k, &w, w.rows).KV
			}
		}
		t.Fatal("Qwen3.5 has recurrent layers")
		return 0
	}
	one := at(0, false) / 2 // one state moved once
	near(t, "no drafts", at(0, true)/one, 2, 1e-9)
	near(t, "three drafts", at(3, false)/one, 1+4, 1e-9)
	near(t, "three drafts and a copy", at(3, true)/one, 1+4+2, 1e-9)
}

// Gathering logits costs what the collective costs for rows × vocabulary in BF16, and
// sampling from all of them on every rank; on one rank there is nothing to gather.
func TestGatheredLogits(t *testing.T) {
	head := func(tp int, gathers bool) (part, *Stepper) {
		e := *loadEngine(t, "ideal")
		e.GathersLogits = gathers
		s := newStepper(t, "qwen3-32b", "hgx-h200", Config{Role: Decode, Engine: &e, Layout: Layout{TP: tp, DP: 1}, MaxSequences: 512})
		var p part
		s.fillHead(&p, nil, 256)
		return p, s
	}
	gathered, s := head(8, true)
	parts, _ := head(8, false)
	g := s.comms.allGather(8, 256*151936*2)
	near(t, "wire", gathered.time[cause.CommBandwidth]+gathered.time[cause.CommLatency], g.total(), 1e-9)
	more := (gathered.time[cause.HBMAct] - parts.time[cause.HBMAct]) * s.hbm()
	if least := 256 * 151936 * (10 - 8/8.0); more < 0.9*least || more > 2*least {
		t.Errorf("sampling moves %.3g bytes more, want about %.3g", more, least)
	}
	alone, _ := head(1, true)
	if other, _ := head(1, false); alone != other {
		t.Error("one rank gathers from itself")
	}
}
