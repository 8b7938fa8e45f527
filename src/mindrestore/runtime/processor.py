"""What the processor can do and how much memory is free."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path

import psutil

INSTRUCTION_SETS = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("avx", "AVX"), ("asimd", "NEON"), ("sse4_1", "SSE 4.1"))
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def described() -> str:
    """Return the processor's name, cores and widest instruction set in one line."""
    text = _cpuinfo()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.lower().startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {psutil.cpu_count()} cores"


def instruction_set() -> str:
    """Return the widest set of vector instructions that the processor has, ``"unknown"`` where the system does not say."""
    words = set(_cpuinfo().lower().split())
    return next((name for flag, name in INSTRUCTION_SETS if flag in words), "unknown")


def instructions() -> list[str]:
    """Return the names of what the processor can do beyond its base, sorted; nothing where the system does not say."""
    lines = [line.partition(":")[2] for line in _cpuinfo().splitlines() if line.lower().startswith(("flags", "features"))]
    return sorted(set(lines[0].split())) if lines else []


def free_memory() -> int:
    """Return how many bytes this process can still allocate: free in the system, or in its container where that is less."""
    free = psutil.virtual_memory().available
    for limit, used in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such container, or one without a limit
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(0, free)


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
