package cost

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/sim/cause"
	"github.com/clustersim/clustersim/topologies"
)

// blocksFromBothEnds is what each of cp ranks has of a chunk: block r and block 2cp−1−r
// of 2cp, each with the tokens before it.
func blocksFromBothEnds(cp, prefix, chunk int64) (ranks [][2][2]int64) {
	cut := func(i int64) int64 { return chunk * i / (2 * cp) }
	for r := range cp {
		var two [2][2]int64
		for j, b := range []int64{r, 2*cp - 1 - r} {
			two[j] = [2]int64{prefix + cut(b), cut(b+1) - cut(b)}
		}
		ranks = append(ranks, two)
	}
	return ranks
}

// Blocks from both ends: the ranks' pairs sum to the chunk's, full attention is the same
// on all of them, and truncated sums differ from the mean by less than one block has.
func TestContextParallelPairs(t *testing.T) {
	const chunk = 6144
	for _, cp := range []int64{2, 3, 8, 64} {
		for _, prefix := range []int64{0, 1000, 1_000_000} {
			for _, limit := range []int64{math.MaxInt64, 128, 2048, 4096} {
				whole, sum, mean := PairSum(prefix, chunk, limit), int64(0), float64(PairSum(prefix, chunk, limit))/float64(cp)
				for r, blocks := range blocksFromBothEnds(cp, prefix, chunk) {
					own := PairSum(blocks[0][0], blocks[0][1], limit) + PairSum(blocks[1][0], blocks[1][1], limit)
					sum += own
					last := PairSum(prefix+chunk-chunk/(2*cp), chunk/(2*cp), limit)
					if off := math.Abs(float64(own) - mean); off > float64(last) || limit == math.MaxInt64 && off != 0 {
						t.Errorf("CP %d, prefix %d, limit %d: rank %d has %d pairs, the mean is %.1f and a block at most %d", cp, prefix, limit, r, own, mean, last)
					}
				}
				if sum != whole {
					t.Errorf("CP %d, prefix %d, limit %d: ranks have %d pairs, the chunk %d", cp, prefix, limit, sum, whole)
				}
			}
		}
	}
}

// A rank's share of a chunk: rows and pairs sum to the whole, and its own rows, what is
// in the cache before the chunk and what the others compute of it are all of the prompt.
func TestContextParallelShare(t *testing.T) {
	const cp, chunk, prefix = 8, 16384, 5000
	s := newStepper(t, "v4-flash", "supernode8912", Config{Role: Prefill, Layout: Layout{CP: cp}})
	l := prefill(s, 1, chunk, prefix)
	var one, eighth work
	one.fill(&l, 1, 1, 1)
	eighth.fill(&l, 1, 1, cp)
	if eighth.chunkTokens*cp != one.chunkTokens || eighth.chunks != 1 || eighth.chunkTokens+eighth.prefix != chunk+prefix {
		t.Errorf("a rank has %+v of %+v", eighth, one)
	}
	for j := range s.config.Model.Breaks {
		if eighth.pairs[j]*cp != one.pairs[j] {
			t.Errorf("break %d: %g pairs a rank of %g", j, eighth.pairs[j], one.pairs[j])
		}
	}
}

// together are two steppers of 64 ranks for one prompt at a time: one rank has it, or cp
// share it. Experts lie on the same ranks either way.
func together(t *testing.T, model, topology string, cp int) (apart, shared *Stepper) {
	t.Helper()
	c := Config{Role: Prefill, MaxTokens: 1 << 16, MaxSequences: 8, Layout: Layout{DP: 64, Overlap: NoOverlap}}
	apart = newStepper(t, model, topology, c)
	c.Layout.DP, c.Layout.CP = 64/cp, cp
	shared = newStepper(t, model, topology, c)
	if apart.Ranks() != shared.Ranks() || apart.config.Layout.EP != shared.config.Layout.EP {
		t.Fatalf("%s and %s", apart.config.Layout, shared.config.Layout)
	}
	return apart, shared
}

func alone(s *Stepper, l Load) []Load {
	loads := make([]Load, s.config.Layout.DP)
	loads[0] = l
	return loads
}

// All ranks together do the FLOPs of the prompt, whoever has it; only MLA in MHA form
// projects what it gathers again on every rank: the prefix and the chunk, (CP − 1) times.
func TestContextParallelFlops(t *testing.T) {
	const cp, chunk, prefix = 8, 8192, 32768
	for _, x := range []struct{ model, topology string }{
		{"v4-flash", "supernode8912"}, {"v3.2", "supernode8912"}, {"v3", "supernode8912"}, {"llama-3.1-8b", "hgx-h200:64"}, {"gpt-oss-120b", "hgx-h200:64"},
	} {
		apart, shared := together(t, x.model, x.topology, cp)
		a, b := apart.Step(alone(apart, prefill(apart, 1, chunk, prefix))), shared.Step(alone(shared, prefill(shared, 1, chunk, prefix)))
		sound(t, b)
		again := 0.0
		for _, l := range shared.config.Model.Layers {
			again += float64(l.Attention.PrefixFlops) * (cp - 1) * (chunk + prefix)
		}
		if (again > 0) != (x.model == "v3") {
			t.Errorf("%s projects %g FLOPs again", x.model, again)
		}
		near(t, x.model+": FLOPs", b.Flops, a.Flops+again, 1e-9)
		if b.Time >= a.Time {
			t.Errorf("%s: %d ranks take %v for a prompt of which one alone makes %v", x.model, cp, b.Time, a.Time)
		}
	}
}

// The attention of a long chunk approaches 1/CP, from above: floors and weights are
// every rank's own.
func TestContextParallelAttention(t *testing.T) {
	const chunk, prefix = 65536, 131072
	for _, model := range []string{"v4-flash", "v3.2", "llama-3.1-8b"} {
		for _, cp := range []int64{2, 8, 64} {
			apart, shared := together(t, model, "supernode8912", int(cp))
			l := prefill(apart, 1, chunk, prefix)
			var all, part work
			all.fill(&l, 1, 1, 1)
			part.fill(&l, 1, 1, cp)
			one, each := apart.attentionSeconds(apart.main.attentions, &all, chunk), shared.attentionSeconds(shared.main.attentions, &part, float64(chunk/cp))
			floors := 0.0
			for i := range shared.main.attentions {
				k := &shared.main.attentions[i]
				x := shared.prefillAttention(k, &part, float64(chunk/cp))
				floors += k.count * (x.Launch + k.block.Bytes/shared.hbm()*2)
			}
			share := one / float64(cp)
			// a GQA kernel reads all keys and has the longest tile, whatever its rows are
			if own := floors + 0.03*share; !(each >= share*(1-1e-9) && each <= share+own) && model != "llama-3.1-8b" || each < share {
				t.Errorf("%s, CP %d: attention takes %.6g s, 1/CP of one rank's is %.6g, floors %.3g", model, cp, each, share, floors)
			}
		}
	}
}

// What ranks send each other, by hand, in bytes a layer: entries and index keys of all
// tokens once to everyone, and at both ends of a rank's blocks the window of 128 and the
// rows that a compressor has pending.
func TestContextParallelBytes(t *testing.T) {
	const cp, chunk = 8, 8192
	for _, x := range []struct {
		model, topology string
		tp              int
		want            map[string]float64
	}{
		{"v4-pro", "supernode8912", 1, map[string]float64{
			"csa gather entries": chunk * (584 + 132) / 4, "csa hand over windows": 2 * (128*584 + 8*2*1024*4 + 8*2*256*4),
			"hca gather entries": chunk * 584 / 128, "hca hand over windows": 2 * (128*584 + 128*2*512*4),
			"head gather prompt": chunk * 7168 * 2,
		}},
		{"v3.2", "hgx-h200:16", 1, map[string]float64{"dsa gather entries": chunk * (656 + 132)}},
		{"llama-3.1-8b", "hgx-h200:16", 2, map[string]float64{"full gather entries": chunk * 2 * 4 * 128 * 2, "head gather prompt": chunk * 4096 * 2}},
		{"gpt-oss-120b", "hgx-h200", 1, map[string]float64{
			"full gather entries": chunk * 2 * 8 * 64 * 2, "swa hand over windows": 2 * 128 * 2 * 8 * 64 * 2,
		}},
	} {
		s := newStepper(t, x.model, x.topology, Config{Role: Prefill, MaxTokens: chunk, Layout: Layout{TP: x.tp, CP: cp, Overlap: NoOverlap}})
		got := map[string]float64{}
		for _, o := range s.Explain(alone(s, prefill(s, 1, chunk, 0))).Operators {
			got[o.LayerKind+" "+o.Name] = o.Bytes
		}
		for name, want := range x.want {
			if got[name] != want {
				t.Errorf("%s: %s is %g bytes, want %g (of %v)", x.model, name, got[name], want, got)
			}
		}
	}
}

// A chunk shorter than two windows hands over no more than itself; a chunk that overlap cuts
// in two halves is put back in order as a whole; stages send each other a rank's rows.
func TestContextParallelPieces(t *testing.T) {
	operator := func(s *Stepper, chunk int64, kind, name string) Operator {
		for _, o := range s.Explain(alone(s, prefill(s, 1, chunk, 0))).Operators {
			if o.LayerKind == kind && o.Name == name {
				return o
			}
		}
		t.Fatalf("%s: no %s of %s", s.describe(), name, kind)
		return Operator{}
	}
	s := newStepper(t, "v4-pro", "supernode8912", Config{Role: Prefill, Layout: Layout{CP: 8, Overlap: NoOverlap}})
	if got, want := operator(s, 128, "hca", "hand over windows").Bytes, float64(128*584+2*128*2*512*4); got != want {
		t.Errorf("128 tokens hand over %g bytes, want %g", got, want)
	}
	s = newStepper(t, "v4-flash", "supernode8912", Config{Role: Prefill, Layout: Layout{CP: 8, Overlap: TwoBatch}})
	if o := operator(s, 4096, "head", "gather prompt"); o.M != 4096 {
		t.Errorf("of 4,096 tokens in two halves %d are put in order", o.M)
	}
	s = newStepper(t, "llama-3.1-8b", "hgx-h200:16", Config{Role: Prefill, Layout: Layout{CP: 4, PP: 2}})
	if o := operator(s, 4096, "all", "stage boundary"); o.M != 4096/4/2 {
		t.Errorf("stages send each other %d rows of 4,096 that four ranks share", o.M)
	}
}

// What a rank gathers it also writes into its own cache; groups that reach over a node's
// end are priced on the links outside it.
func TestContextParallelTiers(t *testing.T) {
	const rows, layers = 1024, 36
	at := func(tp, cp int) (p part) {
		s := newStepper(t, "gpt-oss-120b", "hgx-h200:32", Config{Role: Prefill, Layout: Layout{TP: tp, CP: cp, Overlap: NoOverlap}})
		s.contextParallel(&p, nil, &s.main, rows)
		return p
	}
	// half of the layers are windows of 128; keys and values of a rank's heads of 64, in BF16
	for _, x := range []struct{ tp, cp int }{{1, 4}, {4, 2}, {8, 2}, {8, 4}} {
		p, entry := at(x.tp, x.cp), float64(2*64*2*8/x.tp)
		others := float64(rows*(x.cp-1)) * entry
		near(t, "written", p.bytes, layers/2*(others+2*128*entry), 1e-12)
		near(t, "sent", p.link[0]+p.link[1], p.bytes, 1e-12)
		if outside := x.tp*x.cp > 8; (p.link[1] > 0) != outside || outside && p.link[0] != 0 && x.tp == 8 {
			t.Errorf("TP %d CP %d: %g bytes inside a node, %g outside", x.tp, x.cp, p.link[0], p.link[1])
		}
	}
	share := func(tp int) comm {
		s := newStepper(t, "gpt-oss-120b", "hgx-h200:32", Config{Role: Prefill, Layout: Layout{TP: tp, CP: 2, Overlap: NoOverlap}})
		return s.comms.share(1 << 20)
	}
	if inner, outer := share(4), share(8); outer.total() <= inner.total() || outer.tau <= inner.tau {
		t.Errorf("a gather of two ranks takes %+v four apart, in a node, and %+v eight apart, in two", inner, outer)
	}
	inside, outside := at(4, 2), at(8, 2) // of which each has half the bytes
	if inside.time[cause.CommBandwidth] >= outside.time[cause.CommBandwidth] {
		t.Errorf("%g s inside a node, %g s for half the bytes outside", inside.time[cause.CommBandwidth], outside.time[cause.CommBandwidth])
	}
}

// A gather sends (CP − 1)/CP of its bytes from every rank, a hand-over all of its own;
// nothing else of a dense model crosses a link without tensor parallelism.
func TestContextParallelLinkBytes(t *testing.T) {
	const cp, chunk, layers = 8, 4096, 32
	s := newStepper(t, "llama-3.1-8b", "hgx-h200", Config{Role: Prefill, MaxTokens: chunk, Layout: Layout{CP: cp}})
	step := s.Step(alone(s, prefill(s, 1, chunk, 0)))
	near(t, "bytes over NVLink", step.LinkBytes[0], (cp-1)*chunk*(layers*2*8*128*2+4096*2), 1e-12)
	if step.Tau == 0 || step.Causes[cause.CommBandwidth] == 0 {
		t.Errorf("gathers cost nothing: %+v", step)
	}
}

// One context-parallel rank is none: nothing of a price depends on whether it is said.
func TestOneContextParallelRank(t *testing.T) {
	a := newStepper(t, "v4-flash", "supernode8912", Config{Role: Prefill, Layout: Layout{DP: 8}})
	b := newStepper(t, "v4-flash", "supernode8912", Config{Role: Prefill, Layout: Layout{DP: 8, CP: 1}})
	if x, y := a.Step(everywhere(a, prefill(a, 2, 4000, 700))), b.Step(everywhere(b, prefill(b, 2, 4000, 700))); x != y {
		t.Errorf("%+v, with CP 1 %+v", x, y)
	}
}

// slowed is a topology whose links have a quarter of the bandwidth.
func slowed(x *topologies.Topology) *topologies.Topology {
	y := *x
	y.Tiers = append([]topologies.Tier{}, x.Tiers...)
	for i := range y.Tiers {
		y.Tiers[i].Bandwidth /= 4
	}
	return &y
}

// Slower links are never faster, and a long chunk falls with every doubling of the ranks;
// a token, which there is nothing to share of, pays for what the ranks say to each other.
func TestContextParallelOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	for _, model := range []string{"v4-flash", "v3.2", "v3", "qwen3-32b"} {
		topology := loadTopology(t, "supernode8912")
		m := loadModel(t, model, topology.Chip)
		before, first, rises := math.Inf(1), 0.0, false
		for cp := 1; cp <= 64; cp *= 2 {
			layout := Layout{CP: cp, DP: 64 / cp, Overlap: NoOverlap}
			s := newStepper(t, "", "", Config{Model: m, Topology: topology, Role: Prefill, MaxTokens: 1 << 17, Layout: layout})
			long := s.Step(alone(s, prefill(s, 1, 131072, 0))).Time.Seconds()
			if long >= before {
				t.Errorf("%s: CP %d takes %g s for 128K tokens, half as many %g", model, cp, long, before)
			}
			before = long
			short := s.Step(alone(s, prefill(s, 1, 1, 0))).Time.Seconds()
			if cp == 1 {
				first = short
			}
			rises = rises || short > first
			slow := newStepper(t, "", "", Config{Model: m, Topology: slowed(topology), Role: Prefill, MaxTokens: 1 << 17, Layout: layout})
			n, prefix := 64+random.Int64N(60000), random.Int64N(100000)
			if a, b := s.Step(alone(s, prefill(s, 1, n, prefix))).Time, slow.Step(alone(slow, prefill(slow, 1, n, prefix))).Time; b < a || cp > 1 && b == a {
				t.Errorf("%s, CP %d: %v, over links of a quarter %v", model, cp, a, b)
			}
		}
		if !rises {
			t.Errorf("%s: a token is never slower on more ranks than on one", model)
		}
	}
}

// Every rank holds the whole cache: a sequence takes as much of it as without context
// parallelism, and what a rank saves is activations of the rows that it has not.
func TestContextParallelMemory(t *testing.T) {
	c := Config{Role: Prefill, MaxTokens: 32768, MaxSequences: 8, Layout: Layout{DP: 16}}
	a := newStepper(t, "v3", "hgx-h200:16", c)
	c.Layout = Layout{DP: 2, CP: 8}
	b := newStepper(t, "v3", "hgx-h200:16", c)
	x, y := a.Memory(), b.Memory()
	if x.SequenceBytes(100_000) != y.SequenceBytes(100_000) || x.TransferBytes(100_000) != y.TransferBytes(100_000) || x.WeightBytes != y.WeightBytes {
		t.Errorf("%+v and %+v", x, y)
	}
	// an expert that ranks cut, every rank having a slice of each, is cut over all of them
	c = Config{Role: Prefill, Layout: Layout{DP: 8, EP: 1}}
	cut := newStepper(t, "gpt-oss-120b", "hgx-h200", c)
	c.Layout.DP, c.Layout.CP = 1, 8
	if shared := newStepper(t, "gpt-oss-120b", "hgx-h200", c); shared.Memory().WeightBytes != cut.Memory().WeightBytes {
		t.Errorf("weights of %d bytes, cut over data-parallel ranks %d", shared.Memory().WeightBytes, cut.Memory().WeightBytes)
	}
	// beside an eighth of the rows, keys (128 of them without position) and values of 128 heads of all tokens
	if want := x.Activations/8 + 2*32768*128*256; y.Activations != want {
		t.Errorf("activations of %d bytes, want %d", y.Activations, want)
	}
}

func TestContextParallelIsRefused(t *testing.T) {
	topology := loadTopology(t, "hgx-h200:16")
	for _, x := range []struct {
		model string
		c     Config
		says  string
	}{
		{"v3", Config{Role: Decode, Layout: Layout{CP: 2}}, "cp: 2 ranks would share each prompt of a decode instance"},
		{"v3", Config{Layout: Layout{CP: 2}}, "of a mixed instance, and only instances that prefill alone are modelled so"},
		{"v3", Config{Role: Prefill, Engine: loadEngine(t, "trtllm"), Layout: Layout{CP: 2}}, "engine trtllm does not cut prompts"},
		{"qwen3-next", Config{Role: Prefill, Layout: Layout{CP: 2}}, "whose state passes from one block of a prompt to the next"},
		{"v3", Config{Role: Prefill, MaxTokens: 4, Layout: Layout{CP: 8}}, "cp: 8 ranks share a step's 4 prompt tokens"},
		{"v3", Config{Role: Prefill, Layout: Layout{CP: 8, EP: 4}}, "context parallelism it is TP × CP × DP = 1 × 8 × 1 = 8"},
		{"v3", Config{Role: Prefill, Layout: Layout{TP: 4, CP: 8}}, "TP 4 × DP 1 × PP 1 × CP 8 = 32 ranks"},
	} {
		x.c.Model, x.c.Topology = loadModel(t, x.model, topology.Chip), topology
		_, err := New(x.c)
		says(t, err, x.says)
	}
	s := newStepper(t, "v3", "hgx-h200:16", Config{Role: Prefill, Layout: Layout{CP: 16}})
	defer func() {
		if said, _ := recover().(string); !strings.Contains(said, "under context parallelism decodes 3 sequences") {
			t.Errorf("a decode step: %q", said)
		}
	}()
	s.Step([]Load{decode(s, 3, 100)})
}

// Random layouts of every model that can be split: whatever the chunk, the ledger adds up,
// nothing beats the chip or the links (Step panics), and the operators sum to the step.
func TestContextParallelEverywhere(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	priced := 0
	for _, system := range []string{"hgx-h100:64", "supernode8912", "cloudmatrix384"} {
		topology := loadTopology(t, system)
		for _, name := range models.Names() {
			m := loadModel(t, name, topology.Chip)
			l := Layout{TP: 1 << random.IntN(3), DP: 1 << random.IntN(2), PP: 1 + random.IntN(2), CP: 2 << random.IntN(4)}
			l.Overlap = []Overlap{NoOverlap, TwoBatch, Wave}[random.IntN(3)]
			if experts, ranks := int(m.Experts()), l.TP*l.groups(); experts > 0 {
				l.EP, l.Redundant = ranks, (ranks-experts%ranks)%ranks
				if l.TP == 1 && random.IntN(2) == 0 {
					l.Exchange = Gather
				}
			}
			s, err := build(Config{
				Model: m, Topology: topology, Layout: l, Role: Prefill, MaxTokens: 65536,
				Engine: loadEngine(t, []string{"vllm", "sglang", "cann", "ideal"}[random.IntN(4)]),
			})
			if err != nil {
				continue // state that passes on, too few chips or heads
			}
			priced++
			for _, chunk := range [][2]int64{{1, 0}, {128, 999}, {3000, 100_000}, {65536, 900_000}} {
				loads := alone(s, prefill(s, 1, chunk[0], chunk[1]))
				sound(t, s.Step(loads))
				sound(t, s.Step(everywhere(s, prefill(s, 2, chunk[0], chunk[1]))))
				x, sum := s.Explain(loads), int64(0)
				for _, o := range x.Operators {
					sum += o.Ns
				}
				if sum != x.StepNs {
					t.Errorf("%s: operators sum to %d ns of %d", s.describe(), sum, x.StepNs)
				}
			}
		}
	}
	if priced < 40 {
		t.Errorf("only %d layouts are priced", priced)
	}
}
