"""How a call to a driver can end badly."""

from __future__ import annotations

from enum import Enum

from pvbinder.model.errors import PvbinderError


class Code(Enum):
    """The status codes of gRPC; the value is the name that Go prints, and so that events and metrics show."""

    CANCELLED = "Canceled"
    UNKNOWN = "Unknown"
    INVALID_ARGUMENT = "InvalidArgument"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    NOT_FOUND = "NotFound"
    ALREADY_EXISTS = "AlreadyExists"
    PERMISSION_DENIED = "PermissionDenied"
    RESOURCE_EXHAUSTED = "ResourceExhausted"
    FAILED_PRECONDITION = "FailedPrecondition"
    ABORTED = "Aborted"
    OUT_OF_RANGE = "OutOfRange"
    UNIMPLEMENTED = "Unimplemented"
    INTERNAL = "Internal"
    UNAVAILABLE = "Unavailable"
    DATA_LOSS = "DataLoss"
    UNAUTHENTICATED = "Unauthenticated"


class CallFailed(PvbinderError):  # noqa: N818  (an answer, not a defect)
    """A driver's answer other than OK, or none; `str()` is Go's text of it, as events show it."""

    def __init__(self, code: Code, description: str) -> None:
        super().__init__(f"rpc error: code = {code.value} desc = {description}")
        self.code = code
        self.description = description


class AnswerUnreadable(CallFailed):
    """An answer that can't be understood, or is too large: what was asked for may have been done."""
