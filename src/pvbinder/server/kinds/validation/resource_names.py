"""Names and amounts of resources: what containers may ask for, and what quotas and ranges may be about."""

from __future__ import annotations

from typing import Final

from pvbinder.model.quantity import ZERO, QuantityError, parse_quantity, quantity_of
from pvbinder.server.errors import FieldError, forbidden, invalid, required
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.kinds.validation.numbers import NEGATIVE
from pvbinder.server.objects.kind import Json

_COUNTED: Final = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_OF_CONTAINERS: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_OF_QUOTAS: Final = _COUNTED | {
    *_OF_CONTAINERS,
    *(f"requests.{name}" for name in (*_OF_CONTAINERS, "storage")),
    *(f"limits.{name}" for name in _OF_CONTAINERS),
}
_STANDARD: Final = _OF_QUOTAS | {"storage"}
_HUGE_PAGES: Final = "hugepages-"
_NATIVE: Final = "kubernetes.io/"
_NOT_STANDARD: Final = "must be a standard resource type or fully qualified"


def validate_resource_name(name: str, path: str) -> list[FieldError]:
    """Check the name of any resource: one that is known, or one with a domain before it."""
    errors = [invalid(path, name, reason) for reason in check_qualified_name(name)]
    if not errors and "/" not in name and name not in _STANDARD and not _is_huge_pages_of_quota(name):
        errors.append(invalid(path, name, _NOT_STANDARD))
    return errors


def validate_container_resource_name(name: str, path: str) -> list[FieldError]:
    """Check the name of a resource that a container asks for."""
    errors = validate_resource_name(name, path)
    if "/" not in name:
        if name not in _OF_CONTAINERS and not is_huge_pages(name):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif _NATIVE not in name and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def validate_quota_resource_name(name: str, path: str) -> list[FieldError]:
    """Check the name of a resource that a quota is about."""
    errors = validate_resource_name(name, path)
    if "/" not in name and not is_counted_by_quotas(name):
        errors.append(invalid(path, name, "must be a standard resource for quota"))
    return errors


def validate_limit_resource_name(kind: str, name: str, path: str) -> list[FieldError]:
    """Check the name of a resource that a range of limits is about: pods and containers know fewer than others."""
    if kind in ("Pod", "Container"):
        return validate_container_resource_name(name, path)
    return validate_resource_name(name, path)


def validate_amount_not_negative(amount: object, path: str) -> list[FieldError]:
    """Check that an amount isn't less than nothing."""
    return [invalid(path, amount, NEGATIVE)] if quantity_of(amount) < ZERO else []


def validate_amount(name: str, amount: str, path: str) -> list[FieldError]:
    """Check an amount of a resource: not negative, and whole where the resource is counted."""
    errors = validate_amount_not_negative(amount, path)
    if (name in _COUNTED or is_extended(name)) and not quantity_of(amount).is_whole():
        errors.append(invalid(path, amount, "must be an integer"))
    return errors


def validate_resource_requirements(resources: Json, path: str) -> list[FieldError]:
    """Check what a container asks for and is allowed."""
    limits: Json = resources.get("limits") or {}
    requests: Json = resources.get("requests") or {}
    errors: list[FieldError] = []
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            at = f"{path}.{field}[{name}]"
            errors += validate_container_resource_name(name, at)
            errors += validate_amount(name, amount, at)
            if field == "requests":
                errors += _validate_request(name, amount, limits, path)
            if is_huge_pages(name) and not _is_made_of_pages(name, amount):
                errors.append(invalid(at, amount, f"{amount} is not positive integer multiple of {name}"))
    names = {*limits, *requests}
    if any(is_huge_pages(name) for name in names) and not {"cpu", "memory"} & names:
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    return errors


def _validate_request(name: str, amount: str, limits: Json, path: str) -> list[FieldError]:
    may_differ = may_be_overcommitted(name)
    if name not in limits:
        return [] if may_differ else [required(f"{path}.limits", "Limit must be set for non overcommitable resources")]
    limit = limits[name]
    if quantity_of(amount) != quantity_of(limit) and not may_differ:
        return [invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")]
    if quantity_of(amount) > quantity_of(limit):
        return [invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}")]
    return []


def is_counted_by_quotas(name: str) -> bool:
    """Say whether a resource is one that every quota knows."""
    return name in _OF_QUOTAS or _is_huge_pages_of_quota(name)


def is_native(name: str) -> bool:
    """Say whether a resource is one of Kubernetes' own."""
    return "/" not in name or _NATIVE in name


def is_extended(name: str) -> bool:
    """Say whether a resource is somebody's own."""
    return not is_native(name) and not name.startswith("requests.") and not check_qualified_name(f"requests.{name}")


def is_huge_pages(name: str) -> bool:
    """Say whether a resource is large pages of memory."""
    return name.startswith(_HUGE_PAGES)


def may_be_overcommitted(name: str) -> bool:
    """Say whether the limit of a resource may be more than what is asked for."""
    return is_native(name) and not is_huge_pages(name)


def _is_made_of_pages(name: str, amount: str) -> bool:
    """Say whether an amount of large pages is a number of pages of the size in their name."""
    try:
        page = parse_quantity(name.removeprefix(_HUGE_PAGES))
    except QuantityError:
        return False
    return page > ZERO and page.is_whole() and quantity_of(amount).whole_units() % page.whole_units() == 0


def _is_huge_pages_of_quota(name: str) -> bool:
    return name.startswith((_HUGE_PAGES, f"requests.{_HUGE_PAGES}"))
