"""Typed decoding at C speed: msgspec structs made from the types of `schema.types`, one family a kind, on first use.

A struct accepts exactly the JSON that needs no thought: every field known and of its type, times and bytes already in
the form in which they are written, no null where a value is expected. A refused body isn't wrong yet; the careful path
(`schema.convert`) decides and says why. An accepted body comes out as the reference would write it: empty optional
fields left out, zero values of required ones filled in, quantities canonical.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pvbinder.model.quantity import QuantityError, parse_quantity
from pvbinder.server.objects.schema.types import CATALOGUE, Field, TypeCatalogue

_DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
TIME = rf"^(?!0000)[0-9]{{4}}-{_DAY}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z\Z"
MICRO_TIME = TIME.replace(r"Z\Z", r"\.[0-9]{6}Z\Z")
BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?\Z"

_SCALARS: dict[str, Any] = {
    "string": str,
    "int32": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
    "int64": Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    "bool": bool,
    "double": int | float,
    "bytes": Annotated[str, Meta(pattern=BASE64)],
    "time": Annotated[str, Meta(pattern=TIME)],
    "microtime": Annotated[str, Meta(pattern=MICRO_TIME)],
    "quantity": str,
    "intorstring": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | str,
    "any": Any,
}
ZERO_VALUES: dict[str, object] = {
    "string": "", "int32": 0, "int64": 0, "bool": False, "double": 0, "bytes": "", "quantity": "0", "intorstring": 0,
}  # fmt: skip

# By field: True for a quantity, or the QuantityFields of the value inside; "*" stands for every key or element.
QuantityFields = dict[str, Any]


class UnsupportedError(Exception):
    """A type that can't be a struct: it refers to itself, or keeps fields that aren't declared."""


class KindStruct:
    """A kind's struct, and where quantities stand in it."""

    def __init__(self, struct: type[msgspec.Struct], plan: QuantityFields) -> None:
        self._decoder = msgspec.json.Decoder(struct)
        self._struct = struct
        self._plan = plan

    def decode(self, body: bytes) -> dict[str, Any]:
        """Decode; msgspec.ValidationError, DecodeError and QuantityError mean: look carefully."""
        return self._written(self._decoder.decode(body))

    def convert(self, obj: dict[str, Any]) -> dict[str, Any]:
        """The same for an object that is decoded already."""
        return self._written(msgspec.convert(obj, self._struct))

    def _written(self, value: msgspec.Struct) -> dict[str, Any]:
        obj: dict[str, Any] = msgspec.to_builtins(value)
        _canonical_quantities(self._plan, obj)
        return obj


@lru_cache(maxsize=4096)
def written_quantity(text: str) -> str:
    """How the reference writes a quantity (GW-11); QuantityError if it is none."""
    return str(parse_quantity(text))


def build_kind_struct(name: str, catalogue: TypeCatalogue = CATALOGUE) -> KindStruct | None:
    """Make the struct of a type and of all that is in it; None if the type can't be one."""
    try:
        return KindStruct(_Builder(catalogue).struct(name), _Planner(catalogue).plan(name) or {})
    except UnsupportedError:
        return None


class _Builder:
    def __init__(self, catalogue: TypeCatalogue) -> None:
        self._catalogue = catalogue
        self._made: dict[str, type[msgspec.Struct] | None] = {}  # None: being made

    def struct(self, name: str) -> type[msgspec.Struct]:
        if name in self._made:
            made = self._made[name]
            if made is None:
                raise UnsupportedError
            return made
        type_ = self._catalogue[name]
        if type_.open:
            raise UnsupportedError
        self._made[name] = None
        fields: list[tuple[str, Any, Any]] = []
        rename: dict[str, str] = {}
        for index, (wire, field) in enumerate(type_.fields.items()):
            python = f"f{index}"
            rename[python] = wire
            fields.append((python, *self._declaration(field)))
        made = msgspec.defstruct(
            name.rpartition(".")[2], fields, rename=rename, omit_defaults=True, forbid_unknown_fields=True, gc=False
        )
        self._made[name] = made
        return made

    def _declaration(self, field: Field) -> tuple[Any, Any]:
        """The type and the default of a field."""
        value = self._type(field.type)
        match field.zero:
            case "pointer":
                return value | None if field.type != "any" else Any, None
            case "drop":
                if field.is_list:
                    return value, msgspec.field(default_factory=list)
                if field.is_map:
                    return value, msgspec.field(default_factory=dict)
                return value, ZERO_VALUES.get(field.type)
            case "write":
                if field.type.startswith("#"):
                    return value, msgspec.field(default_factory=value)
                if field.type in ZERO_VALUES:
                    return value, msgspec.field(default_factory=_constant(ZERO_VALUES[field.type]))
                return value | None, msgspec.field(default_factory=_constant(None))
            case "null":
                return value | None, msgspec.field(default_factory=_constant(None))

    def _type(self, type_: str) -> Any:
        if type_.startswith("[]"):
            return list[self._type(type_[2:])]  # type: ignore[misc]
        if type_.startswith("{}"):
            return dict[str, self._type(type_[2:])]  # type: ignore[misc]
        return self.struct(type_[1:]) if type_.startswith("#") else _SCALARS[type_]


def _constant(value: object) -> Callable[[], object]:
    return lambda: value


class _Planner:
    """Finds the quantities, so that only they are walked to."""

    def __init__(self, catalogue: TypeCatalogue) -> None:
        self._catalogue = catalogue
        self._plans: dict[str, QuantityFields | None] = {}

    def plan(self, name: str) -> QuantityFields | None:
        if name not in self._plans:
            self._plans[name] = None
            plan = {
                wire: inner for wire, field in self._catalogue[name].fields.items() if (inner := self._of(field.type))
            }
            self._plans[name] = plan or None
        return self._plans[name]

    def _of(self, type_: str) -> QuantityFields | bool | None:
        if type_ == "quantity":
            return True
        if type_.startswith("#"):
            return self.plan(type_[1:])
        if type_.startswith(("[]", "{}")) and (inner := self._of(type_[2:])):
            return {"*": inner}
        return None


def _canonical_quantities(plan: QuantityFields, obj: Any) -> None:
    for key, inner in plan.items():
        if key == "*":
            for index in obj if isinstance(obj, dict) else range(len(obj)):
                if inner is True:
                    obj[index] = written_quantity(obj[index])
                else:
                    _canonical_quantities(inner, obj[index])
        elif (value := obj.get(key)) is not None:
            if inner is True:
                obj[key] = written_quantity(value)
            else:
                _canonical_quantities(inner, value)


__all__ = [
    "BASE64",
    "MICRO_TIME",
    "TIME",
    "ZERO_VALUES",
    "KindStruct",
    "QuantityError",
    "build_kind_struct",
    "written_quantity",
]
