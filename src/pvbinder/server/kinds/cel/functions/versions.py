"""Semantic versions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.types import BOOL, INT, STRING, Type

SEMVER: Final = Type("object", "kubernetes.Semver")
_PART: Final = re.compile(r"[0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Version:
    """A version; what stands behind a plus doesn't count."""

    numbers: tuple[int, int, int]
    before: tuple[str, ...]  # what comes before the release
    type_name = "kubernetes.Semver"

    def order(self, other: Version) -> int:
        """Return -1, 0 or 1."""
        if self.numbers != other.numbers:
            return -1 if self.numbers < other.numbers else 1
        if not self.before or not other.before:
            return bool(other.before) - bool(self.before)
        mine, theirs = map(_keys, (self.before, other.before))
        return (mine > theirs) - (mine < theirs)


def _keys(parts: tuple[str, ...]) -> list[tuple[bool, int, str]]:
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def declare(library: Library) -> None:
    """Declare what reads and compares versions."""
    library.add("semver", "string_to_semver", (STRING,), SEMVER, read_version)
    library.add("semver", "string_bool_to_semver", (STRING, BOOL), SEMVER, read_version)
    library.add("isSemver", "is_semver_string", (STRING,), BOOL, _is_version)
    library.add("isSemver", "is_semver_string_bool", (STRING, BOOL), BOOL, _is_version)
    add = library.add_member
    add("isGreaterThan", "semver_is_greater_than", (SEMVER, SEMVER), BOOL, lambda one, other: one.order(other) > 0)
    add("isLessThan", "semver_is_less_than", (SEMVER, SEMVER), BOOL, lambda one, other: one.order(other) < 0)
    add("compareTo", "semver_compare_to", (SEMVER, SEMVER), INT, lambda one, other: one.order(other))
    for place, name in enumerate(("major", "minor", "patch")):
        add(name, f"semver_{name}", (SEMVER,), INT, _number_at(place))


def _number_at(place: int) -> Callable[[Version], int]:
    return lambda version: version.numbers[place]


def _is_version(text: str, normalize: bool = False) -> bool:
    try:
        read_version(text, normalize)
    except CelError:
        return False
    return True


def read_version(text: str, normalize: bool = False) -> Version:
    """Read a version; one that is to be normalised may lack parts, and have a v and leading zeros."""
    if normalize:
        text = _normalized(text)
    if not text:
        raise CelError("Version string empty")
    core, plus, build = text.partition("+")
    core, dash, before = core.partition("-")
    parts = core.split(".", 2)
    if len(parts) != 3:
        raise CelError("No Major.Minor.Patch elements found")
    numbers = [_number(part, title) for part, title in zip(parts, ("major", "minor", "patch"), strict=True)]
    labels = before.split(".") if dash else []
    for label in (*labels, *(build.split(".") if plus else ())):
        if not label:
            raise CelError("Prerelease is empty" if label in labels else "Build meta data is empty")
        if not _PART.fullmatch(label):
            raise CelError(
                f'Invalid character(s) found in {"prerelease" if label in labels else "build meta data"} "{label}"'
            )
    for label in labels:
        if label.isdecimal() and len(label) > 1 and label[0] == "0":
            raise CelError(f'Numeric PreRelease version must not contain leading zeroes "{label}"')
    return Version((numbers[0], numbers[1], numbers[2]), tuple(labels))


def _number(text: str, title: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise CelError(f'Invalid character(s) found in {title} number "{text}"')
    if len(text) > 1 and text[0] == "0":
        raise CelError(f'{title.capitalize()} number must not contain leading zeroes "{text}"')
    if int(text) >= 1 << 64:
        raise CelError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _normalized(text: str) -> str:
    text = text.removeprefix("v")
    core = re.match(r"[^-+]*", text)
    assert core is not None
    parts = [re.sub(r"^0+(?=\d)", "", part) for part in core[0].split(".")]
    if len(parts) < 3 and core[0] != text:
        raise CelError("Short version cannot contain PreRelease/Build meta data")
    return ".".join([*parts, *["0"] * (3 - len(parts))]) + text[core.end() :]
