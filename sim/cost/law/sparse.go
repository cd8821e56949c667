package law

import "math"

func (s *Set) compileSparse(src *source) {
	for i, name := range kvFormats {
		v := src.need("dsa_decode", i, name)
		f := s.decodeBlock(v, s.bf16)
		f.log, f.logScale = v.log("log_us"), 1.0/128
		f.indexFloor, f.index = v.us("index_us"), 1/(s.hbm*v.cached("e_index"))
		f.topk, f.key, f.tile = v.us("topk_us"), v.ns("key_ns"), v.us("tile_us")/128
		v.done()
		s.dsaDecode[i] = f
		v = src.need("dsa_prefill", i, dsaKernels[i]...)
		s.dsaPrefill[i] = s.sparsePrefill(v, true)
		v.done()
	}
	v := src.need("csa_decode", 0, "all")
	s.csaDecode = s.decodeBlock(v, s.bf16)
	s.csaDecode.index, s.csaDecode.topk = 1/(s.hbm*v.cached("e_index")), v.us("topk_us")
	s.csaDecode.row, s.csaDecode.tile = v.us("row_us"), v.us("tile_us")/128
	v.done()
	v = src.need("hca_decode", 0, "all")
	s.hcaDecode = s.decodeBlock(v, s.bf16)
	s.hcaDecode.row, s.hcaDecode.log, s.hcaDecode.logScale = v.us("row_us"), v.log("log_us"), 1.0/64
	v.done()
	v = src.need("csa_prefill", 0, "all")
	s.csaPrefill = s.sparsePrefill(v, true)
	v.done()
	v = src.need("hca_prefill", 0, "all")
	s.hcaPrefill = s.sparsePrefill(v, false)
	v.done()
}

// dsaKernels are the sparse prefill kernels by KV format, first found first:
// FlashMLA's sparse kernel reads BF16, and its decode kernel an FP8 cache;
// Blackwell runs trtllm-gen's for both.
var dsaKernels = [2][]string{{"trtllm", "flashmla_sparse"}, {"trtllm", "flashmla_kv"}}

func (s *Set) sparsePrefill(v *values, indexer bool) blockForm {
	f := blockForm{
		floor: v.us("t0_us"), weight: 1 / (s.hbm * v.share("ew")), linear: 1 / v.share("el"),
		flop: 1 / (s.bf16 * v.share("ec")), byte: 1 / (s.hbm * v.cached("e_gather")),
		act: 1 / (s.hbm * v.cached("e_act")), row: v.ns("row_ns"),
	}
	if indexer {
		f.index, f.score = 1/(s.fp8*v.share("e_index")), 1/(s.hbm*v.cached("e_score"))
	}
	return f
}

// DSADecode is the whole DSA block, indexer and top-k included (none in a layer
// that reuses another's choice: IndexBytes 0):
//
//	t = block + [keys/(W·eI) + tIdx + tTopk·[active] + cKey·n·⌈rows/cores⌉],  log over 1 + n_sel/128
//
// Top-k runs one thread block a row: 0.32–0.40 ns a key on every chip, rows in
// parallel over the cores.
func (s *Set) DSADecode(x *Decode) Time {
	f := &s.dsaDecode[kvFormat(x.KV8)]
	t := s.block(f, x, x.Entries)
	if x.IndexBytes <= 0 || x.Batch <= 0 {
		return t
	}
	t.Launch += f.indexFloor
	t.KV += x.IndexBytes * f.index
	t.Compute += f.key * x.Keys * math.Ceil(x.Rows/s.cores)
	if x.TopKActive {
		t.Compute += f.topk
	}
	return t
}

// CSADecode is the whole CSA block of DeepSeek-V4:
//
//	t = block + keys/(W·eI) + tTopk·[active]
//
// The selection's 57–79 µs are those of SGLang 0.5.14 between top-k and 20,000
// keys; beyond, that version runs a kernel that needs about 10. The caller says
// whether it runs.
func (s *Set) CSADecode(x *Decode) Time {
	f := &s.csaDecode
	t := s.block(f, x, x.Entries)
	if x.Batch <= 0 {
		return t
	}
	t.KV += x.IndexBytes * f.index
	if x.TopKActive {
		t.Compute += f.topk
	}
	return t
}

// HCADecode is the whole HCA block of DeepSeek-V4, and of a layer of it that has a
// window only; its log runs over compressed entries (Keys).
func (s *Set) HCADecode(x *Decode) Time {
	return s.block(&s.hcaDecode, x, x.Keys)
}

// DSAPrefill is the whole DSA block over a prompt; on its dense path (contexts
// within top-k) CoreFlops includes projecting the prefix again. SGLang 0.5.14 launches
// it kernel by kernel: HostFloor there is 1.03–1.17 ms with BF16 projections and
// 1.39–1.57 ms with FP8 blocks, 0.5 and 0.8 ms on the dense path, 0.3–0.4 and
// 0.5–0.7 ms where a layer reuses another's choice.
func (s *Set) DSAPrefill(x *Prefill) Time { return s.prefillBlock(&s.dsaPrefill[kvFormat(x.KV8)], x) }

// CSAPrefill is the whole CSA block of DeepSeek-V4 over a prompt.
func (s *Set) CSAPrefill(x *Prefill) Time { return s.prefillBlock(&s.csaPrefill, x) }

// HCAPrefill is the whole HCA block of DeepSeek-V4, and of a window-only layer.
func (s *Set) HCAPrefill(x *Prefill) Time { return s.prefillBlock(&s.hcaPrefill, x) }
