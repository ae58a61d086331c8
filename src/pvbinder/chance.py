"""Chance for jitter and for generated names: a source of our own.

It isn't the `random` module's, as a program that runs us may have seeded that one, or look whether anybody uses it (as
Hypothesis does): a control plane beside its tests would be chance to them. No secret is made from it.
"""

from __future__ import annotations

from random import Random
from typing import Final

CHANCE: Final = Random()  # noqa: S311  (no secret)
