"""The names that a definition gets in its group, and the order of its versions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pvbinder.server.objects.kind import Json


@dataclass(slots=True)
class UsedNames:
    """The names that the definitions of a group have: the names in paths, and the names of kinds."""

    resources: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def take(self, accepted: Json) -> None:
        """Take in the names of one definition."""
        self.resources |= {accepted.get("plural") or "", accepted.get("singular") or ""}
        self.resources |= set(accepted.get("shortNames") or ())
        self.kinds |= {accepted.get("kind") or "", accepted.get("listKind") or ""}


@dataclass(frozen=True, slots=True)
class Naming:
    """The names that a definition was given, and the `reason` and the `message` of its condition."""

    accepted: Json
    reason: str
    message: str
    is_reserved: bool = False  # the names are forbidden to all definitions

    @property
    def is_whole(self) -> bool:
        """Whether the definition was given all names that it wants."""
        return self.reason == "NoConflicts"


def accept_names(wanted: Json, accepted: Json, used: UsedNames) -> Naming:
    """Give a definition each name that it wants and that no other has; it keeps the names that it has.

    Of several taken names, the message tells the last one.
    """
    given = {"plural": "", "kind": "", **accepted}
    reason, message = "NoConflicts", "no conflicts found"
    for key, title in (("plural", "Plural"), ("singular", "Singular")):
        if _is_taken(wanted.get(key), accepted.get(key), used.resources):
            reason, message = f"{title}Conflict", _taken(wanted[key])
        else:
            _give(given, key, wanted.get(key))
    short = [name for name in wanted.get("shortNames") or () if name not in (accepted.get("shortNames") or ())]
    taken = [_taken(name) for name in short if name in used.resources]
    if taken:
        reason, message = "ShortNamesConflict", _joined(taken)
    else:
        _give(given, "shortNames", wanted.get("shortNames"))
    for key, title in (("kind", "Kind"), ("listKind", "ListKind")):
        if _is_taken(wanted.get(key), accepted.get(key), used.kinds):
            reason, message = f"{title}Conflict", _taken(wanted[key])
        else:
            _give(given, key, wanted.get(key))
    _give(given, "categories", wanted.get("categories"))
    return Naming(given, reason, message)


def _give(given: Json, key: str, name: object) -> None:
    if name:
        given[key] = name
    elif key in ("plural", "kind"):
        given[key] = ""
    else:
        given.pop(key, None)


def _is_taken(wanted: str | None, accepted: str | None, used: set[str]) -> bool:
    return (wanted or "") != (accepted or "") and (wanted or "") in used


def _taken(name: str) -> str:
    return f'"{name}" is already in use'


def _joined(messages: Iterable[str]) -> str:
    texts = list(dict.fromkeys(messages))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def version_order(version: str) -> tuple[int, int, int, str]:
    """Order versions as Kubernetes does: stable before beta before alpha, higher numbers first, then other names."""
    for rank, stage in enumerate(("", "beta", "alpha")):
        major, separator, minor = version.removeprefix("v").partition(stage) if stage else (version[1:], "", "0")
        if version.startswith("v") and major.isdecimal() and (not stage or (separator and minor.isdecimal())):
            return rank, -int(major), -int(minor), version
    return 3, 0, 0, version
