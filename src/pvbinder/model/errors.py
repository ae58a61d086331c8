"""The one root of all errors that pvbinder raises on purpose.

Subclasses live in the room that raises them, are named for the action that failed, and never inherit from a library's
error: wrap it at the edge, chained with ``from``. A "no" from the rules is a value, not an exception.
"""

from __future__ import annotations


class PvbinderError(Exception):
    """Something can't go on: `message` says what happened and to which object, `hint` what to do next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
