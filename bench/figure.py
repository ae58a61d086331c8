"""One figure, one JSON line: what was measured, its budget, on what and when."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from pvbinder import __version__


def report(
    figure: str,
    value: float,
    unit: str,
    *,
    budget: float,
    better: Literal["lower", "higher"],
    n: int,
    **details: object,
) -> None:
    """Print `value` beside its budget; `n` is the size or the number of repetitions, `details` anything else."""
    within = value <= budget if better == "lower" else value >= budget
    line = {
        "figure": figure,
        "value": round(value, 4),
        "unit": unit,
        "budget": budget,
        "better": better,
        "within_budget": within,
        "n": n,
        **details,
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "version": __version__,
    }
    print(json.dumps(line), flush=True)


def machine() -> str:
    """Describe what it ran on: processors, memory, system, Python."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} vCPU, {memory_gib:.0f} GiB, {platform.system()} {platform.machine()}, {python}"


def median_of(repetitions: int, measure: Callable[[], float]) -> tuple[float, Sequence[float]]:
    """Measure so many times; return the median and all values."""
    values = [measure() for _ in range(repetitions)]
    return statistics.median(values), [round(value, 4) for value in values]
