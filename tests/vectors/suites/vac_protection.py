"""Cases for a protection controller."""

from tests.vectors.protection_cases import run

__all__ = ["run"]
