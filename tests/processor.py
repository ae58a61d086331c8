"""Bounds on processor time, and how near to them each test comes.

    with at_most(5.0):
        ...  # fails if this thread used more

A bound is at least twice the time that the code needs: other work on a machine makes the same code slower, though it
isn't counted. With ``PVBINDER_BOUNDS=FILE`` each process of tests appends to the file, for each test, its largest time
and the part of the bound that this is; ``sort -rn FILE`` shows the tests that are nearest to failing.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

_largest: dict[tuple[str, float], float] = {}


@contextmanager
def at_most(seconds_max: float, of: object = "") -> Iterator[None]:
    """Fail if this thread uses more processor time in the context; `of` says on what."""
    started = time.thread_time()
    yield
    hold(time.thread_time() - started, seconds_max, of)


def hold(seconds: float, seconds_max: float, of: object = "") -> None:
    """Fail if `seconds` of processor are more than the bound; `of` says on what they were used."""
    place = (os.environ.get("PYTEST_CURRENT_TEST", "no test").removesuffix(" (call)"), seconds_max)
    _largest[place] = max(seconds, _largest.get(place, 0.0))
    assert seconds <= seconds_max, f"{seconds * 1000:.0f} ms of processor, {seconds_max * 1000:.0f} ms at most: {of}"


def _append_to(file: str) -> None:
    with open(file, "a") as out:  # noqa: PTH123
        for (test, seconds_max), seconds in _largest.items():
            out.write(f"{seconds / seconds_max:.3f}  {seconds * 1000:.1f} of {seconds_max * 1000:.0f} ms  {test}\n")


if "PVBINDER_BOUNDS" in os.environ:
    atexit.register(_append_to, os.environ["PVBINDER_BOUNDS"])
