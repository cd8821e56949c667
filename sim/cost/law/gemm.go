package law

// GEMM is C[m,n] = A[m,k]·B[k,n] on one rank, including the pass that quantises a
// BF16 activation where the variant has one:
//
//	t = t0 + cK·g(k/1024) + pnorm_p(2mnk/(P·ec), (w·nk + a·mk + 2mn)/(W·em)) + q·mk/(W·eq)
func (s *Set) GEMM(v Variant, m, n, k float64) Time { return Time{} }

// GEMMFused is GEMM whose activation arrives quantised by the kernel before it:
// no quantisation pass, 2 µs less floor.
func (s *Set) GEMMFused(v Variant, m, n, k float64) Time { return Time{} }
