"""Texts that Go's standard library reads as values, read the same way."""

from __future__ import annotations

from typing import Final

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def parse_bool(text: str) -> bool | None:
    """Return what ``strconv.ParseBool`` reads; None for a text that it refuses."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None
