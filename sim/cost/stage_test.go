package cost

import "testing"

// A pipeline's stages hold whole layers, and a rank's cache is that of the stage whose
// layers hold most: Qwen3-Next keeps keys and values in every fourth of 48 layers, so
// that of five stages of ten layers some have two such layers and some three.
func TestCacheOfTheFullestStage(t *testing.T) {
	const token = 2 * 2 * 256 * 2 // keys and values of two heads of 256 in BF16
	for pp, full := range map[int]int64{1: 12, 2: 6, 3: 4, 5: 3, 7: 2, 9: 2} {
		s := newStepper(t, "qwen3-next", "hgx-b200:16", Config{Layout: Layout{PP: pp}})
		m := s.Memory()
		if grows := m.SequenceBytes(5000) - m.SequenceBytes(1000); grows != full*token*4000 {
			t.Errorf("%d stages: 4,000 tokens hold %d bytes, want those of %d layers, %d", pp, grows, full, full*token*4000)
		}
		if moves := m.TransferBytes(5000) - m.TransferBytes(1000); moves != 12*token*4000 {
			t.Errorf("%d stages: a hand-over moves %d bytes", pp, moves)
		}
	}
	// The state that does not grow is that of the same stage: seven linear layers beside
	// three full ones, and the half page of those.
	s := newStepper(t, "qwen3-next", "hgx-b200:16", Config{Layout: Layout{PP: 5}})
	m := s.Memory()
	state := int64(0)
	for _, l := range s.config.Model.Layers {
		if l.Attention.Design == "linear" {
			state = l.Attention.StateBytes
		}
	}
	if got, want := m.SequenceBytes(0), 7*state+3*token*int64(s.config.PageTokens)/2; state == 0 || got != want {
		t.Errorf("an empty sequence holds %d bytes, want %d", got, want)
	}
}

// Activations of DeepSeek-V3 in bytes a row: the residual twice, the widest
// projection's input and output (the dense MLP's 7,168 and 36,864), and of eight
// pairs the input in FP8 there and BF16 back, and both 2,048 wide halves in BF16.
func TestActivationsByHand(t *testing.T) {
	const row = 2*2*7168 + 2*(7168+2*18432) + 8*(7168+2*7168+2*2*2048)
	const logits = 4 * 129280 // FP32, a decoded row
	for _, x := range []struct {
		role              Role
		tokens, sequences int
		drafts            int
		want              int64
	}{
		{Decode, 9999, 100, 0, 100 * (row + logits)},
		{Decode, 9999, 100, 1, 200 * (row + logits)},
		{Prefill, 3000, 100, 0, 3000 * row},
		{Mixed, 3000, 100, 0, 3000*row + 100*logits},
		{Mixed, 80, 100, 1, 200 * (row + logits)},
	} {
		s := newStepper(t, "v3", "hgx-h200:32", Config{Role: x.role, MaxTokens: x.tokens, MaxSequences: x.sequences, Drafts: x.drafts, Layout: Layout{DP: 32, EP: 32}})
		if got := s.Memory().Activations; got != x.want {
			t.Errorf("%s, %d tokens, %d sequences, %d drafts: %d bytes, want %d", x.role, x.tokens, x.sequences, x.drafts, got, x.want)
		}
	}
	// Experts cut over the TP group hold an eighth of their halves, and its vocabulary.
	s := newStepper(t, "v3", "hgx-h200:8", Config{Role: Decode, MaxSequences: 64, Layout: Layout{TP: 8}})
	const widest = 2 * (7168 + 16384/8) // the output projection's eighth of the heads
	want := int64(64 * (2*2*7168 + max(widest, 2*(7168+2*18432/8), 2*(7168+2112), 2*(1536+24576/8)) + 8*(3*7168+2*2*2048/8) + logits/8))
	if got := s.Memory().Activations; got != want {
		t.Errorf("TP 8: %d bytes, want %d", got, want)
	}
}
