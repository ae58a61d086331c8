"""The resource version of an object or a list as a number, which says which of two is older (B-10).

RESOURCE_VERSION-1  Any text is answered: what is no number, or one over 64 bits, is None. A server that is broken or
                    hostile may send thousands of digits, which Python wouldn't convert.
"""

from __future__ import annotations

from typing import Final

_DIGITS_MAX: Final = 20  # of 2**64 - 1


def revision_number(resource_version: str) -> int | None:
    """Return the number that `resource_version` is; None for another text (RESOURCE_VERSION-1)."""
    if not (resource_version.isascii() and resource_version.isdigit()):
        return None
    digits = resource_version.lstrip("0")
    number = int(digits or "0") if len(digits) <= _DIGITS_MAX else 2**64
    return number if number < 2**64 else None
