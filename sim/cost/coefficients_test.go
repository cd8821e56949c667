package cost

import (
	"testing"

	"github.com/clustersim/clustersim/models"
)

// kindOf is the model's attention of a form on one rank.
func kindOf(t *testing.T, s *Stepper, f form) *attention {
	t.Helper()
	for i := range s.main.attentions {
		if k := &s.main.attentions[i]; k.form == f {
			return k
		}
	}
	t.Fatalf("%s has no such attention", s.config.Model.Name)
	return nil
}

func total(c [models.MaxBreaks]float64) (sum float64) {
	for _, v := range c {
		sum += v
	}
	return sum
}

// What DeepSeek-V3.2's sparse attention reads and computes, from its paper's sizes: an
// entry of 512 latent elements in FP8 with four FP32 scales and 64 of RoPE in BF16, of
// 2,048 chosen tokens; index keys of 128 in FP8 with a scale, of all; and a score of FP32
// for every pair of query and key.
func TestSparseAttentionByHand(t *testing.T) {
	s := newStepper(t, "v3.2", "hgx-h200:8", Config{Role: Decode, Layout: Layout{DP: 8, EP: 8}})
	k := kindOf(t, s, dsaForm)
	for j, limit := range s.config.Model.Breaks {
		core, index := 0.0, 0.0
		switch limit {
		case 2048:
			core = 1
		case models.Unlimited:
			index = 1
		}
		for _, x := range []struct {
			name      string
			got, want float64
		}{
			{"entry", k.readBytes[j], core * (512 + 4*4 + 2*64)},
			{"gathered", k.gatherBytes[j], core * (512 + 4*4 + 2*64)},
			{"entries", k.entries[j], core},
			{"FLOPs", k.flops[j], core * 2 * 128 * (576 + 512)},
			{"index key", k.indexBytes[j], index * (128 + 4)},
			{"index keys", k.keys[j], index},
			{"index FLOPs", k.indexFlops[j], index * 2 * 64 * 128},
			{"score", k.scoreBytes[j], index * 4},
		} {
			if x.got != x.want {
				t.Errorf("break %d: %s: %g a token, want %g", limit, x.name, x.got, x.want)
			}
		}
	}
	// DeepSeek-V4's keys stand for four tokens each.
	v4 := newStepper(t, "v4", "supernode8912", Config{Role: Decode, Layout: Layout{DP: 16, EP: 16}})
	csa := kindOf(t, v4, csaForm)
	near(t, "V4: keys", total(csa.keys), 1./4, 1e-12)
	near(t, "V4: scores", total(csa.scoreBytes), 4./4, 1e-12)
}

// Qwen3.5's recurrence on one of eight ranks: a state of FP32 for every value head, and a
// convolution over four rows of 2·16 key and 64 value heads of 128 in BF16: a row goes in
// and comes out, three rows of tail are read and kept for a sequence.
func TestRecurrenceByHand(t *testing.T) {
	s := newStepper(t, "qwen3.5", "hgx-b200", Config{Role: Decode, Layout: Layout{TP: 8}, MaxSequences: 64})
	k := kindOf(t, s, linearForm)
	a := k.a
	if a.Heads != 64 || a.KVHeads != 16 || a.HeadDim != 128 || a.ValueDim != 128 {
		t.Fatalf("another model: %+v", a)
	}
	channels := float64(2*16*128+64*128) / 8
	near(t, "state in and out", k.recurrent, 2*4*64*128*128/8., 1e-12)
	near(t, "row in and out", k.convBytes, 2*2*channels, 1e-12)
	near(t, "tail in and out", k.convState, 2*2*3*channels, 1e-12)
	// Compulsory bytes of a step: a state and its tail are read once and left after every row.
	for rows := range 4 {
		w := work{sequences: 10, rows: 10 * float64(1+rows)}
		state := 4*64*128*128/8. + 2*3*channels
		near(t, "state of a step", k.core(&w, false).write, 10*state*float64(2+rows), 1e-9)
	}
}
