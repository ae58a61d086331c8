"""What ``format`` makes of a text with places for values: ``%s``, ``%d``, ``%f``, ``%e``, ``%b``, ``%x``, ``%o``."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.functions import conversions
from pvbinder.server.kinds.cel.functions.times import duration_text, timestamp_text
from pvbinder.server.kinds.cel.values import TimeSpan, Timestamp, TypeValue, type_name

_CLAUSE: Final = re.compile(r"%(?:%|(?:\.(\d+))?([a-zA-Z]?))")
_PRECISION: Final = 6
_PRECISION_MAX: Final = 1000
_LETTERS_MAX: Final = 1_000_000  # of what one call makes


def formatted(text: str, values: list[Any]) -> str:
    """Put values in their places."""
    parts: list[str] = []
    at = taken = 0
    for found in _CLAUSE.finditer(text):
        parts.append(text[at : found.start()])
        at = found.end()
        if found[0] == "%%":
            parts.append("%")
            continue
        if taken >= len(values):
            raise CelError(f"index {taken} out of range")
        parts.append(_clause(found[2], found[1], values[taken]))
        taken += 1
    parts.append(text[at:])
    made = "".join(parts)
    if len(made) > _LETTERS_MAX:
        raise CelError(f"the formatted text has more than {_LETTERS_MAX} letters")
    return made


def _clause(kind: str, precision: str | None, value: Any) -> str:
    digits = min(int(precision), _PRECISION_MAX) if precision else _PRECISION
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "s":
            return shown(value)
        case "d" if is_whole:
            return str(int(value))
        case "d":
            raise _unfit("decimal clause can only be used on integers", value)
        case "f" | "e" if isinstance(value, float) or value in ("NaN", "Infinity", "-Infinity"):
            return _number(float(value), kind, digits)
        case "f":
            raise _unfit("fixed-point clause can only be used on doubles", value)
        case "e":
            raise _unfit("scientific clause can only be used on doubles", value)
        case "b" if isinstance(value, int):
            return format(int(value), "b")
        case "b":
            raise _unfit("only integers and bools can be formatted as binary", value)
        case "x" | "X" if is_whole:
            return format(int(value), kind)
        case "x" | "X" if isinstance(value, str | bytes):
            octets = (value.encode() if isinstance(value, str) else value).hex()
            return octets.upper() if kind == "X" else octets
        case "x" | "X":
            raise _unfit("only integers, byte buffers, and strings can be formatted as hex", value)
        case "o" if is_whole:
            return format(int(value), "o")
        case "o":
            raise _unfit("octal clause can only be used on integers", value)
        case _:
            raise CelError(f'could not parse formatting clause: unrecognized formatting clause "{kind}"')


def _unfit(what: str, value: Any) -> CelError:
    return CelError(f"error during formatting: {what}, was given {type_name(value)}")


def _number(value: float, kind: str, digits: int) -> str:
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if kind == "f":
        return f"{value:.{digits}f}"
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    sign = "\u2212" if exponent[0] == "-" else ""
    raised = exponent[1:].translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}×10{sign and '⁻'}{raised}"


def shown(value: Any) -> str:
    """A value as ``%s`` shows it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case bytes():
            return value.decode(errors="replace")
        case int():
            return str(int(value))
        case float():
            return conversions.double_text(value)
        case TimeSpan():
            return duration_text(value)
        case Timestamp():
            return timestamp_text(value)
        case TypeValue():
            return value.name
        case list():
            return f"[{', '.join(map(_inside, value))}]"
        case dict():
            pairs = sorted((_inside(key), _inside(inner)) for key, inner in value.items())
            return f"{{{', '.join(f'{key}:{inner}' for key, inner in pairs)}}}"
        case _:
            raise CelError(
                "error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, "
                f"maps, lists, types, durations, and timestamps, was given {type_name(value)}"
            )


def _inside(value: Any) -> str:
    """A value inside a list or a map."""
    match value:
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        case bytes():
            return f'b"{value.decode(errors="replace")}"'
        case float() if math.isfinite(value):
            return f"{value:.{_PRECISION}f}"
        case TimeSpan():
            return f'duration("{duration_text(value)}")'
        case Timestamp():
            return f'timestamp("{timestamp_text(value)}")'
        case _:
            return shown(value)
