"""Quantities inside objects: brought into their canonical form when decoded, and checked (PD-1, CD-1, PV-3, VC-2).

A text that is no quantity is refused when a body is decoded; should one get here, it stays as it is and counts as zero.
"""

from __future__ import annotations

from functools import lru_cache

from pvbinder.model.quantity import QUANTITY_CHARACTERS_MAX, ZERO, QuantityError, parse_quantity, quantity_of
from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.objects.kind import Json

NOT_A_RESOURCE_QUANTITY = "must be a valid resource quantity"


@lru_cache(8192)
def _canonical_if_any(text: str) -> str | None:
    """Return the canonical form, None if `text` is no quantity (so that nothing long is remembered)."""
    try:
        return str(parse_quantity(text).rounded_to_milli())
    except QuantityError:
        return None


def _canonical(text: str) -> str:
    if len(text) > QUANTITY_CHARACTERS_MAX:
        return text
    canonical = _canonical_if_any(text)
    return text if canonical is None else canonical


def canonical_quantity(value: object) -> object:
    """Return a quantity as the server shows it: rounded up to milli, largest suffix; numbers become text."""
    if isinstance(value, str):
        return _canonical(value)
    return _canonical(repr(value)) if isinstance(value, int | float) else value


def canonical_quantities(obj: Json | None, field: str) -> None:
    """Bring the quantities of the mapping `field` of `obj` into their canonical form; leave an empty mapping out."""
    if not obj:
        return
    amounts = obj.get(field)
    if not amounts:
        obj.pop(field, None)
        return
    for name, value in amounts.items():
        canonical = canonical_quantity(value)
        if canonical is not value:
            amounts[name] = canonical


def check_not_negative(value: object, path: str) -> list[FieldError]:
    """Refuse a negative amount, shown as whole units (PV-3)."""
    units = quantity_of(value).whole_units()
    return [invalid(path, units, NOT_A_RESOURCE_QUANTITY)] if units < 0 else []


def check_positive(value: object, path: str) -> list[FieldError]:
    """Refuse an amount that is not more than zero (PV-3, VC-2)."""
    return [] if quantity_of(value) > ZERO else [invalid(path, value, "must be greater than zero")]
