"""One expression of a policy, compiled, or why it can't be: in the words of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.kinds.cel.environment import Compiled, compile_expression
from pvbinder.server.kinds.cel.errors import CompileError, InstantiationError
from pvbinder.server.kinds.cel.types import BOOL, NULL, STRING, Type
from pvbinder.server.kinds.policies.variables import AUTHORIZER_NAME, REQUEST_RESOURCE

CONDITION: Final = (BOOL,)
TEXT: Final = (STRING,)
TEXT_OR_NOTHING: Final = (STRING, NULL)
ANYTHING: Final[tuple[Type, ...]] = ()
_GO_NAMES: Final = {
    "null": "null_type",
    "duration": "google.protobuf.Duration",
    "timestamp": "google.protobuf.Timestamp",
}


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression: its program, or why there is none; `is_internal`: it compiled, and yet can't be run."""

    source: str
    compiled: Compiled | None = None
    wrong: str = ""
    is_internal: bool = False

    @property
    def asks_authorizer(self) -> bool:
        """Whether it may ask what somebody may do."""
        return self.compiled is not None and not self.compiled.uses.isdisjoint((AUTHORIZER_NAME, REQUEST_RESOURCE))

    def error(self, path: str, shown: str | None = None) -> list[FieldError]:
        """Say what is wrong with it, at its place."""
        if not self.wrong:
            return []
        if self.is_internal:
            return [FieldError("InternalError", path, f"Internal error: {self.wrong}")]
        return [invalid(path, self.source if shown is None else shown, self.wrong)]


def compile_policy_expression(source: str, seen: Mapping[str, Type], wanted: tuple[Type, ...]) -> Expression:
    """Compile an expression that sees variables of these types and must give one of the `wanted` ones."""
    try:
        compiled = compile_expression(source, seen, lambda _path: None)
    except CompileError as error:
        return Expression(source, wrong=f"compilation failed: {error.message}")
    except InstantiationError as error:
        return Expression(source, wrong=f"program instantiation failed: {error.message}", is_internal=True)
    if wanted and not any(compiled.type.is_exactly(type_) for type_ in wanted):
        names = " ".join(map(_go_name, wanted))
        must = f"must evaluate to {names}" if len(wanted) == 1 else f"must evaluate to one of [{names}]"
        return Expression(source, wrong=f"{must} but got {_go_name(compiled.type)}")
    return Expression(source, compiled)


def _go_name(type_: Type) -> str:
    name = type_.name or _GO_NAMES.get(type_.kind, type_.kind)
    return f"{name}({', '.join(map(_go_name, type_.params))})" if type_.params else name
