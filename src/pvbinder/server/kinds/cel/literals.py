"""What is written out can be looked at before it runs: durations, times, patterns, and lists of many kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pvbinder.server.kinds.cel.errors import CelError, CompileError, Issue
from pvbinder.server.kinds.cel.functions.times import read_duration, read_timestamp, timestamp_of_seconds
from pvbinder.server.kinds.cel.nodes import Call, ListOf, Literal, MapOf, Term, children
from pvbinder.server.kinds.cel.types import Type, is_optional
from pvbinder.server.kinds.validation.patterns import why_no_pattern

_EXEMPT: Final = "format"


def check_literals(source: str, node: Term) -> None:
    """Raise CompileError when something that is written out can't be what it is meant to be."""
    issues = [*_walk(node), *_mixed(node, exempt=False)]
    if issues:
        raise CompileError(source, issues)


def _walk(node: Term) -> Iterator[Issue]:
    if isinstance(node, Call):
        args = node.args
        check = _CHECKS.get(node.function)
        if check is not None and args and isinstance(args[0], Literal) and isinstance(args[0].value, str | int):
            try:
                check(args[0].value)
            except CelError:
                yield Issue(args[0].at, f"invalid {node.function} argument")
    for child in children(node):
        yield from _walk(child)


def _mixed(node: Term, *, exempt: bool) -> Iterator[Issue]:
    """Lists and maps whose elements are of several types, but for what ``format`` is given."""
    if isinstance(node, Call) and node.function == _EXEMPT:
        exempt = True
    if isinstance(node, ListOf) and not exempt:
        yield from _differing([(each, index in node.optional) for index, each in enumerate(node.elements)])
    if isinstance(node, MapOf) and not exempt:
        yield from _differing([(key, False) for key, _, _ in node.entries])
        yield from _differing([(value, optional) for _, value, optional in node.entries])
    for child in children(node):
        yield from _mixed(child, exempt=exempt)


def _differing(elements: list[tuple[Term, bool]]) -> Iterator[Issue]:
    first: Type | None = None
    for each, optional in elements:
        type_ = each.type.params[0] if optional and is_optional(each.type) else each.type
        if first is None:
            first = type_
        elif str(first) != str(type_):
            yield Issue(each.at, f"expected type '{first}' but found '{type_}'")
            return


def _check_duration(value: str | int) -> None:
    if isinstance(value, str):
        read_duration(value)


def _check_timestamp(value: str | int) -> None:
    if isinstance(value, str):
        read_timestamp(value)
    else:
        timestamp_of_seconds(value)


def _check_pattern(text: str | int) -> None:
    if isinstance(text, str) and (why := why_no_pattern(text)):
        raise CelError(why)


_CHECKS: Final[dict[str, Callable[[str | int], None]]] = {
    "duration": _check_duration,
    "timestamp": _check_timestamp,
    "matches": _check_pattern,
}
