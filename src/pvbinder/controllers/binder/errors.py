"""Why a sync or an operation of the binder ended before its time."""

from __future__ import annotations

from pvbinder.model.errors import PvbinderError


class SyncError(PvbinderError):
    """A claim or volume can't be synced now; it is tried again with back-off (B-5)."""


class OperationError(PvbinderError):
    """A background operation failed; it is tried again with its own back-off (OP-2)."""
