# ---- the device ----------------------------------------------------------------------


class Missing(Exception):
    """The device or this torch does not have it."""


class TooLarge(Exception):
    """It does not fit, or would take too long."""


class Device:
    """A cuda (NVIDIA, ROCm), npu or cpu device: memory, events, graphs, formats."""

    def __init__(self, kind: str, longest: float) -> None:
        importable("torch_npu")  # registers torch.npu
        apis = {k: getattr(torch, k, None) for k in ("cuda", "npu")}
        there = [k for k, api in apis.items() if api is not None and api.is_available()] + ["cpu"]
        self.kind, self.longest = there[0] if kind == "auto" else kind, longest
        if self.kind not in there:
            sys.exit(f"--device {kind}: torch {torch.__version__} sees no such device; it sees {', '.join(there)}")
        self.api = apis.get(self.kind)
        self.at = torch.device(self.kind)
        self.about = self.api.get_device_properties(0) if self.api else None
        self.name = self.api.get_device_name(0) if self.api else f"CPU {platform.machine()} x{os.cpu_count()}"
        # AMD's properties leave out the Infinity Cache, Ascend's the cache altogether: 256 MiB each at most
        said = 32 << 20 if self.kind == "cpu" else 0 if getattr(torch.version, "hip", None) else getattr(self.about, "L2_cache_size", 0)
        self.rotate_bytes = 3 * (said or 256 << 20)
        self.compiles = self.kind == "cuda" and hasattr(torch, "compile") and importable("triton")
        if self.compiles:
            torch._dynamo.config.cache_size_limit = 64
        self.fused: dict[str, Callable] = {}
        self.best: dict[tuple, object] = {}  # the fastest kernel, by shape
        self.peak: dict[str, float] = {}  # FLOP/s by precision, bytes/s as "hbm"

    def free_bytes(self) -> float:
        if not self.api:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
        return self.api.mem_get_info()[0] + self.api.memory_reserved() - self.api.memory_allocated()

    def sync(self) -> None:
        if self.api:
            self.api.synchronize()

    def admit(self, flops: float, size: float) -> tuple[float, float]:
        """Refuses what cannot be measured before anything is allocated for it."""
        if 3 * size > self.free_bytes():
            raise TooLarge(f"{size / 1e9:.1f} GB of operands, {self.free_bytes() / 1e9:.1f} GB free")
        seconds = max(flops / self.peak.get("bfloat16", math.inf), size / self.peak.get("hbm", math.inf))
        if seconds > self.longest:
            raise TooLarge(f"about {seconds:.2g} s a launch, --longest is {self.longest:g}")
        return flops, size

    def fuse(self, f: Callable) -> tuple[Callable, str]:
        """A small operator as one kernel where Triton is there, and what to call that."""
        if not self.compiles:
            return f, "torch eager, composite"
        return self.fused.setdefault(f.__name__, torch.compile(f, dynamic=True)), "torch.compile"

    def fp8(self) -> "torch.dtype":
        name = "float8_e4m3fnuz" if getattr(self.about, "gcnArchName", "").startswith("gfx94") else "float8_e4m3fn"
        return getattr(torch, name, None) or missing(name)

    def random(self, *shape: int, dtype: "torch.dtype | None" = None) -> "torch.Tensor":
        return torch.empty(shape, dtype=dtype or torch.bfloat16, device=self.at).normal_()

    def capture(self, batch: Callable) -> tuple[Callable, str]:
        """A graph of the batch where the device has graphs, else the batch itself."""
        graph = getattr(self.api, "CUDAGraph", None) or getattr(self.api, "NPUGraph", None)
        try:
            side = self.api.Stream()
            side.wait_stream(self.api.current_stream())
            with self.api.stream(side):
                batch()
            self.api.current_stream().wait_stream(side)
            captured = graph()
            with self.api.graph(captured):
                batch()
            return captured.replay, ""
        except (AttributeError, TypeError, RuntimeError):
            self.sync()
            batch()
            return batch, "" if self.kind == "cpu" else ", eager launches"

    def seconds(self, f: Callable) -> float:
        """Time of a call by the device's events, held against the wall clock."""
        self.sync()
        began = time.perf_counter()
        if not self.api:
            f()
            return time.perf_counter() - began
        start, end = (self.api.Event(enable_timing=True) for _ in range(2))
        start.record()
        f()
        end.record()
        self.sync()
        took, wall = start.elapsed_time(end) / 1e3, time.perf_counter() - began
        if took > 1.02 * wall:
            raise RuntimeError(f"events say {took:.3g} s, the wall clock {wall:.3g} s")
        return took

    def describe(self) -> dict[str, object]:
        smi = command("nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,clocks.max.mem,power.limit", "--format=csv,noheader")
        driver = smi.split(",")[0] or command("cat", "/sys/module/amdgpu/version") or command("cat", "/usr/local/Ascend/driver/version.info")
        built = torch.version.cuda or getattr(torch.version, "hip", None)
        return {
            "device": self.name, "cores": getattr(self.about, "multi_processor_count", os.cpu_count()), "free_bytes": self.free_bytes(),
            "memory_bytes": getattr(self.about, "total_memory", None), "driver, SM and memory clocks, power": smi, "driver": driver or "none",
            "runtime": f"{'rocm' if getattr(torch.version, 'hip', None) else 'cuda'} {built}" if self.kind == "cuda" else f"{self.kind} only",
            "torch": torch.__version__, "python": platform.python_version(), "triton": self.compiles, "model": MODEL, "bench": VERSION,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }


def importable(module: str) -> bool:
    try:
        __import__(module)
    except Exception:  # a broken installation is as good as none
        return False
    return True


def missing(name: str) -> "torch.dtype":
    raise Missing(f"torch {torch.__version__} has no {name}")


def command(*words: str) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.SubprocessError, IndexError):
        return ""


