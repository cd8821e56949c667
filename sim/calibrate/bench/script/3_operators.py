# ---- operators -----------------------------------------------------------------------


@dataclass
class Op:
    """One operator with its inputs. want is the same in FP32, by another way."""

    run: Callable[[], "torch.Tensor"]
    want: Callable[[], "torch.Tensor"]
    work: tuple[float, float]  # FLOPs, bytes
    kernel: str


WIDTH = {"bfloat16": 2, "fp8": 1, "fp8_block": 1, "int8": 1, "nvfp4": 0.5}  # bytes a number
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6]


def width(dtype: str) -> float:
    return WIDTH.get(dtype) or missing(f"product in {dtype}")


def operand(dev: Device, dtype: str, *shape: int) -> tuple["torch.Tensor", Callable[[], "torch.Tensor"]]:
    """A random matrix as a precision stores it, and its values in FP32."""
    if dtype == "int8":
        x = torch.randint(-127, 128, shape, dtype=torch.int8, device=dev.at)
    elif dtype == "nvfp4":
        packed = getattr(torch, "float4_e2m1fn_x2", None) or missing("float4_e2m1fn_x2")
        x = torch.randint(256, (*shape[:-1], shape[-1] // 2), dtype=torch.uint8, device=dev.at)
        return x.view(packed), lambda: torch.tensor(E2M1, device=dev.at)[torch.stack((x & 15, x >> 4), -1).flatten(-2).long()]
    else:
        x = dev.random(*shape)
        x = x if dtype == "bfloat16" else x.to(dev.fp8())
    return x, x.float


def product(dev: Device, dtype: str, a: "torch.Tensor", w: "torch.Tensor", k: int) -> tuple[Callable, str]:
    """a [m,k] times w [n,k] transposed."""
    m, n, one, extra = a.shape[0], w.shape[0], lambda *s: torch.ones(s, device=dev.at), {}
    if dtype == "bfloat16":
        return lambda: torch.mm(a, w.t()), "torch.mm"
    call = getattr(torch, "_int_mm" if dtype == "int8" else "_scaled_mm", None) or missing(f"product in {dtype}")
    if dtype == "int8":
        padded = a if m > 16 else F.pad(a, (0, 0, 0, 32 - m))  # cuBLASLt takes no fewer than 17 rows
        return lambda: call(padded, w.t())[:m], "torch._int_mm"
    if dtype == "fp8":
        sa, sb, extra = one(), one(), {"use_fast_accum": True}
    elif dtype == "fp8_block":  # 1x128 scales of activations, 128x128 of weights
        sa, sb = one(k // 128, m).t(), one(-(-n // 128), -(-k // 512) * 4)[:, : k // 128].t()
    else:  # a scale for 16, in tiles of 128 x 4
        sa, sb = (one(-(-rows // 128) * 128 * -(-k // 64) * 4).to(torch.float8_e4m3fn) for rows in (m, n))

    def run() -> "torch.Tensor":
        out = call(a, w.t(), scale_a=sa, scale_b=sb, out_dtype=torch.bfloat16, **extra)
        return out[0] if isinstance(out, tuple) else out

    return run, "torch._scaled_mm"


def gemm(dev: Device, p: Point) -> Op:
    m, n, k = p.dims
    work = dev.admit(2.0 * m * n * k, width(p.dtype) * k * (m + n) + 2.0 * m * n)
    (a, a32), (w, w32) = operand(dev, p.dtype, m, k), operand(dev, p.dtype, n, k)
    run, kernel = product(dev, p.dtype, a, w, k)
    return Op(run, lambda: a32() @ w32().t(), work, kernel)


def grouped(dev: Device, dtype: str, groups: int, m: int, n: int, k: int) -> tuple[Callable, "torch.Tensor", str]:
    """Multiplies m rows each by groups matrices [n,k]; and those matrices."""
    name = {"bfloat16": "_grouped_mm", "fp8": "_scaled_grouped_mm"}.get(dtype) or missing(f"grouped product in {dtype}")
    call = getattr(torch, name, None)
    w, _ = operand(dev, dtype, groups, n, k)
    ends = torch.arange(1, groups + 1, dtype=torch.int32, device=dev.at) * m
    if dtype == "fp8":
        sa, sb = torch.ones(groups * m, device=dev.at), torch.ones(groups, n, device=dev.at)
        call = call or missing(f"grouped product in {dtype}")
        return lambda x: call(x, w.transpose(1, 2), sa, sb, offs=ends, out_dtype=torch.bfloat16, use_fast_accum=True), w, "torch." + name
    ragged, dense = (lambda x: call(x, w.transpose(1, 2), offs=ends)), (lambda x: torch.bmm(x.view(groups, m, k), w.transpose(1, 2)).flatten(0, 1))
    if (groups, m, n, k) not in dev.best:
        x = dev.random(groups * m, k)
        faster = call and trial(dev, lambda: ragged(x)) < trial(dev, lambda: dense(x))
        dev.best[groups, m, n, k] = "torch." + name if faster else "torch.bmm"
    return dense if dev.best[groups, m, n, k] == "torch.bmm" else ragged, w, dev.best[groups, m, n, k]


def grouped_gemm(dev: Device, p: Point) -> Op:
    groups, m, n, k = p.dims
    work = dev.admit(2.0 * groups * m * n * k, groups * (width(p.dtype) * k * (m + n) + 2.0 * m * n))
    f, w, kernel = grouped(dev, p.dtype, groups, m, n, k)
    x, x32 = operand(dev, p.dtype, groups * m, k)
    return Op(lambda: f(x), lambda: torch.cat([a @ b.float().t() for a, b in zip(x32().split(m), w)]), work, kernel)


def moe(dev: Device, p: Point) -> Op:
    """The experts of one rank under balanced routing of the whole group's tokens:
    gather, gate and up, activation, down, weighted sum. A rank has tokens*topk/ep pairs
    on min(experts, pairs) experts."""
    h, i, experts, topk, ep = p.dims
    pairs = max(1, p.batch * topk // ep)
    touched = min(experts // ep, pairs)
    m = -(-pairs // touched)
    tokens = min(p.batch, touched * m)
    weights = 3.0 * touched * h * i * width(p.dtype)
    work = dev.admit(6.0 * touched * m * h * i, weights + tokens * h * (width(p.dtype) + 2))
    up, w1, kernel = grouped(dev, p.dtype, touched, m, 2 * i, h)
    down, w2, _ = grouped(dev, p.dtype, touched, m, h, i)
    x, x32 = operand(dev, p.dtype, tokens, h)
    row, share = torch.arange(touched * m, device=dev.at) % tokens, torch.rand(touched * m, 1, device=dev.at).bfloat16()
    act, _ = dev.fuse(silu_mul_of)
    moved = torch.int16 if x.element_size() == 2 else torch.int8  # a gather moves bytes; not every torch indexes FP8

    def run() -> "torch.Tensor":
        y = down(act(up(x.view(moved)[row].view(x.dtype))).to(x.dtype))
        return torch.zeros(tokens, h, dtype=y.dtype, device=dev.at).index_add_(0, row, y * share)

    def want() -> "torch.Tensor":
        out = torch.zeros(tokens, h, device=dev.at)
        for r in range(touched * m):
            gate, u = (w1[r // m].float() @ x32()[row[r]]).chunk(2)
            out[row[r]] += share[r] * (w2[r // m].float() @ (gate / (1 + (-gate).exp()) * u))
        return out

    return Op(run, want, work, kernel)


def softmax_attention(q: "torch.Tensor", k: "torch.Tensor", v: "torch.Tensor", causal: bool) -> "torch.Tensor":
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) if t.shape[1] != q.shape[1] else t for t in (k, v))
    s = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if causal:
        s = s + torch.full(s.shape[-2:], -math.inf, device=s.device).triu(1)
    return s.softmax(-1).to(v.dtype) @ v


def attention(dev: Device, p: Point, q: "torch.Tensor", k: "torch.Tensor", v: "torch.Tensor", causal: bool) -> tuple[str, Callable]:
    """The fastest way this torch has for q, k, v of [batch, heads, tokens, width]."""
    ways: list[tuple[str, Callable]] = []
    if hasattr(F, "scaled_dot_product_attention"):
        gqa = {"enable_gqa": True} if k.shape[1] != q.shape[1] else {}
        ways.append(("SDPA", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal, **gqa)))
        if importable("torch.nn.attention"):
            from torch.nn.attention import SDPBackend, sdpa_kernel

            for name in ("FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION"):
                if hasattr(SDPBackend, name):  # the decorator form of the context manager
                    ways.append((f"SDPA {name.split('_')[0].lower()}", sdpa_kernel([getattr(SDPBackend, name)])(ways[0][1])))
    if 8.0 * q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] < dev.free_bytes() / 4:
        ways.append(("bmm softmax bmm, composite", lambda q, k, v: softmax_attention(q, k, v, causal)))
    times = [trial(dev, lambda f=f: f(q, k, v)) for _, f in ways]
    if min(times, default=math.inf) == math.inf:
        raise Missing("no attention of this torch takes the shape")
    return dev.best.setdefault((p.key, p.shape), ways[times.index(min(times))])


def trial(dev: Device, f: Callable) -> float:
    """Rough seconds of a call; infinity when it cannot be."""
    try:
        f()
        return min(dev.seconds(f) for _ in range(2))
    except (RuntimeError, TypeError):
        return math.inf


def dense_attention(dev: Device, p: Point) -> Op:
    """GQA (h, kv, d, window) and MLA (heads, d, dv), decoding one query a sequence over
    ctx+1 keys or prefilling ctx tokens causally. Decoding, the heads that share keys are
    the rows of one product; MLA then is the absorbed form on one latent of d elements, the
    first dv of them the value."""
    latent, decode = p.op.startswith("mla"), "decode" in p.op
    heads, kv, d, dv, *window = (p.dims[0], 1 if decode else p.dims[0], *p.dims[1:]) if latent else (*p.dims[:3], p.dims[2], *p.dims[3:])
    n = min([p.ctx + 1, *window]) if decode else p.ctx
    if not p.dtype.endswith("bfloat16"):
        missing(f"attention in {p.dtype}")
    pairs = p.batch * heads * (n if decode else p.ctx * (p.ctx + 1) / 2)
    stored = kv * (d if latent and decode else d + dv)
    work = dev.admit(2.0 * pairs * (d + dv), 2.0 * p.batch * (n * stored + (1 if decode else n) * heads * (d + dv)))
    q, k = dev.random(p.batch, kv, heads // kv, d) if decode else dev.random(p.batch, heads, n, d), dev.random(p.batch, kv, n, d)
    v = k[..., :dv] if latent and decode else dev.random(p.batch, kv, n, dv)
    kernel, f = dev.best.get((p.key, p.shape)) or attention(dev, p, q, k, v, not decode)
    return Op(lambda: f(q, k, v), lambda: softmax_attention(q.float(), k.float(), v.float(), not decode), work, kernel)


def sparse_attention(dev: Device, p: Point) -> Op:
    """Every query attends `chosen` entries of its own (attn-heads-width-chosen): a gather and
    a product. Decoding, a sequence has a cache of ctx entries; prefilling, all tokens one."""
    heads, d, chosen = p.dims
    dv, caches = min(d, 512), p.batch if p.op.endswith("decode") else 1
    work = dev.admit(2.0 * p.batch * heads * (d + dv) * chosen, 2.0 * p.batch * (d * chosen + heads * (d + dv)))
    cache, q = dev.random(caches * p.ctx, d), dev.random(p.batch, 1, heads, d)
    at = torch.randint(p.ctx, (p.batch, chosen), device=dev.at) + (torch.arange(p.batch, device=dev.at) % caches * p.ctx)[:, None]
    entries = lambda: cache[at][:, None]
    kernel, f = dev.best.get((p.key, p.shape)) or attention(dev, p, q, entries(), entries()[..., :dv], False)

    def run() -> "torch.Tensor":
        e = entries()
        return f(q, e, e[..., :dv])

    def want() -> "torch.Tensor":
        s = torch.einsum("bhd,bnd->bhn", q[:, 0].float(), cache.float()[at]) / d**0.5
        return torch.einsum("bhn,bnd->bhd", s.softmax(-1), cache.float()[at][..., :dv])[:, None]

    return Op(run, want, work, f"gather, {kernel.replace(', composite', '')}, composite")


def indexer(dev: Device, p: Point) -> Op:
    """An indexer's scores of ctx keys of 128: sum over heads of weight * relu(q.k)."""
    heads, d = p.dims[0], 128
    if p.dtype != "bfloat16":
        missing(f"batched product in {p.dtype}")
    work = dev.admit(2.0 * p.batch * heads * d * p.ctx, 2.0 * p.batch * (d * (p.ctx + heads) + p.ctx))
    q, k, w = dev.random(p.batch, heads, d), dev.random(p.batch, p.ctx, d), dev.random(p.batch, 1, heads)
    want = lambda: (torch.einsum("bhd,bnd->bhn", q.float(), k.float()).relu() * w.float().transpose(1, 2)).sum(1, keepdim=True)
    return Op(lambda: torch.bmm(w, torch.bmm(q, k.transpose(1, 2)).relu_()), want, work, "bmm relu bmm, composite")


def top_k(dev: Device, p: Point) -> Op:
    (rows, keys), k = p.dims, int(p.op[len("dsa_indexer_topk") :] or 64)
    x = dev.random(rows, keys, dtype=torch.float32)
    return Op(lambda: torch.topk(x, k)[0], lambda: x.sort(descending=True)[0][:, :k], dev.admit(0, 4.0 * rows * (keys + k)), "torch.topk")


# fuse makes one kernel of each of these where it can.


def silu_mul_of(x):
    gate, up = x.chunk(2, -1)
    return F.silu(gate) * up


def delta_of(s, q, k, v, decay, beta):
    """One token of the gated delta rule on the state s [b,h,dk,dv]."""
    s = s * decay[..., None, None]
    s = s + k[..., None] * ((v - (s * k[..., None]).sum(-2)) * beta[..., None])[..., None, :]
    return (s * q[..., None]).sum(-2), s


def mhc_pre_of(x, w):
    """Hyper-connections ahead of a block: mixing weights from the streams x [t,hc,d], those
    between streams made doubly stochastic in 20 rounds, and the block's input."""
    flat, hc = x.flatten(1).float(), x.shape[1]
    z = flat @ w * (flat.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    mix = z[:, 2 * hc :].unflatten(1, (hc, hc)).exp()
    for _ in range(20):
        mix = mix / mix.sum(-1, keepdim=True)
        mix = mix / mix.sum(-2, keepdim=True)
    return (z[:, :hc].sigmoid()[..., None] * x.float()).sum(1).to(x.dtype), z[:, hc : 2 * hc].sigmoid(), mix


def mhc_post_of(x, y, give, mix):
    return ((mix[..., None] * x[:, None].float()).sum(2) + give[..., None] * y[:, None].float()).to(x.dtype)


def elementwise(dev: Device, p: Point) -> Op:
    """Stock one-kernel operators that move what serving's small ones do: a norm, a gated activation."""
    (h, _, size), t = p.dims, p.batch
    work, x = dev.admit(0, size), dev.random(t, h)
    if p.shape.startswith("glu"):
        return Op(lambda: F.glu(x), lambda: x[:, : h // 2].float() * x[:, h // 2 :].float().sigmoid(), work, "torch elementwise")
    want = lambda: F.normalize(x.float() - x.float().mean(-1, keepdim=True), dim=-1) * h**0.5
    return Op(lambda: F.layer_norm(x, (h,)), want, work, "torch elementwise")


def gated_delta(dev: Device, p: Point) -> Op:
    """One token of each sequence; the convolution is not timed."""
    kh, dk, vh, dv = p.dims
    work = dev.admit(6.0 * p.batch * vh * dk * dv, 8.0 * p.batch * vh * dk * dv)
    real = lambda *shape: dev.random(p.batch, *shape, dtype=torch.float32)
    q, k = (F.normalize(real(kh, dk), dim=-1).repeat_interleave(vh // kh, 1) for _ in range(2))
    s, v, decay, beta, (f, kernel) = real(vh, dk, dv), real(vh, dv), real(vh).sigmoid(), real(vh).sigmoid(), dev.fuse(delta_of)

    def want() -> "torch.Tensor":
        old = s * decay[..., None, None]
        read = lambda x: torch.einsum("bhkv,bhk->bhv", old, x)
        return read(q) + (q * k).sum(-1, keepdim=True) * beta[..., None] * (v - read(k))

    return Op(lambda: f(s, q, k, v, decay, beta)[0], want, work, kernel)


def mhc(dev: Device, p: Point) -> Op:
    """Hyper-connections at both sites of a layer (attention and FFN): 20*h bytes a token
    before the blocks, 36*h behind them."""
    (h, hc), sites = p.dims, 2
    pre = p.op == "mhc_pre"
    work = dev.admit(0, (10.0 if pre else 18.0) * sites * p.batch * h)
    x, y, w = dev.random(sites, p.batch, hc, h), dev.random(sites, p.batch, h), dev.random(hc * h, 2 * hc + hc * hc, dtype=torch.float32) * (hc * h) ** -0.5
    mixed = [mhc_pre_of(a, w)[1:] for a in x]
    f, kernel = dev.fuse(mhc_pre_of if pre else mhc_post_of)
    if pre:
        taken = lambda: (F.normalize(x[-1].flatten(1).float(), dim=-1) * (hc * h) ** 0.5 @ w[:, :hc]).sigmoid()
        return Op(lambda: [f(a, w)[0] for a in x][-1], lambda: torch.einsum("ti,tid->td", taken(), x[-1].float()), work, kernel)
    want = lambda: mixed[-1][1] @ x[-1].float() + mixed[-1][0][..., None] * y[-1][:, None].float()
    return Op(lambda: [f(a, b, *m) for a, b, m in zip(x, y, mixed)][-1], want, work, kernel)


