# What each operator is built by, and the small shape on which it is checked.
OPS: dict[str, tuple[Callable[[Device, Point], Op], str, int, int]] = {
    "gemm": (gemm, "m=32;n=256;k=512", 32, 0),
    "gemm_fused": (gemm, "m=32;n=256;k=512", 32, 0),
    "grouped_gemm_contiguous": (grouped_gemm, "groups=3;m_per_group=16;n=128;k=128", 48, 0),
    "moe_dispatched": (moe, "h=128;i=128;E=8;topk=2;ep=2;balanced", 16, 0),
    "attention_decode": (dense_attention, "h=8;kv=2;d=64", 3, 95),
    "attention_prefill_causal": (dense_attention, "h=8;kv=2;d=64", 2, 64),
    "mla_decode": (dense_attention, "heads=16;576/512", 2, 63),
    "mla_prefill_causal": (dense_attention, "heads=4;192/128", 2, 64),
    "dsa_decode": (sparse_attention, "attn-16-512-64", 4, 256),
    "dsa_prefill": (sparse_attention, "attn-16-512-64", 4, 256),
    "indexer_logits": (indexer, "heads=8", 3, 64),
    "dsa_indexer_topk": (top_k, "[4,8192]", 4, 0),
    "gdn_update": (gated_delta, "kh=2;dk=64;vh=4;dv=64", 3, 0),
    "mhc_pre": (mhc, "d=256;hc=4", 6, 0),
    "mhc_post": (mhc, "d=256;hc=4", 6, 0),
    "elementwise": (elementwise, "layer_norm;h=256;kernels=1;bytes=5120", 5, 0),
}


# What torch raises for an operator that it, or the device, does not have.
UNABLE = (Missing, TooLarge, RuntimeError, TypeError, ValueError, ImportError, MemoryError)


def kind(p: Point) -> str:
    return p.op.rstrip("0123456789")


def check(dev: Device, p: Point) -> str:
    """Why the device cannot be measured at an operator and precision; empty when it can."""
    build, shape, batch, ctx = OPS[kind(p)]
    try:
        op = build(dev, Point(p.op, p.dtype, shape, batch, ctx, 0, 0))
        got, want = op.run().float(), op.want().float()
    except UNABLE as e:
        return (str(e).splitlines() or [type(e).__name__])[0]
    off, allowed = float((got - want).norm() / want.norm()), 0.1 if p.op == "moe_dispatched" else 0.03
    return "" if off < allowed else f"wrong by {off:.2g} of the reference, {allowed:g} allowed"


# ---- measuring -----------------------------------------------------------------------


def measure(dev: Device, build: Callable[[], Op]) -> tuple[Op, float, str, float]:
    """An operator, the seconds of one launch, a remark, and the spread of the repeats."""
    ops = [build()]
    size = max(1.0, ops[0].work[1])
    ops[0].run()
    once = dev.seconds(ops[0].run)
    copies = int(min(64, dev.rotate_bytes / size, dev.free_bytes() / 3 / size, 0.05 / once))
    ops += [build() for _ in range(copies - 1)]
    launches = max(len(ops), min(256, int(0.002 / once)))
    kept: list[object] = [None] * len(ops)  # a result lives until its copy's next turn, so that writes rotate too

    def batch() -> None:
        for i in range(launches):
            kept[i % len(ops)] = ops[i % len(ops)].run()

    replay, how = dev.capture(batch)
    times: list[float] = []
    while len(times) < 5 or sum(times) < 0.05 and len(times) < 25:
        times.append(dev.seconds(replay))
    tenths, median = statistics.quantiles(times, n=10), statistics.median(times)
    return ops[0], median / launches, how, (tenths[-1] - tenths[0]) / median


class Sheet:
    """The CSV and its log, both only ever appended to: a stop loses nothing."""

    def __init__(self, path: Path, about: dict, hardware: str) -> None:
        self.path, self.log_path, self.hardware = path, Path(f"{path}.log.jsonl"), hardware
        self.source = f"clustersim-bench {VERSION} torch {about['torch']} {about['runtime']} driver {about['driver']} {about['date']}"
        self.rows: list[dict[str, str]] = []
        if path.exists():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)  # a line torn by a kill
            with path.open(newline="") as f:
                self.rows = list(csv.DictReader(f))
        others = {r["hardware"] for r in self.rows} - {hardware}
        if others or self.rows and list(self.rows[0]) != COLUMNS:
            sys.exit(f"{path} holds rows of {', '.join(others) or 'another format'}; give another --out")
        self.file, self.log = path.open("a", newline=""), self.log_path.open("a")
        if not self.rows and path.stat().st_size == 0:
            csv.writer(self.file).writerow(COLUMNS)
        self.keys = {tuple(r[c] for c in COLUMNS[3:9]) for r in self.rows}
        self.note(kind="device", **about)

    def note(self, **what: object) -> None:
        self.log.write(json.dumps(what) + "\n")
        self.flush(self.log)

    def flush(self, f) -> None:
        f.flush()
        os.fsync(f.fileno())

    def add(self, key: tuple[str, ...], us: float, work: tuple[float, float], notes: str, spread: float) -> None:
        number = lambda v: f"{v:.6g}" if v else ""
        values = [f"b{len(self.rows) + 1:05d}", self.source, self.hardware, *key, f"{us:.6g}", number(work[0] / us / 1e6), number(work[1] / us / 1e3), notes]
        csv.writer(self.file).writerow(values)
        self.flush(self.file)
        self.note(kind="row", id=values[0], spread=round(spread, 4))
        self.rows.append(dict(zip(COLUMNS, values)))
        self.keys.add(key)


def measure_peaks(dev: Device, sheet: Sheet, dtypes: list[str]) -> None:
    """Peak bandwidth (a large copy and a triad) and FLOPs (large square products), which
    the other rows are held against. They are rows too."""

    def add(key: tuple[str, ...], peak: str, rate: int, build: Callable[[], Op]) -> None:
        op, s, how, spread = measure(dev, build)
        dev.peak[peak] = max(dev.peak.get(peak, 0), op.work[rate] / s)
        if key not in sheet.keys:
            sheet.add(key, 1e6 * s, op.work, op.kernel + how, spread)

    n = int(min(1 << 29, dev.free_bytes() / 32)) if dev.api else 1 << 24
    a, b, c = dev.random(n), dev.random(n), dev.random(n)
    for name, run, size in ("copy", lambda: c.copy_(a), 4.0 * n), ("triad", lambda: torch.add(a, b, alpha=3, out=c), 6.0 * n):
        add(("hbm_stream", "bfloat16", name, str(n), "", ""), "hbm", 1, lambda: Op(run, run, (0, size), name))
    del a, b, c
    for dtype in dtypes:
        for m in (4096, 8192) if dev.api else (1024,):
            p = Point("gemm_sustained", dtype, f"m={m};n={m};k={m}", m, 0, 0, 0)
            try:
                add(p.key, dtype, 0, lambda: gemm(dev, p))
            except UNABLE as e:
                sheet.note(kind="failed", point=str(p), why=str(e))


def row(dev: Device, p: Point, sheet: Sheet) -> str:
    """Measures a point; why not, when there is no row of it."""
    try:
        op, s, how, spread = measure(dev, lambda: OPS[kind(p)][0](dev, p))
    except TooLarge as e:
        return f"too large: {e}"
    except UNABLE as e:
        return f"failed: {(str(e).splitlines() or [type(e).__name__])[0]}"
    finally:
        if dev.api:
            dev.api.empty_cache()
    known = [rate for name, rate in dev.peak.items() if name != "hbm"] or [math.inf]
    flops = dev.peak.get(p.dtype.split("/")[0], max(known))
    for rate, peak, unit in (op.work[0] / s, flops, "FLOP/s"), (op.work[1] / s, dev.peak["hbm"], "B/s"):
        if rate > SLACK * peak:
            return f"refused: {rate:.3g} {unit} is above the measured peak of {peak:.3g}"
    sheet.add(p.key, 1e6 * s, op.work, op.kernel + how, spread)
    return ""


def closing(dev: Device, sheet: Sheet, untimed: dict[tuple[str, str], list[str]]) -> None:
    """A line an operator and precision: rows, best rates as shares of the peaks, and why not."""
    print(f"\n{'operator':26} {'precision':22} rows  TFLOP/s of peak     GB/s of peak")
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for r in sheet.rows:
        groups[r["op"], r["dtype"]].append(r)
    for op, dtype in sorted({*groups, *untimed}):
        rows, why = groups[op, dtype], untimed.get((op, dtype), [])
        best = [max((float(r[c] or 0) for r in rows), default=0) for c in ("tflops", "gbps")]
        peaks = [dev.peak.get(dtype.split("/")[0], math.inf) / 1e12, dev.peak.get("hbm", math.inf) / 1e9]
        rates = "".join(f"{b:9.4g} {100 * b / p:5.1f} %" for b, p in zip(best, peaks)) if rows else " " * 34
        print(f"{op:26} {dtype:22} {len(rows):4} {rates}" + (f"  not: {len(why)}, {why[0]}" if why else ""))
    print(f"{len(sheet.rows)} rows in {sheet.path}; the log is {sheet.log_path}")


def run(args: argparse.Namespace, dev: Device, sheet: Sheet, todo: list[Point]) -> int:
    """Measures what is not there yet, and returns the exit code."""
    untimed: dict[tuple[str, str], list[str]] = defaultdict(list)
    began, said, bar = time.monotonic(), -math.inf, sys.stderr.isatty()
    try:
        firsts = {(kind(p), p.dtype): p for p in reversed(todo)}
        lacks = {key: why for key, p in firsts.items() if (why := check(dev, p))}
        for (op, dtype), why in lacks.items():
            untimed[op, dtype].append(f"missing: {why}")
            sheet.note(kind="missing", op=op, dtype=dtype, why=why)
        measure_peaks(dev, sheet, ["bfloat16"] + [dtype for op, dtype in firsts if op == "gemm_fused" and (op, dtype) not in lacks])
        ready = time.monotonic()
        left = [p for p in todo if p.key not in sheet.keys and (kind(p), p.dtype) not in lacks]
        for done, p in enumerate(left):
            spent = time.monotonic() - began
            if args.minutes and spent > 60 * args.minutes:
                print(f"\n--minutes {args.minutes:g} are over; another run takes up the {len(left) - done} points left", file=sys.stderr)
                break
            if bar or spent - said > 10:
                said, rest = spent, (time.monotonic() - ready) / max(done, 1) * (len(left) - done) / 60
                print(f"\r{done}/{len(left)}  {rest if done else math.nan:.1f} min left  {p}"[:110].ljust(110), end="" if bar else "\n", file=sys.stderr, flush=True)
            if why := row(dev, p, sheet):
                untimed[p.op, p.dtype].append(why)
                sheet.note(kind=why.partition(":")[0], point=str(p), why=why)
        return 0
    except KeyboardInterrupt:
        print("\ninterrupted; start again to go on", file=sys.stderr)
        return 130
    finally:
        closing(dev, sheet, untimed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "npu", "cpu"))
    parser.add_argument("--hardware", help="what the hardware column says (default: the device's own name)")
    parser.add_argument("--out", type=Path, default=Path(f"bench_{MODEL}.csv"))
    parser.add_argument("--quick", action="store_true", help="the coarse grid alone")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long; 0 is when done")
    parser.add_argument("--longest", type=float, default=0.25, help="leave out what takes more seconds a launch")
    parser.add_argument("--only", default="", help="operators whose names match this regular expression")
    parser.add_argument("--check", action="store_true", help="check the operators on small shapes and stop")
    parser.add_argument("--list", action="store_true", help="print the points and stop")
    args = parser.parse_args()
    todo = [p for p in points(0 if args.quick else 3) if re.search(args.only, p.op)]
    if args.list:
        print("\n".join(f"{p.level}  {p}" for p in todo))
        return 0
    if torch is None:
        sys.exit("PyTorch is not importable here; install the build for this accelerator")
    torch.manual_seed(1)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    dev = Device(args.device, args.longest)
    about = dev.describe()
    print(json.dumps(about), file=sys.stderr)
    if args.check:
        asked = [(op, "bfloat16") for op in OPS] + [("gemm_fused", dtype) for dtype in WIDTH] + [("moe_dispatched", "fp8")]
        for op, dtype in asked:
            print(f"{op} {dtype}: {check(dev, Point(op, dtype, '', 0, 0, 0, 0)) or 'ok'}")
        return 0
    with torch.no_grad():
        return run(args, dev, Sheet(args.out, about, args.hardware or dev.name), todo)


if __name__ == "__main__":
    sys.exit(main())
