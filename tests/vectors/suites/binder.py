"""Cases for the binder, in its modes."""

from tests.vectors.binder_cases import run

__all__ = ["run"]
