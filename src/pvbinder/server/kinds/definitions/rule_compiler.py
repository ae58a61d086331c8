"""Compiles the rules in CEL of one schema (for the moment: takes them all)."""

from __future__ import annotations

from typing import Any

from pvbinder.server.errors import FieldError
from pvbinder.server.objects.kind import Json


class RuleCompiler:
    def __init__(self, schema: Json, *, any_cost: bool) -> None:
        self._schema = schema

    def compile_at(self, schema: Json, path: str, at: Any) -> list[FieldError]:
        return []

    def try_on_default(self, schema: Json, default: Any, path: str, embedded: bool) -> list[FieldError]:
        return []

    def total(self, path: str) -> list[FieldError]:
        return []
