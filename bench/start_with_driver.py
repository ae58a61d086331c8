"""How much later `pvbinder up` is ready because it has a CSI driver: started in turn, with it and without."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench.figure import report
from tools.plane import running

REPETITIONS = 5
WITHOUT = ("--controllers=*,-local-csi-driver",)


def start_once(*flags: str) -> tuple[float, float]:
    """Start on an empty directory; return the seconds until it said that it is ready, and those of the processor."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data", flags) as plane:
        return plane.took_seconds, plane.cpu_seconds


def main() -> None:
    """Print the difference of the medians."""
    start_once()  # the files are in the cache then, and compiled
    having, lacking = [], []
    for _ in range(REPETITIONS):
        lacking.append(start_once(*WITHOUT))
        having.append(start_once())
    for figure, index in (("start with a driver", 0), ("start with a driver, processor", 1)):
        with_it, without = ([round(one[index], 3) for one in values] for values in (having, lacking))
        later = statistics.median(with_it) - statistics.median(without)
        details = {"with": with_it, "without": without}
        report(figure, later, "s", budget=0.15, better="lower", n=REPETITIONS, **details)


if __name__ == "__main__":
    main()
