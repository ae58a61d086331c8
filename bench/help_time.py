"""How long `pvbinder --help` takes: the patience of a finger on the tab key."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.figure import median_of, report

REPETITIONS = 11


def ask_once() -> float:
    """Return the seconds of one `pvbinder --help`."""
    started = time.perf_counter()
    subprocess.run([Path(sys.executable).parent / "pvbinder", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print the figure."""
    seconds, values = median_of(REPETITIONS, ask_once)
    report("pvbinder --help", seconds, "s", budget=0.2, better="lower", n=REPETITIONS, values=values)


if __name__ == "__main__":
    main()
