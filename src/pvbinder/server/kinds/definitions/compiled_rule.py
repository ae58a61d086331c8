"""A rule of a schema, compiled, or the reason why it can't be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pvbinder.server.kinds.cel.environment import Compiled, compile_expression
from pvbinder.server.kinds.cel.errors import CompileError, InstantiationError
from pvbinder.server.kinds.cel.types import BOOL, STRING, Type, optional_of
from pvbinder.server.kinds.definitions.field_paths import FieldPathError, read_field_path
from pvbinder.server.kinds.definitions.rule_types import SchemaType
from pvbinder.server.objects.kind import Json

SELF: Final = "self"
OLD_SELF: Final = "oldSelf"


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its program, its message's program (`wrong`, `wrong_message`: why none), and its errors' field."""

    rule: Json
    program: Compiled | None = None
    message: Compiled | None = None
    wrong: str = ""
    wrong_message: str = ""
    field: str = ""

    @property
    def uses_old(self) -> bool:
        """Whether the rule reads the old value."""
        return self.program is not None and OLD_SELF in self.program.uses

    @property
    def takes_no_old(self) -> bool:
        """Whether the rule is tried without an old value, too."""
        return bool(self.rule.get("optionalOldSelf"))

    @property
    def text(self) -> str:
        """The name of the rule in errors."""
        return str(self.rule.get("message") or self.rule.get("rule") or "").strip()


def compile_rule(rule: Json, schema: Json, type_: SchemaType) -> CompiledRule:
    """Compile a rule at its place in a schema."""
    old: Type = optional_of(type_.type) if rule.get("optionalOldSelf") else type_.type
    variables = {SELF: type_.type, OLD_SELF: old}
    try:
        program = compile_expression(str(rule.get("rule")), variables, type_.size_at)
    except CompileError as error:
        return CompiledRule(rule, wrong=f"compilation failed: {error.message}")
    except InstantiationError as error:
        return CompiledRule(rule, wrong=f"program instantiation failed: {error.message}")
    if not program.type.is_exactly(BOOL):
        return CompiledRule(rule, wrong="cel expression must evaluate to a bool")
    message: Compiled | None = None
    text = rule.get("messageExpression")
    if text:
        try:
            message = compile_expression(text, variables, type_.size_at)
        except CompileError as error:
            return CompiledRule(rule, program, wrong_message=f"messageExpression compilation failed: {error.message}")
        except InstantiationError as error:
            why = f"messageExpression instantiation failed: {error.message}"
            return CompiledRule(rule, program, wrong_message=why)
        if not message.type.is_exactly(STRING):
            return CompiledRule(rule, program, wrong_message="messageExpression must evaluate to a string")
    return CompiledRule(rule, program, message, field=_field(rule.get("fieldPath"), schema))


def _field(path: Any, schema: Json) -> str:
    if not path:
        return ""
    try:
        return read_field_path(path, schema).text
    except FieldPathError:
        return ""
