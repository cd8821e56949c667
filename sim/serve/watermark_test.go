package serve

import (
	"testing"

	"github.com/clustersim/clustersim/sim/cost"
	"github.com/clustersim/clustersim/sim/spec"
)

// Admission leaves a hundredth of a rank's cache free (vLLM's default), or what a
// sequence can grow by in a step where that is more: a request is taken to the last
// byte below it, and not with one byte more. Growth of what runs may use it.
func TestWatermark(t *testing.T) {
	b := newBed(t, "llama-3.1-8b", "hgx-h100", cost.Decode, cost.Layout{})
	b.input = func(uint64) int32 { return 100 }
	b.output = func(uint64) int32 { return 50 }
	free := b.spec.Memory.Free
	if b.spec.Watermark != free/100 {
		t.Errorf("%d bytes of %d are kept free, want a hundredth", b.spec.Watermark, free)
	}
	room := free - free/100
	if b.in.Reserve(b.request(), 0, room+1) {
		t.Error("a byte of the watermark is given away")
	}
	if !b.in.Reserve(b.request(), 0, room) {
		t.Error("the cache up to the watermark is refused")
	}
	if b.in.Reserve(b.request(), 0, 1) {
		t.Error("a full rank takes one more")
	}

	// Where a hundredth is less than a token, the watermark is a token: keys and values
	// of 8 heads of 128 in BF16, 32 layers.
	const token = 2 * 8 * 128 * 2 * 32
	if tight := tightSpec(t, 40*token); tight.Memory.Free/100 >= token || tight.Watermark < token || tight.Watermark > 2*token {
		t.Errorf("%d bytes of %d are kept free, want those of a token, %d", tight.Watermark, tight.Memory.Free, token)
	}
}

// tightSpec is Llama-3.1-8B on a chip with so little memory that about these bytes are
// left for its cache.
func tightSpec(t *testing.T, bytes int64) *Spec {
	t.Helper()
	c := newBed(t, "llama-3.1-8b", "hgx-h100", cost.Decode, cost.Layout{}).spec.Stepper.Config()
	c.PageTokens = 16
	s, err := cost.New(c)
	if err != nil {
		t.Fatal(err)
	}
	chip, m := *c.Chip, s.Memory()
	chip.Memory.Capacity = spec.Bytes(float64(m.WeightBytes+m.Activations+m.Graphs+m.Kernels+bytes) / c.Engine.MemoryFraction / chip.Memory.Usable)
	c.Chip = &chip
	if s, err = cost.New(c); err != nil {
		t.Fatal(err)
	}
	return NewSpec(0, s, 0)
}

// Prompts are admitted by the same mark: of prompts that the cache could hold to its
// last byte, one waits.
func TestPromptsStopAtTheWatermark(t *testing.T) {
	b := newBed(t, "llama-3.1-8b", "hgx-h100", cost.Mixed, cost.Layout{})
	b.input = func(uint64) int32 { return 2000 }
	b.output = func(uint64) int32 { return 50 }
	each := b.spec.Memory.SequenceBytes(2000)
	b.spec.Memory.Free = 10 * each
	b.spec.MaxTokens = 1 << 20
	for _, x := range []struct{ watermark, runs int64 }{{0, 10}, {1, 9}, {each, 9}, {each + 1, 8}} {
		b.spec.Watermark = x.watermark
		in := New(b.spec, b.in.shared, 0)
		for range 12 {
			in.Enqueue(b.request(), 0)
		}
		if !in.Start(b.now) {
			t.Fatal("nothing begins")
		}
		if in.Running() != x.runs || in.Waiting() != 12-x.runs {
			t.Errorf("watermark %d of %d: %d prompts run, %d wait; want %d to run", x.watermark, each, in.Running(), in.Waiting(), x.runs)
		}
	}
}

// Where layers share vLLM's blocks, a step's windows stand in the cache until it has
// ended: an instance that takes prompts keeps room for those of a full step, at most half
// of what there is, and one that only decodes needs none.
func TestStepsWindowsAreKeptFree(t *testing.T) {
	engine, err := cost.LoadEngine("vllm")
	if err != nil {
		t.Fatal(err)
	}
	for _, tokens := range []int{2048, 8192, 1 << 17} {
		for _, role := range []cost.Role{cost.Mixed, cost.Prefill, cost.Decode} {
			c := newBed(t, "gpt-oss-120b", "hgx-b200", role, cost.Layout{}).spec.Stepper.Config()
			c.Engine, c.MaxTokens = engine, tokens
			st, err := cost.New(c)
			if err != nil {
				t.Fatal(err)
			}
			spec := NewSpec(0, st, 0)
			free := spec.Memory.Free
			// A block of 16 tokens of 18 layers: keys and values of 8 heads of 64 in BF16.
			want := max(free/100, min(int64(tokens/16*18*16*2*8*64*2), free/2))
			if role == cost.Decode {
				want = free / 100
			}
			if spec.Watermark != want {
				t.Errorf("%s, %d tokens a step: %d B kept free of %d, want %d", role, tokens, spec.Watermark, free, want)
			}
		}
	}
}
