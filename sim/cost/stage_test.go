package cost

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cause"
)

// A pipeline's stages hold whole layers, and a rank's cache is that of the stage whose
// layers hold most: Qwen3-Next keeps keys and values in every fourth of 48 layers, so
// that of five stages of ten layers some have two such layers and some three.
func TestCacheOfTheFullestStage(t *testing.T) {
	const token = 2 * 2 * 256 * 2 // keys and values of two heads of 256 in BF16
	for pp, full := range map[int]int64{1: 12, 2: 6, 3: 4, 5: 3, 7: 2, 9: 2} {
		s := newStepper(t, "qwen3-next", "hgx-b200:16", Config{Layout: Layout{PP: pp}})
		m := s.Memory()
		if grows := m.ExactBytes(5000) - m.ExactBytes(1000); grows != full*token*4000 {
			t.Errorf("%d stages: 4,000 tokens hold %d bytes, want those of %d layers, %d", pp, grows, full, full*token*4000)
		}
		if moves := m.TransferBytes(5000) - m.TransferBytes(1000); moves != 12*token*4000 {
			t.Errorf("%d stages: a hand-over moves %d bytes", pp, moves)
		}
	}
	// The state that does not grow is that of the same stage: seven linear layers beside
	// three full ones, and the half page of those where the pool pads nothing.
	exactly := *loadEngine(t, "vllm")
	exactly.Memory.Groups = false
	s := newStepper(t, "qwen3-next", "hgx-b200:16", Config{Layout: Layout{PP: 5}, Engine: &exactly})
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

// Activations of DeepSeek-V3 in bytes a row: five rows of the width, the widest
// projection's input and output (the dense MLP's 7,168 and 36,864), and of eight pairs
// the input in FP8 there and BF16 back, and both 2,048 wide halves in BF16. Sampling
// takes 12 bytes for each of the vocabulary's logits of a row that is sampled, beside the
// rows' hidden states.
func TestActivationsByHand(t *testing.T) {
	const row = 5*2*7168 + 2*(7168+2*18432) + 8*(7168+2*7168+2*2*2048)
	const hidden, logits = 2 * 7168, 12 * 129280
	for _, x := range []struct {
		role              Role
		tokens, sequences int
		drafts            int
		want              int64
	}{
		{Decode, 9999, 100, 0, 100 * (hidden + logits)},
		{Decode, 9999, 100, 1, 200 * (hidden + logits)},
		{Prefill, 3000, 100, 0, 3000 * row},
		{Prefill, 30, 100, 0, 30 * (hidden + logits)},
		{Mixed, 3000, 100, 0, 3000 * row},
		{Mixed, 3000, 900, 0, 3000*hidden + 900*logits},
		{Mixed, 80, 100, 1, 200 * (hidden + logits)},
	} {
		s := newStepper(t, "v3", "hgx-h200:32", Config{Role: x.role, MaxTokens: x.tokens, MaxSequences: x.sequences, Drafts: x.drafts, Layout: Layout{DP: 32, EP: 32}})
		if got := s.Memory().Activations; got != x.want {
			t.Errorf("%s, %d tokens, %d sequences, %d drafts: %d bytes, want %d", x.role, x.tokens, x.sequences, x.drafts, got, x.want)
		}
	}
	// Experts cut over the TP group hold an eighth of their halves; a rank that gathers no
	// logits samples from an eighth of the vocabulary.
	e := *loadEngine(t, "vllm")
	e.GathersLogits = false
	s := newStepper(t, "v3", "hgx-h200:8", Config{Role: Mixed, MaxTokens: 4000, MaxSequences: 64, Layout: Layout{TP: 8}, Engine: &e})
	const widest = 2 * (7168 + 16384/8) // the output projection's eighth of the heads
	cut := int64(5*2*7168 + max(widest, 2*(7168+2*18432/8), 2*(7168+2112), 2*(1536+24576/8)) + 8*(3*7168+2*2*2048/8))
	if got := s.Memory().Activations; got != 4000*cut {
		t.Errorf("TP 8: %d bytes, want %d", got, 4000*cut)
	}
	s = newStepper(t, "v3", "hgx-h200:8", Config{Role: Mixed, MaxTokens: 4000, MaxSequences: 8000, Layout: Layout{TP: 8}, Engine: &e})
	if got := s.Memory().Activations; got != 8000*max(cut, hidden+logits/8) {
		t.Errorf("TP 8, 8,000 sequences: %d bytes, want %d", got, 8000*max(cut, hidden+logits/8))
	}
}

// The fullest stage governs, with all that its layers wait for: four stages of up to two
// expert layers take the same time for five layers, six, seven or eight, but for what
// is sent.
func TestFullestStageGovernsImbalanceToo(t *testing.T) {
	topology := loadTopology(t, "hgx-h200:64")
	whole := loadModel(t, "v3", topology.Chip)
	at := func(layers int) (seconds, waiting float64) {
		m := *whole
		m.Layers = whole.Layers[3 : 3+layers] // all alike: the first three are dense
		s := newStepper(t, "", "", Config{
			Model: &m, Topology: topology, Role: Decode, Engine: loadEngine(t, "ideal"), MaxSequences: 1024,
			Layout: Layout{DP: 16, EP: 16, PP: 4, Overlap: NoOverlap, Routing: Routing{Kind: PowerLaw, Alpha: 2}},
		})
		step := s.Step(everywhere(s, decode(s, 1024, 1000)))
		return (step.Time - step.communication()).Seconds(), step.Causes[cause.Imbalance].Seconds()
	}
	eight, waiting := at(8)
	if waiting < eight/100 {
		t.Fatalf("imbalance of %g s in %g is too little to see", waiting, eight)
	}
	for layers := 5; layers < 8; layers++ {
		seconds, _ := at(layers)
		near(t, "fewer layers in the last stages", seconds, eight, 1e-6)
	}
	if four, _ := at(4); four > 0.7*eight {
		t.Errorf("one layer a stage takes %g s, two %g", four, eight)
	}
}

// Every sequence's residual stream crosses every boundary of stages once a step: on
// the board's links while two stages stand on one board, else between boards.
func TestStageBoundary(t *testing.T) {
	const rows, hidden = 64, 8192
	for _, x := range []struct{ tp, pp, tier int }{{4, 2, 0}, {8, 2, 1}, {8, 4, 1}, {2, 4, 0}} {
		topology := loadTopology(t, "hgx-h200:64")
		s := newStepper(t, "llama-3.1-70b", "", Config{Topology: topology, Role: Decode, Layout: Layout{TP: x.tp, PP: x.pp}})
		without := newStepper(t, "llama-3.1-70b", "", Config{Topology: topology, Role: Decode, Layout: Layout{TP: x.tp}})
		a := s.Step(everywhere(s, decode(s, rows, 1000)))
		b := without.Step(everywhere(without, decode(without, rows, 1000)))
		for tier := range topology.Tiers {
			want := 0.0
			if tier == x.tier {
				want = rows * hidden * 2 * float64(x.pp-1)
			}
			// A stage has the collectives of its own layers, all stages together those of all;
			// each stage's head is counted, of which one is run.
			more := a.LinkBytes[tier] - b.LinkBytes[tier]
			if tier > 0 || x.tier > 0 {
				near(t, "bytes over "+topology.Tiers[tier].Name, 1+more, 1+want, 1e-6)
			} else if more < want*(1-1e-6) {
				t.Errorf("TP %d PP %d: %g bytes more on the board, at least %g", x.tp, x.pp, more, want)
			}
		}
	}
}

// A pipeline runs micro-batches: four prompts over two stages are, but for the send,
// two prompts without stages. Two stages of a tied model keep the table at both ends.
func TestMicroBatchesOfPrompts(t *testing.T) {
	topology := loadTopology(t, "hgx-h200:16")
	build := func(pp int) *Stepper {
		return newStepper(t, "llama-3.1-70b", "", Config{Topology: topology, Role: Prefill, Engine: loadEngine(t, "ideal"), Layout: Layout{TP: 4, PP: pp}})
	}
	one, two := build(1), build(2)
	step := func(s *Stepper, prompts int64) Step {
		l := prefill(s, prompts, 1000, 500)
		l.LastChunks = 0 // the head is not cut in micro-batches
		return s.Step([]Load{l})
	}
	a, b := step(one, 2), step(two, 4)
	send := two.comms.send(2 * 1000 * 8192 * 2 / 4.)
	near(t, "two stages", b.Time.Seconds(), a.Time.Seconds()+send.total(), 1e-6)
	if odd := step(one, 4); odd.Time <= a.Time {
		t.Errorf("four prompts of 1,000 tokens take %v, two %v", odd.Time, a.Time)
	}

	tied := *one.config.Model
	tied.Tied = true
	table := int64(128256 * 8192 * 2)
	sum := func(m *Stepper) (bytes int64) {
		for i := range m.config.Layout.PP {
			for _, w := range m.stageWeights(i) {
				bytes += w.Bytes
			}
		}
		return bytes
	}
	weigh := func(pp int) int64 {
		return sum(newStepper(t, "", "", Config{Model: &tied, Topology: topology, Layout: Layout{TP: 4, PP: pp}}))
	}
	if got := weigh(2) - weigh(1); got != table/4 {
		t.Errorf("a second end of a tied model weighs %d bytes a rank, want %d", got, table/4)
	}
	if got := sum(one) - weigh(1); got != table/4 {
		t.Errorf("untied the head weighs %d bytes a rank, want %d", got, table/4)
	}
}

// DeepSeek-V3's draft module: an expert layer, the projection that joins state and
// embedding, and no second copy of the vocabulary, which its checkpoint has.
func TestDraftModuleSharesTheVocabulary(t *testing.T) {
	s := newStepper(t, "v3", "hgx-h200:32", Config{Role: Decode, Drafts: 1, Layout: Layout{DP: 32, EP: 32}})
	attention := 7168*1536 + 1536*24576 + 7168*576 + 512*32768 + 16384*7168.
	expert := 3 * 7168 * 2048.
	want := (attention+(256/32+1)*expert)*(1+4./(128*128)) + 2*7168*256 + 2*2*7168*7168 + 2*512*32768 // kv_b a second time, in BF16
	for _, w := range s.Memory().Weights {
		if w.Name == "draft module" {
			near(t, "draft module", float64(w.Bytes), want, 0.001)
			return
		}
	}
	t.Error("no line for the draft module")
}
