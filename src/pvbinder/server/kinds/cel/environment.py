"""From a text to a program: read, checked, estimated.

ENVIRONMENT-1  What compiles can be run: nothing is left to be found wrong but values and costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pvbinder.server.kinds.cel.checker import check
from pvbinder.server.kinds.cel.errors import CelError, InstantiationError
from pvbinder.server.kinds.cel.estimate import Sizes, estimate
from pvbinder.server.kinds.cel.functions import library
from pvbinder.server.kinds.cel.literals import check_literals
from pvbinder.server.kinds.cel.nodes import Ident, Term, children
from pvbinder.server.kinds.cel.parser import parse, too_deep
from pvbinder.server.kinds.cel.program import Program
from pvbinder.server.kinds.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
    optional_of,
    type_of,
)
from pvbinder.server.kinds.cel.values import TypeValue

_CHECKS: Final = ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
_TYPES: Final[dict[str, Type]] = {
    "bool": BOOL,
    "int": INT,
    "uint": UINT,
    "double": DOUBLE,
    "string": STRING,
    "bytes": BYTES,
    "null_type": NULL,
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "type": type_of(DYN),
    "google.protobuf.Duration": DURATION,
    "google.protobuf.Timestamp": TIMESTAMP,
    "optional_type": optional_of(DYN),
    "net.IP": Type("opaque", "net.IP"),
    "net.CIDR": Type("opaque", "net.CIDR"),
    "kubernetes.URL": Type("object", "kubernetes.URL"),
    "kubernetes.Quantity": Type("object", "kubernetes.Quantity"),
    "kubernetes.Semver": Type("object", "kubernetes.Semver"),
    "kubernetes.NamedFormat": Type("object", "kubernetes.NamedFormat"),
    **{f"kubernetes.authorization.{name}": Type("object", f"kubernetes.authorization.{name}") for name in _CHECKS},
}
_NAMES: Final = {name: type_of(type_) for name, type_ in _TYPES.items()}
_VALUES: Final = {name: TypeValue(name) for name in _TYPES}


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression that compiled: what it gives, what it may cost, and which variables it uses."""

    type: Type
    cost_max: int
    uses: frozenset[str]
    program: Program


def compile_expression(source: str, variables: Mapping[str, Type], sizes: Sizes) -> Compiled:
    """Compile an expression; CompileError or InstantiationError when it can't be (ENVIRONMENT-1)."""
    functions = library()
    node = parse(source)
    try:
        check(source, node, {**_NAMES, **variables}, functions)
        check_literals(source, node)
        program = Program(node, functions, _VALUES)
        uses = frozenset(_names(node)) & frozenset(variables)
        return Compiled(node.type, estimate(node, sizes).most, uses, program)
    except CelError as error:
        raise InstantiationError(error.message) from error
    except RecursionError:
        raise too_deep(source) from None


def _names(node: Term) -> list[str]:
    found = [node.name.removeprefix(".")] if isinstance(node, Ident) else []
    for child in children(node):
        found += _names(child)
    return found
