#!/usr/bin/env python3
"""Times the operators of @MODEL@ on one accelerator and writes what
`clustersim calibrate --kernels FILE.csv --chip NAME` reads.

    python3 @FILE@                  everything: some minutes on a GPU
    python3 @FILE@ --quick          a coarse grid: about a minute
    python3 @FILE@ --minutes 5      the most telling shapes first, then stops
    python3 @FILE@ --device npu     Ascend, through torch_npu; cuda is also ROCm
    python3 @FILE@ --list           what would be timed (needs no torch)

Needs Python 3.8 and PyTorch alone; Triton, where importable, fuses gated delta and
hyper-connections. Every row is on disk as soon as it is measured: stop the script at any time and start it
again, it goes on where it was.

A row: inputs rotate through copies that together exceed the last-level cache; a batch
of launches is captured in a graph where the device has graphs (no launch overhead, as
in serving) and repeated; the row is the median time of one launch. tflops and gbps
count compulsory work. notes name the kernel; "composite" is several stock kernels in
place of a fused one. Products in 8 and 4 bits take operands that are quantised already,
with scales of 1 (gemm_fused). Spreads of the repeats (p90 - p10) are in the log.

Checked are every operator and precision against a second implementation on a small
shape; every row against the bandwidth and FLOPs peaks measured on this device (a faster
row is refused); device events against the wall clock. What is missing, refused or too
large is a line of FILE.log.jsonl, with the reason, and in the closing table.
"""
from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

try:
    import torch
    import torch.nn.functional as F
except ImportError:  # --list works without
    torch = None

MODEL, VERSION = "@MODEL@", "@VERSION@"
COLUMNS = "id,source,hardware,op,dtype,shape,batch_or_tokens,ctx_or_isl,ranks,latency_us,tflops,gbps,notes".split(",")
SLACK = 1.1  # how far above the measured peak a row may be

# What the model needs under tensor parallelism 1 to 16 and expert parallelism 1 to 64, a
# line a family: level | op | shape | ranks | precisions | points. A point is a number of
# tokens or sequences, {m} in the shape, and its context (64@4095). {32 4+1} in a shape
# stands for either value; bfloat16/fp8 is a precision and the cache's. What has +n behind
# it comes n levels later; --quick is level 0, and there is none after level 3.
SHAPES = """
@SHAPES@
"""


# ---- what to measure -----------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """One row to be: the key columns of the CSV, and when its turn is."""

    op: str
    dtype: str
    shape: str
    batch: int
    ctx: int
    ranks: int
    level: int

    @property
    def dims(self) -> list[int]:
        return [int(n) for n in re.findall(r"\d+", self.shape)]

    @property
    def key(self) -> tuple[str, ...]:
        return self.op, self.dtype, self.shape, *(str(n) if n else "" for n in (self.batch, self.ctx, self.ranks))

    def __str__(self) -> str:
        return " ".join((self.op, self.dtype, self.shape, f"x{self.batch}", f"at {self.ctx}" if self.ctx else "")).strip()


def graded(words: str) -> list[tuple[str, int]]:
    """Words with what stands behind their +."""
    return [(w, int(later or 0)) for w, _, later in (x.partition("+") for x in words.split())]


def expand(shape: str) -> list[tuple[str, int]]:
    """The shapes that {a b+1} stands for, with their levels."""
    choice = re.search(r"\{(\d[^}]*)\}", shape)
    if not choice:
        return [(shape, 0)]
    return [(shape.replace(choice[0], value), later) for value, later in graded(choice[1])]


def points(last: int) -> list[Point]:
    """All points up to a level. Within a level the operators take turns, so that a run
    that is cut short has some of each."""
    turns: dict[tuple[int, str], list[Point]] = defaultdict(list)
    for line in SHAPES.strip().splitlines():
        first, op, family, ranks, dtypes, grid = (w.strip() for w in line.split("|"))
        for shape, s in expand(family):
            groups = re.match(r"groups=(\d+)", shape)
            for at, g in graded(grid):
                m, _, ctx = at.partition("@")
                rows = int(m) * (int(groups[1]) if groups else 1)
                full = re.sub(r"\{m\*?(\d*)\}", lambda f: str(int(m) * int(f[1] or 1)), shape)
                for dtype, d in graded(dtypes):
                    level = int(first) + s + g + d
                    if level <= last:
                        turns[level, op].append(Point(op, dtype.replace("/", "/kv "), full, rows, int(ctx or 0), int(ranks or 0), level))
    order = [((level, (i + 0.5) / len(ps)), p) for (level, _), ps in turns.items() for i, p in enumerate(ps)]
    return [p for _, p in sorted(order, key=lambda o: o[0])]


