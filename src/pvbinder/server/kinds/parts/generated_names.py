"""Names that the server makes up (GW-1)."""

from __future__ import annotations

from pvbinder.chance import CHANCE

GENERATED_SUFFIX_CHARACTERS = 5
GENERATED_BASE_CHARACTERS_MAX = 58
_GENERATED_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def generate_name(base: str) -> str:
    """Return a random name that begins with `base` (GW-1)."""
    suffix = "".join(CHANCE.choices(_GENERATED_LETTERS, k=GENERATED_SUFFIX_CHARACTERS))
    return base[:GENERATED_BASE_CHARACTERS_MAX] + suffix
