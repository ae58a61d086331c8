"""The refusals of the API server: Status errors and the field errors inside them.

Texts and formats are the reference's (GW-9 to GW-11).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import quoted
from pvbinder.model.resources import Resource

CauseReason = Literal[
    "FieldValueRequired",
    "FieldValueInvalid",
    "FieldValueNotSupported",
    "FieldValueForbidden",
    "FieldValueDuplicate",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueNotFound",
    "FieldValueTypeInvalid",
    "InternalError",
]


FIELD_ERRORS_MAX = 1000  # that one answer tells
FIELD_ERRORS_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class FieldError:
    """One reason why an object is invalid; `body` is the message without the path."""

    reason: CauseReason
    field: str
    body: str

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def required(path: str, detail: str = "") -> FieldError:
    """Return the error of a field that must be set (GW-11)."""
    return FieldError("FieldValueRequired", path, "Required value" + (f": {detail}" if detail else ""))


def invalid(path: str, value: object, detail: str) -> FieldError:
    """Return the error of a wrong value, shown as the reference shows it: text in quotes, the rest as JSON (GW-11)."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {shown(value)}: {detail}")


def invalid_whole(path: str, detail: str) -> FieldError:
    """Return the error of a structure that is wrong as a whole and isn't shown."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {detail}")


def unsupported(path: str, value: object, supported: Iterable[str]) -> FieldError:
    """Return the error of a value that is none of the `supported` ones (GW-11)."""
    names = ", ".join(map(quoted, supported))
    return FieldError("FieldValueNotSupported", path, f"Unsupported value: {shown(value)}: supported values: {names}")


def forbidden(path: str, detail: str) -> FieldError:
    """Return the error of a field that may not be set, or not changed (GW-11)."""
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}")


def duplicate(path: str, value: object, detail: str = "") -> FieldError:
    """Return the error of a value that is there twice (GW-11)."""
    text = f"Duplicate value: {shown(value)}"
    return FieldError("FieldValueDuplicate", path, f"{text}: {detail}" if detail else text)


def too_long(path: str, maximum: int) -> FieldError:
    """Return the error of a value that has more than `maximum` bytes (GW-11)."""
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {maximum} bytes")


def too_many(path: str, found: int, maximum: int) -> FieldError:
    """Return the error of a list that has more than `maximum` items (GW-11)."""
    items = "item" if maximum == 1 else "items"
    return FieldError("FieldValueTooMany", path, f"Too many: {found}: must have at most {maximum} {items}")


def shown(value: object) -> str:
    """A value as the reference prints it inside a message."""
    if isinstance(value, str):
        return quoted(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class ApiError(PvbinderError):
    """A request that ends with a Status of kind failure."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.metadata = metadata or {}
        self.headers = headers or {}

    def status(self) -> dict[str, Any]:
        """The ``v1`` Status object of the answer's body."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def _object_details(resource: Resource, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    return details


def not_found(resource: Resource, name: str) -> ApiError:
    """404 of a missing object (GW-9)."""
    message = f'{resource.qualified} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_object_details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 of a create whose name is taken (GW-9)."""
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_object_details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    """409 of a stale resourceVersion or a failed precondition (GW-4, DE-1)."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_object_details(resource, name))


def is_forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """403 of an admission plugin or of authorisation (GW-9)."""
    message = f'{resource.qualified} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, details=_object_details(resource, name))


def bad_request(message: str) -> ApiError:
    """400 of a request that can't be understood."""
    return ApiError(400, "BadRequest", message)


def entity_too_large(message: str) -> ApiError:
    """413 of a body that has too much in it."""
    return ApiError(413, "RequestEntityTooLarge", message, details={})


def bounded(errors: Iterable[FieldError]) -> list[FieldError]:
    """Return the first of the errors: an answer doesn't grow to a multiple of the request that it refuses."""
    taken: list[FieldError] = []
    size = 0
    for error in errors:
        taken.append(error)
        size += len(error.body)
        if len(taken) == FIELD_ERRORS_MAX or size > FIELD_ERRORS_BYTES_MAX:
            break
    return taken


def is_invalid(resource: Resource, name: str, errors: Sequence[FieldError]) -> ApiError:
    """422 of an object that breaks its kind's rules (GW-10)."""
    errors = bounded(errors)
    unique = list(dict.fromkeys(errors))
    text = str(unique[0]) if len(unique) == 1 else "[" + ", ".join(map(str, unique)) + "]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.kind
    details["causes"] = [{"reason": e.reason, "message": e.body, "field": e.field} for e in errors]
    return ApiError(422, "Invalid", f"{kind} {quoted(name)} is invalid: {text}", details=details)
