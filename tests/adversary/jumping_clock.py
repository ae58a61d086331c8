"""A clock that somebody sets while the process runs: for `time.time` and `datetime.now`, never for `time.monotonic`.

A process that has `directory_for(...)` in its PYTHONPATH reads its offset, in seconds, from a file that is mapped into
its memory: `set_offset` is seen at once. What OpenSSL and SQLite read of the clock stays as it is.
"""

from __future__ import annotations

import builtins
import datetime
import mmap
import struct
import time
import types
from pathlib import Path
from typing import Any

_TOP = Path(__file__).resolve().parent.parent.parent


def directory_for(place: Path) -> str:
    """Make a directory with a clock of its own, and return the PYTHONPATH for it."""
    place.mkdir()
    set_offset(place, 0.0)
    (place / "sitecustomize.py").write_text(
        "import pathlib\n"
        "from tests.adversary.jumping_clock import install\n"
        "install(pathlib.Path(__file__).resolve().parent)\n"
    )
    return f"{place}:{_TOP}"


def set_offset(place: Path, seconds: float) -> None:
    """Let the clock be so far ahead of the real one, or behind."""
    path = place / "offset"
    if not path.exists():
        path.write_bytes(struct.pack("d", seconds))
    with path.open("r+b") as file:
        file.write(struct.pack("d", seconds))


def install(place: Path) -> None:
    """Make this process look at the clock in `place`."""
    with (place / "offset").open("rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real_time = time.time

    def offset() -> float:
        return float(struct.unpack("d", shared[:8])[0])

    class OfAnyKind(type):
        """Every datetime counts as an instance."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime.datetime)

    class Jumping(datetime.datetime, metaclass=OfAnyKind):
        """The type `datetime` with the clock's `now`, whose result is of the usual type."""

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            """Return the time of the clock."""
            return datetime.datetime.now(tz) + datetime.timedelta(seconds=offset())

    time.time = lambda: real_time() + offset()
    time.time_ns = lambda: int((real_time() + offset()) * 1e9)
    ours = types.ModuleType("datetime")
    ours.__dict__.update(datetime.__dict__, datetime=Jumping)
    real_import = builtins.__import__

    def importing(name: str, *more: Any, **options: Any) -> Any:
        """Give pvbinder's own modules the clock; libraries written in other languages insist on the real type."""
        found = real_import(name, *more, **options)
        is_ours = name == "datetime" and more and str((more[0] or {}).get("__name__", "")).startswith("pvbinder")
        return ours if is_ours else found

    builtins.__import__ = importing
