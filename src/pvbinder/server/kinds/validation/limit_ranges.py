"""The rules of LimitRange: of each type at most one, and amounts that can be kept together.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pvbinder.model.quantity import Quantity, parse_quantity, quantity_of
from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.kinds.validation.resource_names import may_be_overcommitted, validate_limit_resource_name
from pvbinder.server.objects.kind import Json

_TYPES: Final = ("Pod", "Container", "PersistentVolumeClaim")
_ONE: Final = parse_quantity("1")
_MILLI_UNITS_MAX: Final = (2**63 - 1) // 1000


def validate_limit_range(obj: Json) -> list[FieldError]:
    """Check the limits of each type, and that no type has two."""
    errors: list[FieldError] = []
    types: set[str] = set()
    for index, item in enumerate(obj["spec"]["limits"] or ()):
        path = f"spec.limits[{index}]"
        kind = item.get("type", "")
        errors += _validate_type(kind, f"{path}.type")
        if kind in types:
            errors.append(duplicate(f"{path}.type", kind))
        types.add(kind)
        errors += _validate_item(item, kind, path)
    return errors


def validate_limit_range_update(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed limit range like a new one."""
    return validate_limit_range(new)


def _validate_type(kind: str, path: str) -> list[FieldError]:
    errors = [invalid(path, kind, reason) for reason in check_qualified_name(kind)]
    if not errors and "/" not in kind and kind not in _TYPES:
        errors.append(invalid(path, kind, "must be a standard limit type or fully qualified"))
    return errors


def _validate_item(item: Json, kind: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    counted = ["max", "min", "maxLimitRequestRatio"]
    for field in ("max", "min"):
        errors += _validate_names(item, kind, path, field)
    for field in ("default", "defaultRequest"):
        if kind != "Pod":
            counted.append(field)
            errors += _validate_names(item, kind, path, field)
        elif item.get(field):
            errors.append(forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'"))
    if kind == "PersistentVolumeClaim" and not any("storage" in (item.get(field) or {}) for field in ("min", "max")):
        why = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", why))
    errors += _validate_names(item, kind, path, "maxLimitRequestRatio")
    names = dict.fromkeys(name for field in counted for name in item.get(field) or ())
    for name in names:
        amounts = {field: quantity_of(item[field][name]) for field in counted if name in (item.get(field) or {})}
        errors += (
            invalid(f"{path}.{field}[{name}]", shown, why) for field, shown, why in _contradictions(name, amounts)
        )
    return errors


def _validate_names(item: Json, kind: str, path: str, field: str) -> list[FieldError]:
    return [
        error
        for name in item.get(field) or ()
        for error in validate_limit_resource_name(kind, name, f"{path}.{field}[{name}]")
    ]


def _contradictions(name: str, amounts: Mapping[str, Quantity]) -> Iterator[tuple[str, str, str]]:
    """Give each field that can't be kept beside the others, what is shown of it, and why.

    What is shown of a default that is too small or too large is the bound, not the default: so the reference does.
    """
    least, most, default, asked = (amounts.get(field) for field in ("min", "max", "default", "defaultRequest"))
    if least is not None and most is not None and least > most:
        yield "min", str(least), f"min value {least} is greater than max value {most}"
    if asked is not None:
        if least is not None and least > asked:
            yield "defaultRequest", str(asked), f"min value {least} is greater than default request value {asked}"
        if most is not None and asked > most:
            yield "defaultRequest", str(asked), f"default request value {asked} is greater than max value {most}"
        if default is not None and asked > default:
            why = f"default request value {asked} is greater than default limit value {default}"
            yield "defaultRequest", str(asked), why
    if default is not None:
        if least is not None and least > default:
            yield "default", str(least), f"min value {least} is greater than default value {default}"
        if most is not None and default > most:
            yield "default", str(most), f"default value {default} is greater than max value {most}"
    yield from _ratio_contradictions(amounts)
    if default is not None and asked is not None and default != asked and not may_be_overcommitted(name):
        why = f"default value {default} must equal to defaultRequest value {asked} in {name}"
        yield "defaultRequest", str(asked), why


def _ratio_contradictions(amounts: Mapping[str, Quantity]) -> Iterator[tuple[str, str, str]]:
    ratio, least, most = (amounts.get(field) for field in ("maxLimitRequestRatio", "min", "max"))
    if ratio is None:
        return
    if ratio < _ONE:
        yield "maxLimitRequestRatio", str(ratio), f"ratio {ratio} is less than 1"
    if least is None or most is None or not least.nano:
        return
    amount = Quantity.whole_units if _is_huge(ratio, least, most) else _milli_units
    bound = amount(most) / amount(least)
    wanted = float(ratio.whole_units()) if _is_huge(ratio, least, most) else _milli_units(ratio) / 1000
    if wanted > bound:
        yield "maxLimitRequestRatio", str(ratio), f"ratio {ratio} is greater than max/min = {bound:f}"


def _is_huge(*amounts: Quantity) -> bool:
    """Say whether the reference counts in whole units, because one of the amounts is too large for smaller ones."""
    return max(amount.whole_units() for amount in amounts) >= _MILLI_UNITS_MAX


def _milli_units(amount: Quantity) -> int:
    return amount.rounded_to_milli().nano // 10**6
