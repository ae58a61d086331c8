"""Conditions inside statuses, in the form that all newer kinds share."""

from __future__ import annotations

import re

from pvbinder.server.errors import FieldError, duplicate, invalid, required, too_long, unsupported
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.objects.kind import Json

_STATUSES = ("False", "True", "Unknown")
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_IS_REASON = re.compile(_REASON).fullmatch
_REASON_TEXT = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    f"'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_REASON}')"
)
_REASON_BYTES_MAX = 1 << 10
_MESSAGE_BYTES_MAX = 32 << 10


def validate_conditions(conditions: list[Json] | None, path: str) -> list[FieldError]:
    """Check conditions, of each type at most one."""
    errors: list[FieldError] = []
    types: set[str] = set()
    for index, condition in enumerate(conditions or ()):
        at = f"{path}[{index}]"
        kind = condition.get("type", "")
        if kind in types:
            errors.append(duplicate(f"{at}.type", kind))
        types.add(kind)
        errors += _validate_condition(condition, at)
    return errors


def _validate_condition(condition: Json, path: str) -> list[FieldError]:
    kind, status, reason = (condition.get(field, "") for field in ("type", "status", "reason"))
    errors = [invalid(f"{path}.type", kind, why) for why in check_qualified_name(kind)]
    if status not in _STATUSES:
        errors.append(unsupported(f"{path}.status", status, _STATUSES))
    generation = condition.get("observedGeneration", 0)
    if generation < 0:
        errors.append(invalid(f"{path}.observedGeneration", generation, "must be greater than or equal to zero"))
    if not condition.get("lastTransitionTime"):
        errors.append(required(f"{path}.lastTransitionTime"))
    if not reason:
        errors.append(required(f"{path}.reason"))
    else:
        if not _IS_REASON(reason):
            errors.append(invalid(f"{path}.reason", reason, _REASON_TEXT))
        if len(reason.encode()) > _REASON_BYTES_MAX:
            errors.append(too_long(f"{path}.reason", _REASON_BYTES_MAX))
    if len(condition.get("message", "").encode()) > _MESSAGE_BYTES_MAX:
        errors.append(too_long(f"{path}.message", _MESSAGE_BYTES_MAX))
    return errors
