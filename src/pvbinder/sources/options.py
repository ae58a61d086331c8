"""Which objects of a source are meant, where it has those of several moments or of several clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """The revision of a database, None for the newest; and the prefix of one cluster's keys in it, None for any."""

    at_revision: int | None = None
    etcd_prefix: str | None = None


ANY: Final = SourceOptions()
