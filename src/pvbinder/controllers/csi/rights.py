"""What a role of a sidecar may do at the API server, as rules of a ClusterRole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pvbinder.model.json import Json

READ: Final = ("get", "list", "watch")


@dataclass(frozen=True, slots=True)
class Right:
    """One rule; `only` says when it is needed, if not always, and `by_flag` that this is by a flag."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    only: str = ""
    by_flag: bool = False


def rules_of(rights: Iterable[Right]) -> list[Json]:
    """Return the rules of a role with these rights."""
    return [{"apiGroups": [one.group], "resources": list(one.resources), "verbs": list(one.verbs)} for one in rights]
