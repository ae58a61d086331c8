"""The careful way from JSON to an object of a kind: what is unknown, twice there or of the wrong type, and where.

`Conversion` walks the value in the order in which it was sent and gives the object as the reference would write it,
just as `schema.structs` does for bodies that need no care. On the way it collects what only strictness minds (unknown
and duplicate fields) and stops at the first value of a wrong type.

Two dialects, because the reference has two decoders: ``json`` for bodies and the results of JSON and merge patches,
``map`` for the results of strategic merge patches. They differ in what they call a wrong type, and in what they allow.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pvbinder.model.errors import PvbinderError
from pvbinder.model.quantity import QuantityError
from pvbinder.server.objects.go_text import Base64Error, decode_base64
from pvbinder.server.objects.schema.json_text import Members, NumberTooLargeError, WideNumber, WrittenFloat, number
from pvbinder.server.objects.schema.structs import ZERO_VALUES, written_quantity
from pvbinder.server.objects.schema.types import CATALOGUE, Custom, Field, ObjectType, TypeCatalogue, go_name

MessageStyle = Literal["json", "map"]

STRICT_ERRORS_MAX: Final = 100  # the reference stops counting there
_OBJECT_META: Final = "#io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SCHEMA_PROPS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_LOOSE: Final = frozenset({"items", "additionalProperties", "additionalItems"})
_INTEGERS: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_GO_SCALARS: Final = {
    "int32": "int32", "int64": "int64", "bool": "bool", "double": "float64", "bytes": "[]uint8", "time": "string",
    "microtime": "string", "quantity": "resource.Quantity", "intorstring": "int32",
}  # fmt: skip
_GO_NUMBERS: Final[dict[type, str]] = {int: "int64", float: "float64"}
_CONVERTIBLE: Final = frozenset({("string", "int64"), ("int32", "float64"), ("int64", "float64")})  # for Go alone
_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII)


class ConversionError(PvbinderError):
    """A value of a type that its field can't have; the message is the reference's."""


class Conversion:
    """One conversion; `strict_errors` are the texts of what was unknown or there twice."""

    def __init__(self, dialect: MessageStyle = "json", catalogue: TypeCatalogue = CATALOGUE) -> None:
        self.strict_errors: list[str] = []
        self._dialect = dialect
        self._catalogue = catalogue
        self._fields: list[str] = []  # as the messages about types name a place: no indexes, no keys of maps
        self._path: list[str] = []  # as the messages about fields name it
        self._struct = ""

    def object(self, value: Any, schema: str) -> dict[str, Any]:
        """Convert an object of the type named `schema`; ConversionError when a value has a wrong type."""
        if not isinstance(value, Members | dict):
            raise self._wrong_type(value, go_name(schema))
        custom = self._catalogue.customs.get(schema)
        if custom is not None:
            return self._custom(value, custom)
        type_ = self._catalogue[schema]
        outer, self._struct = self._struct, schema.rpartition(".")[2]
        seen: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        for key, inner in value if isinstance(value, Members) else value.items():
            field = type_.fields.get(key)
            self._path.append(f".{key}")
            if field is None:
                if type_.open:
                    unknown[key] = self._any(inner)
                else:
                    self._note("unknown")
            else:
                if key in seen:
                    self._note("duplicate")
                depth = len(self._fields)
                self._fields += [field.via, key] if field.via else [key]
                if inner is None:
                    seen.setdefault(key, None)
                elif key in _LOOSE and schema == SCHEMA_PROPS:
                    seen[key] = self._loose_schema(inner, key)
                else:
                    seen[key] = self.value(inner, field)
                del self._fields[depth:]
            self._path.pop()
        self._struct = outer
        return self._written(type_, seen) | unknown

    def _loose_schema(self, value: Any, key: str) -> Any:
        """A schema, or what may stand for one here. The reference reads it on its own: what it doesn't know goes."""
        if isinstance(value, bool) and key != "items":
            return value
        if isinstance(value, Members | dict):
            return Conversion(self._dialect, self._catalogue).object(value, SCHEMA_PROPS)
        if key != "items":
            raise ConversionError("boolean or JSON schema expected")
        inner = value if isinstance(value, list) else []
        return [Conversion(self._dialect, self._catalogue).object(each, SCHEMA_PROPS) for each in inner]

    def _custom(self, value: Any, custom: Custom) -> dict[str, Any]:
        """Convert an object of a custom kind: the header is ours, the rest is for the kind to say."""
        header: dict[str, Any] = {"metadata": {}}
        rest = Members()
        for key, inner in value if isinstance(value, Members) else value.items():
            if key not in ("kind", "apiVersion", "metadata"):
                rest.append((key, inner))
            elif inner is not None:
                self._path.append(f".{key}")
                self._fields.append(key)
                field = Field(_OBJECT_META) if key == "metadata" else Field("string")
                header[key] = self.value(inner, field)
                self._fields.pop()
                self._path.pop()
        try:
            converted = header | custom.conform(rest, self._note_at)
        except NumberTooLargeError as error:
            raise ConversionError(error.message) from error
        self.strict_errors.sort(key=lambda text: not text.startswith("duplicate"))  # found first, by the parser
        return converted

    def value(self, value: Any, field: Field) -> Any:
        """Convert the value of a field; it isn't None."""
        if field.type.startswith("#"):
            return self.object(value, field.type[1:])
        if field.is_list:
            return self._list(value, field)
        if field.is_map:
            return self._map(value, field)
        return self._scalar(value, field)

    def _written(self, type_: ObjectType, seen: dict[str, Any]) -> dict[str, Any]:
        """The fields in the order of the type, with those left out or filled in that the reference does."""
        written = {}
        for name, field in type_.fields.items():
            value = seen.get(name)
            if value is None:
                if field.zero in ("write", "null"):
                    written[name] = None if field.zero == "null" else self.zero(field)
            elif field.zero != "drop" or value or (field.type == "any"):
                written[name] = value
        return written

    def zero(self, field: Field) -> Any:
        """The zero value of a field that is always written."""
        if field.type.startswith("#"):
            return self._written(self._catalogue[field.type[1:]], {})
        return ZERO_VALUES.get(field.type)

    def _list(self, value: Any, field: Field) -> list[Any]:
        if not isinstance(value, list) or isinstance(value, Members):
            if self._dialect == "map":
                raise ConversionError(f"cannot restore slice from {_go_kind(value)}")
            raise self._wrong_type(value, self._go_type(field))
        element = field.element
        converted = []
        for index, inner in enumerate(value):
            self._path.append(f"[{index}]")
            converted.append(self.zero(element) if inner is None else self.value(inner, element))
            self._path.pop()
        return converted

    def _map(self, value: Any, field: Field) -> dict[str, Any]:
        if not isinstance(value, Members | dict):
            if self._dialect == "map":
                raise ConversionError(f"cannot restore map from {_go_kind(value)}")
            raise self._wrong_type(value, self._go_type(field))
        element = field.element
        converted: dict[str, Any] = {}
        for key, inner in value if isinstance(value, Members) else value.items():
            self._path.append(f".{key}")
            if key in converted:
                self._note("duplicate")
            converted[key] = self.zero(element) if inner is None else self.value(inner, element)
            self._path.pop()
        return converted

    def _scalar(self, value: Any, field: Field) -> Any:
        match field.type:
            case "any":
                return self._any(value)
            case "string" if isinstance(value, str):
                return value
            case "bool" if isinstance(value, bool):
                return value
            case "int32" | "int64" if isinstance(value, int) and not isinstance(value, bool):
                low, high = _INTEGERS[field.type]
                if low <= value <= high:
                    return value
                raise self._wrong_type(value, field.type)
            case "int64" | "int32" if self._dialect == "map" and isinstance(value, float) and value.is_integer():
                return int(value)
            case "double" if isinstance(value, int | float) and not isinstance(value, bool | WideNumber):
                return number(value)
            case "quantity":
                return self._quantity(value)
            case "intorstring" if isinstance(value, str):
                return value
            case "intorstring" if isinstance(value, int) and not isinstance(value, bool):
                return self._scalar(value, Field("int32"))
            case "time" | "microtime" if isinstance(value, str):
                return _time(value, micro=field.type == "microtime")
            case "bytes" if isinstance(value, str):
                return _bytes(value)
            case "bytes" if isinstance(value, list) and not isinstance(value, Members):
                return self._bytes_of_numbers(value)
        if self._dialect == "map" and field.type in ("string", "int32", "int64", "bool", "double"):
            if (sent := _GO_NUMBERS.get(type(value))) and (field.type, sent) in _CONVERTIBLE:
                raise ConversionError(f"cannot convert {sent} to {self._go_type(field)}")
            raise ConversionError(f"unrecognized type: {_GO_SCALARS.get(field.type, 'string')}")
        raise self._wrong_type(value, self._go_type(field))

    def _bytes_of_numbers(self, value: list[Any]) -> str:
        """Bytes that were sent as a list of numbers, which Go's decoder takes too."""
        for each in value:
            if each is not None and (not isinstance(each, int) or isinstance(each, bool) or not 0 <= each <= 255):
                raise self._wrong_type(each, "uint8")
        return base64.b64encode(bytes(each or 0 for each in value)).decode()

    def _any(self, value: Any) -> Any:
        if isinstance(value, WideNumber):
            raise self._wrong_type(value, "float64")
        if isinstance(value, Members):
            return {key: self._any(inner) for key, inner in value}
        if isinstance(value, dict):
            return {key: self._any(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._any(inner) for inner in value]
        return float(value) if isinstance(value, float) else value

    def _quantity(self, value: Any) -> str:
        if isinstance(value, WideNumber | WrittenFloat):
            value = value.text
        elif isinstance(value, int | float) and not isinstance(value, bool):
            value = repr(value)
        if not isinstance(value, str):
            raise ConversionError(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            )
        try:
            return written_quantity(value)
        except QuantityError as error:
            raise ConversionError(error.message) from error

    def _note(self, what: Literal["unknown", "duplicate"]) -> None:
        self._note_at(what, "".join(self._path).removeprefix("."))

    def _note_at(self, what: str, path: str) -> None:
        text = f'{what} field "{path}"'
        if len(self.strict_errors) < STRICT_ERRORS_MAX and text not in self.strict_errors:
            self.strict_errors.append(text)

    def _wrong_type(self, value: Any, wanted: str) -> ConversionError:
        if self._dialect == "map" and not isinstance(value, Members | dict) and wanted.startswith("v1."):
            return ConversionError(f"cannot restore struct from: {_go_kind(value)}")
        found = _json_kind(value, wanted)
        if not self._fields:
            return ConversionError(f"json: cannot unmarshal {found} into Go value of type {wanted}")
        place = f"{self._struct}.{'.'.join(self._fields)}"
        return ConversionError(f"json: cannot unmarshal {found} into Go struct field {place} of type {wanted}")

    def _go_type(self, field: Field) -> str:
        """How Go calls the type of a field."""
        if field.go_whole:
            return field.go_whole
        if field.is_list:
            return "[]" + self._go_type(field.element)
        if field.is_map:
            return "map[string]" + self._go_type(field.element)
        if field.type.startswith("#"):
            return go_name(field.type[1:])
        if field.go_type:
            package = "types." if field.go_type == "UID" else "" if "." in field.go_type else "v1."
            return package + field.go_type
        return _GO_SCALARS.get(field.type, "string")


def _json_kind(value: Any, wanted: str) -> str:
    """How Go's decoder calls a value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, WideNumber | WrittenFloat):
        return f"number {value.text}" if wanted in ("int32", "int64", "float64", "uint8") else "number"
    if isinstance(value, int | float):
        return f"number {value}" if wanted in ("int32", "int64", "float64", "uint8") else "number"
    return "object" if isinstance(value, Members | dict) else "array"


def _go_kind(value: Any) -> str:
    """How Go calls the kind of a decoded value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    return "map" if isinstance(value, Members | dict) else "slice"


def _time(text: str, *, micro: bool) -> str:
    """A time as the reference writes it: in UTC, to the second or the microsecond."""
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    found = _TIME.fullmatch(text)
    if found is None:
        raise ConversionError(_why_no_time(text, layout))
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(
            f"{year}-{month}-{day}T{hour}:{minute}:{second}.{(fraction or '').ljust(6, '0')[:6]}{zone}"
        ).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ConversionError(
            f'parsing time "{text}": {_out_of_range(month, day, hour, minute)} out of range'
        ) from error
    written = f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}"
    return f"{written}.{moment.microsecond:06}Z" if micro else f"{written}Z"


def _why_no_time(text: str, layout: str) -> str:
    """Go's message: the first part of the layout that the text doesn't follow."""
    rest = text
    for part, pattern in (
        ("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"), ("15", r"\d\d"),
        (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d([.,]\d+)?"), ("Z07:00", r"Z|[+-]\d\d:\d\d"),
    ):  # fmt: skip
        found = re.match(pattern, rest, re.ASCII)
        if found is None:
            return f'parsing time "{_time_text(text)}" as "{layout}": cannot parse "{_time_text(rest)}" as "{part}"'
        rest = rest[found.end() :]
    return f'parsing time "{_time_text(text)}": extra text: "{_time_text(rest)}"'


def _time_text(text: str) -> str:
    r"""A text as Go's package time quotes it: bytes beyond ASCII, and control characters, as ``\x``."""
    return "".join(
        f"\\{chr(each)}" if each in b'"\\' else chr(each) if 0x20 <= each < 0x80 else f"\\x{each:02x}"
        for each in text.encode()
    )


def _out_of_range(month: str, day: str, hour: str, minute: str) -> str:
    if not 1 <= int(month) <= 12:
        return "month"
    if not 1 <= int(day) <= 28:
        return "day"
    return "hour" if int(hour) > 23 else "minute" if int(minute) > 59 else "second"


def _bytes(text: str) -> str:
    """Base64 as the reference writes it back."""
    try:
        return base64.b64encode(decode_base64(text)).decode()
    except Base64Error as error:
        raise ConversionError(error.message) from error
