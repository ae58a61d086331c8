"""What a local driver is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

How: TypeAlias = Literal["auto", "mount", "link"]


class LocalDriver(msgspec.Struct, frozen=True):
    """What a driver is started with; a capacity of None is what the file system has."""

    endpoint: str
    root: Path
    node: str
    capacity_bytes: int | None = None
    how: How = "auto"
