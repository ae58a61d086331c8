"""The rules of ResourceQuota: names and amounts of what it bounds, and the scopes it is about.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from typing import Final

from pvbinder.model.quantity import quantity_of
from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.quota_scopes import validate_scopes
from pvbinder.server.kinds.validation.resource_names import validate_amount, validate_quota_resource_name
from pvbinder.server.objects.kind import Json

_OFTEN_ASKED_BARE: Final = ("cpu", "memory")
_ASKED_AND_LIMITED: Final = (*_OFTEN_ASKED_BARE, "storage", "ephemeral-storage")


def validate_quota(obj: Json) -> list[FieldError]:
    """Check a new quota."""
    return _validate_amounts(obj["spec"].get("hard"), "spec.hard") + validate_scopes(obj["spec"])


def validate_quota_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed quota; what it is about can't change."""
    errors = validate_quota(new)
    scopes: list[str] | None = new["spec"].get("scopes")
    if set(scopes or ()) != set(old["spec"].get("scopes") or ()):
        errors.append(invalid("spec.scopes", scopes, IMMUTABLE))
    return errors


def validate_quota_status(new: Json, _old: Json) -> list[FieldError]:
    """Check what a quota is said to allow, and what is said to be used of it."""
    status = new.get("status") or {}
    return [error for field in ("hard", "used") for error in _validate_amounts(status.get(field), f"status.{field}")]


def warn_of_quota(new: Json, old: Json | None) -> list[str]:
    """Warn of a new quota that lets more be asked for than it lets be the limit."""
    hard: Json = new["spec"].get("hard") or {}
    texts: list[str] = []
    for name in _ASKED_AND_LIMITED if old is None else ():
        request, limit = f"requests.{name}", f"limits.{name}"
        if request not in hard and name in _OFTEN_ASKED_BARE:
            request = name
        if request in hard and limit in hard and quantity_of(hard[request]) > quantity_of(hard[limit]):
            texts.append(f"ResourceQuota {request} ({hard[request]}) should be less than {limit} ({hard[limit]})")
    return texts


def _validate_amounts(amounts: Json | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name, amount in (amounts or {}).items():
        at = f"{path}[{name}]"
        errors += validate_quota_resource_name(name, at)
        errors += validate_amount(name, amount, at)
    return errors
