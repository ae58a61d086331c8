"""Attacks: functions that attack for some seconds, return their figures, and raise when a promise was broken.

An `AssertionError` names the broken promise. `Unavailable` says why an attack can't be made here: no file system may be
mounted, for example. Every other exception is a fault of the attack itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias

from tools.plane import RunningPlane

Figure: TypeAlias = float | int | str
Figures: TypeAlias = Mapping[str, Figure]
Run: TypeAlias = Callable[[Path, float, Random], Figures]

BARE = ("--bare", "--controllers=")  # a server and nothing else
MEMORY_MIB_MAX = 512.0  # of the server, under any attack
OTHERS_SECONDS_MAX = 0.25  # processor time of the server, from a bystander's GET to its answer


class Unavailable(Exception):  # noqa: N818  (says what is the case)
    """The attack can't be made on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One of the attacks. `seconds` is about how long it takes in `make test`."""

    name: str
    run: Run
    seconds: float


def shown(name: str, figures: Figures) -> str:
    """Return the figures as the line that is printed."""
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
    return json.dumps({"attack": name, **rounded})


def peak_memory_mib(plane: RunningPlane) -> float:
    """Return the most resident memory that the server has had since it started."""
    status = Path(f"/proc/{plane.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def processor_seconds(plane: RunningPlane) -> float:
    """Return the processor time that the server has used, to the nanosecond where the kernel counts so."""
    total = 0
    for task in Path(f"/proc/{plane.process.pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):  # a thread that has ended, or a kernel without this figure
            continue
    return total / 1e9 if total else plane.cpu_seconds
