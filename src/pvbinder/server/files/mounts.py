"""What is mounted below a directory of ours: nothing may be, when it is removed.

MOUNTS_BELOW-1  A mount below the directory is taken away; one that stays is told, so that nobody removes what is in it.

Linux only: elsewhere nothing is found. Blocking: call it in a thread.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import Final

_TABLE: Final = Path("/proc/self/mountinfo")
_DETACH: Final = 2
_NOFOLLOW: Final = 8
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def unmount_below(directory: Path) -> list[Path]:
    """Take away all mounts below `directory`; return those that are still there (MOUNTS_BELOW-1)."""
    for point in mounts_below(directory):
        _unmount(point)
    return mounts_below(directory)


def mounts_below(directory: Path) -> list[Path]:
    """Return what is mounted below `directory`, the innermost first."""
    try:
        lines = _TABLE.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    above = Path(os.path.realpath(directory))
    points = {Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), line.split(" ", 5)[4])) for line in lines}
    return sorted((point for point in points if above in point.parents), reverse=True)


def _unmount(point: Path) -> None:
    try:
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(point), _DETACH | _NOFOLLOW)
    except AttributeError:  # a system without it
        return
