"""Quantities of Kubernetes: ``1Gi``, ``500m``."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pvbinder.model.quantity import QuantityError, parse_quantity
from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.types import BOOL, DOUBLE, INT, STRING, Type
from pvbinder.server.kinds.cel.values import INT_MAX, INT_MIN

QUANTITY: Final = Type("object", "kubernetes.Quantity")


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity by its value; how it was written doesn't count."""

    value: Fraction
    type_name = "kubernetes.Quantity"


def declare(library: Library) -> None:
    """Declare what reads, compares and adds quantities."""
    library.add("quantity", "string_to_quantity", (STRING,), QUANTITY, _amount)
    library.add("isQuantity", "is_quantity_string", (STRING,), BOOL, _is_amount)
    library.add("sign", "quantity_sign", (QUANTITY,), INT, lambda amount: _order(amount, Amount(Fraction(0))))
    add = library.add_member
    add("isGreaterThan", "quantity_is_greater_than", (QUANTITY, QUANTITY), BOOL, lambda one, two: one.value > two.value)
    add("isLessThan", "quantity_is_less_than", (QUANTITY, QUANTITY), BOOL, lambda one, two: one.value < two.value)
    add("compareTo", "quantity_compare_to", (QUANTITY, QUANTITY), INT, _order)
    add("asApproximateFloat", "quantity_get_float", (QUANTITY,), DOUBLE, lambda amount: float(amount.value))
    add("asInteger", "quantity_get_int", (QUANTITY,), INT, _whole)
    add("isInteger", "quantity_is_integer", (QUANTITY,), BOOL, _is_whole)
    add("add", "quantity_add", (QUANTITY, QUANTITY), QUANTITY, lambda one, two: Amount(one.value + two.value))
    add("add", "quantity_add_int", (QUANTITY, INT), QUANTITY, lambda one, two: Amount(one.value + two))
    add("sub", "quantity_sub", (QUANTITY, QUANTITY), QUANTITY, lambda one, two: Amount(one.value - two.value))
    add("sub", "quantity_sub_int", (QUANTITY, INT), QUANTITY, lambda one, two: Amount(one.value - two))


def _amount(text: str) -> Amount:
    try:
        return Amount(Fraction(parse_quantity(text).nano, 10**9))
    except QuantityError as error:
        raise CelError(error.message) from error


def _is_amount(text: str) -> bool:
    try:
        _amount(text)
    except CelError:
        return False
    return True


def _order(one: Amount, other: Amount) -> int:
    return (one.value > other.value) - (one.value < other.value)


def _is_whole(amount: Amount) -> bool:
    return amount.value.denominator == 1 and INT_MIN <= amount.value <= INT_MAX


def _whole(amount: Amount) -> int:
    if not _is_whole(amount):
        raise CelError("cannot convert value to integer")
    return int(amount.value)
