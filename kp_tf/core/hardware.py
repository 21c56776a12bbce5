"""Information about the processor."""

import os
import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")  # Linux alone has it


def available_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name, or its architecture if the system does not report it."""
    return _cpuinfo(CPUINFO).get("model name", platform.machine())


def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """The instruction sets of the first core; empty if the system does not report them."""
    return frozenset(_cpuinfo(cpuinfo).get("flags", "").split())


@cache
def _cpuinfo(path: Path) -> dict[str, str]:
    """The entries of the first core by their names."""
    if not path.is_file():
        return {}
    first_core = path.read_text().split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in first_core)
    return {name.strip(): value.strip() for name, _, value in pairs}
