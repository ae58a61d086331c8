"""Amounts of storage, exact: parsed, compared, added and printed as Kubernetes does it.

QUANTITY-1  Exact: a value is a whole number of nano-units; a finer text is rounded away from zero when it is parsed.
QUANTITY-2  Bounded: a text of more than `QUANTITY_CHARACTERS_MAX` characters or an exponent beyond ±`EXPONENT_MAX` is
            an error, so no text, however short, costs more than a few hundred bytes. Binary suffixes are capped at
            2^63-1, as in the reference; decimal ones are not.
QUANTITY-3  Printed as the reference prints it: with the largest suffix of its own family that needs no fraction.
QUANTITY-4  Equal by value: `1Gi` and `1024Mi` compare and hash alike.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

from pvbinder.model.errors import PvbinderError

Format = Literal["BinarySI", "DecimalSI", "DecimalExponent"]

QUANTITY_CHARACTERS_MAX: Final = 1024
EXPONENT_MAX: Final = 1000

_NANO: Final = 10**9
_MILLI: Final = 10**6  # a milli-unit in nano-units
_BINARY_NANO_MAX: Final = (2**63 - 1) * _NANO
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIXES: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIXES: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_SHAPE: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)

WRONG_FORMAT: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
WRONG_SUFFIX: Final = "unable to parse quantity's suffix"


class QuantityError(PvbinderError):
    """A text that is no quantity; the message is the reference's."""


class Quantity(Struct, frozen=True, eq=False, gc=False):
    """An amount; `nano` is its value in nano-units, `text` how it prints (QUANTITY-3)."""

    nano: int
    format: Format = "DecimalSI"
    written: str = ""  # the text it was parsed from, where the reference keeps that instead of printing anew

    def __str__(self) -> str:
        """Print it (QUANTITY-3)."""
        return self.written or _canonical(self.nano, self.format)

    def __repr__(self) -> str:
        """Show it in test failures."""
        return f"Quantity({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        """Compare by value (QUANTITY-4)."""
        return self.nano == other.nano if isinstance(other, Quantity) else NotImplemented

    def __ne__(self, other: object) -> bool:
        """Compare by value (QUANTITY-4): a struct that defines `__eq__` alone still has the identity's `!=`."""
        return self.nano != other.nano if isinstance(other, Quantity) else NotImplemented

    def __hash__(self) -> int:
        """Hash by value (QUANTITY-4)."""
        return hash(self.nano)

    def __lt__(self, other: Quantity) -> bool:
        """Compare by value."""
        return self.nano < other.nano

    def __le__(self, other: Quantity) -> bool:
        """Compare by value."""
        return self.nano <= other.nano

    def __gt__(self, other: Quantity) -> bool:
        """Compare by value."""
        return self.nano > other.nano

    def __ge__(self, other: Quantity) -> bool:
        """Compare by value."""
        return self.nano >= other.nano

    def __add__(self, other: Quantity) -> Quantity:
        """Add; the sum prints in the family of the left side, or of the right one if the left is zero."""
        return Quantity(self.nano + other.nano, self.format if self.nano else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        """Subtract; the family is chosen as in a sum."""
        return Quantity(self.nano - other.nano, self.format if self.nano else other.format)

    def __bool__(self) -> bool:
        """Refuse to guess whether zero or missing is meant."""
        raise TypeError("compare a Quantity with another one; `is None` asks whether it is missing")

    def whole_units(self) -> int:
        """Return the value in whole units (bytes), rounded away from zero (CS-2)."""
        return _divide_away(self.nano, _NANO)

    def is_whole(self) -> bool:
        """Tell whether there is no fraction of a unit."""
        return self.nano % _NANO == 0

    def rounded_to_milli(self) -> Quantity:
        """Return it rounded away from zero to whole milli-units, as the API server stores it (PD-1, CD-1)."""
        if self.nano % _MILLI == 0:
            return self
        return Quantity(_divide_away(self.nano, _MILLI) * _MILLI, self.format)


ZERO: Final = Quantity(0)


@lru_cache(maxsize=8192)
def parse_quantity(text: str) -> Quantity:
    """Return the quantity that `text` means, or raise `QuantityError` (QUANTITY-1, QUANTITY-2)."""
    shape = _SHAPE.fullmatch(text) if 0 < len(text) <= QUANTITY_CHARACTERS_MAX else None
    if shape is None:
        raise QuantityError(WRONG_FORMAT)
    sign, whole, fraction, suffix = shape.groups()
    fraction = fraction or ""
    whole = whole.lstrip("0") or "0"  # also when there is no digit at all: the reference reads "Gi" as zero
    digits = whole + fraction
    format_: Format
    if suffix in _BINARY:
        format_, nano = "BinarySI", _divide_away(int(digits) * _NANO << _BINARY[suffix], 10 ** len(fraction))
        if nano > _BINARY_NANO_MAX:
            nano = _BINARY_NANO_MAX
        elif nano < _NANO:
            format_ = "DecimalSI"
        keeps_text = not fraction and int(whole) & 7 != 0 and len(whole) + _BINARY[suffix] * 3 // 10 <= 14
    else:
        exponent, format_ = _decimal_suffix(suffix)
        nano = _scaled(int(digits), exponent - len(fraction) + 9)
        scale = exponent - len(fraction)
        keeps_text = (
            scale % 3 == 0
            and scale >= -9
            and len(digits) <= 18
            and not digits.endswith("000")
            and not digits.startswith("0")
        ) or text == "0"
    if sign == "-":
        nano = -nano
    return Quantity(nano, format_, text if keeps_text else "")


def _decimal_suffix(suffix: str) -> tuple[int, Format]:
    exponent = _DECIMAL.get(suffix)
    if exponent is not None:
        return exponent, "DecimalSI"
    if len(suffix) > 1 and suffix[0] in "eE":
        try:
            exponent = int(suffix[1:])
        except ValueError:
            raise QuantityError(WRONG_SUFFIX) from None
        if abs(exponent) <= EXPONENT_MAX:
            return exponent, "DecimalExponent"
    raise QuantityError(WRONG_SUFFIX)


def _scaled(digits: int, exponent: int) -> int:
    return digits * 10**exponent if exponent >= 0 else _divide_away(digits, 10**-exponent)


def _divide_away(value: int, by: int) -> int:
    return -(-value // by) if value >= 0 else value // by


def _canonical(nano: int, format_: Format) -> str:
    if nano == 0:
        return "0"
    units, rest = divmod(nano, _NANO)
    if format_ == "BinarySI" and rest == 0 and abs(units) >= 1024:
        power = 0
        while power < 6 and units % 1024 == 0:
            units //= 1024
            power += 1
        return f"{units}{_BINARY_SUFFIXES[power]}"
    digits = str(abs(nano))
    stripped = digits.rstrip("0")
    exponent = len(digits) - len(stripped) - 9
    stripped += "0" * (exponent % 3)
    exponent -= exponent % 3
    if format_ == "DecimalExponent" or exponent not in _DECIMAL_SUFFIXES:
        suffix = f"e{exponent}" if exponent else ""
    else:
        suffix = _DECIMAL_SUFFIXES[exponent]
    return f"{'-' if nano < 0 else ''}{stripped}{suffix}"


def quantity_of(value: object) -> Quantity:
    """Read a quantity of an object's JSON; None and a malformed quantity are zero."""
    if value is None:
        return ZERO
    try:
        return parse_quantity(value if isinstance(value, str) else repr(value))
    except QuantityError:
        return ZERO
