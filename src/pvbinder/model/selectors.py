"""Selectors: which labels an object must have, and which nodes a volume can be used on.

Three languages: label selector objects (``matchLabels``, ``matchExpressions``) of claims, selector texts of list
requests (``app=web,tier in (a,b)``), and node selectors (terms with ``matchExpressions`` and ``matchFields``).
All but texts decode straight from JSON. A malformed selector is known when it is used (`SelectorError`), not when the
object that carries it is parsed: one bad claim must not hide the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from pvbinder.model.dns_names import is_subdomain
from pvbinder.model.errors import PvbinderError

_NAME: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)

Labels: TypeAlias = Mapping[str, str]


class SelectorError(PvbinderError):
    """A selector that means nothing; the message says what is wrong with it."""


class LabelRequirement(Struct, frozen=True, gc=False, rename="camel"):
    """One line of ``matchExpressions``."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = None

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` meet this requirement; raise `SelectorError` if it is malformed."""
        self.check()
        values = self.values or ()
        match self.operator:
            case "In":
                return labels.get(self.key) in values
            case "NotIn":
                return labels.get(self.key) not in values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels

    def check(self) -> None:
        """Raise `SelectorError` if the requirement is malformed (FM-13)."""
        match self.operator:
            case "In" | "NotIn":
                if not self.values:
                    raise SelectorError(
                        "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                    )
            case "Exists" | "DoesNotExist":
                if self.values:
                    shown = ",".join(self.values)
                    raise SelectorError(
                        f"values: Invalid value: [{shown}]: values set must be empty for exists and does not exist"
                    )
            case _:
                raise SelectorError(f'"{self.operator}" is not a valid label selector operator')
        _check_key(self.key)
        for value in self.values or ():
            _check_value(self.key, value)


class LabelSelector(Struct, frozen=True, gc=False, rename="camel"):
    """A label selector object: all of it must hold; an empty one matches everything (FM-13)."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelRequirement, ...] | None = None

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` are selected; raise `SelectorError` if the selector is malformed."""
        if self.match_labels:
            for key, value in self.match_labels.items():
                if labels.get(key) != value:
                    return False
        return all(requirement.matches(labels) for requirement in self.match_expressions or ())

    def check(self) -> None:
        """Raise `SelectorError` if the selector is malformed, even where nothing would be compared with it."""
        for key, value in (self.match_labels or {}).items():
            _check_key(key)
            _check_value(key, value)
        for requirement in self.match_expressions or ():
            requirement.check()


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if (slash and not is_subdomain(prefix)) or not _NAME.fullmatch(name):
        why = _LABEL_KEY_RULE if "/" in prefix else _qualified_name_rule(name)
        raise SelectorError(f'key: Invalid value: "{key}": {why}')


def _check_value(key: str, value: str) -> None:
    if value and not _NAME.fullmatch(value):
        why = "must be no more than 63 bytes" if len(value) > 63 else _LABEL_VALUE_RULE
        raise SelectorError(f'values[0][{key}]: Invalid value: "{value}": {why}')


def _qualified_name_rule(name: str) -> str:
    if not name:
        return f"name part must be non-empty; {_NAME_RULE}"
    return "name part must be no more than 63 bytes" if len(name) > 63 else _NAME_RULE


_NAME_RULE: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_KEY_RULE: Final = (
    f"{_NAME_RULE.replace('name part', 'a valid label key')} with an optional DNS subdomain prefix and '/' "
    "(e.g. 'example.com/MyName')"
)
_LABEL_VALUE_RULE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


# ------------------------------------------------------------------------------------------------ selector texts

TextOperator = Literal["=", "==", "!=", "in", "notin", "exists", "!", ">", "<"]


class TextRequirement(Struct, frozen=True, gc=False):
    """One part of a selector text."""

    key: str
    operator: TextOperator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` meet this requirement."""
        value = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case _:
                if value is None or not _INTEGER.fullmatch(value):
                    return False
                bound = int(next(iter(self.values)))
                return int(value) > bound if self.operator == ">" else int(value) < bound


class TextSelector(Struct, frozen=True, gc=False):
    """A parsed selector text; all requirements must hold, none means everything."""

    requirements: tuple[TextRequirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` are selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)


_SYMBOL: Final = re.compile(r"\s*(?:(==|!=|[=!<>(),])|([^\s=!<>(),]+))", re.ASCII)
_END: Final = ""


def parse_selector(text: str) -> TextSelector:
    """Return the selector that `text` (the ``labelSelector`` of a list request) means, or raise `SelectorError`."""
    return _TextParser(text).selector()


class _TextParser:
    """Recursive descent over symbols: each is a sign or a word; the end is ``""``."""

    def __init__(self, text: str) -> None:
        self._symbols: list[str] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            symbol = _SYMBOL.match(text, position)
            if symbol is None:  # can't happen: the two alternatives cover every character
                raise SelectorError(f"unable to parse requirement: {text!r}")
            self._symbols.append(symbol[1] or symbol[2])
            position = symbol.end()
        self._next = 0

    def _peek(self) -> str:
        return self._symbols[self._next] if self._next < len(self._symbols) else _END

    def _take(self) -> str:
        symbol = self._peek()
        self._next += 1
        return symbol

    def selector(self) -> TextSelector:
        requirements: list[TextRequirement] = []
        if self._peek() == _END:
            return TextSelector()
        while True:
            symbol = self._peek()
            if not (symbol == "!" or _is_word(symbol)):
                raise SelectorError(f"found '{symbol}', expected: !, identifier, or 'end of string'")
            requirements.append(self._requirement())
            symbol = self._take()
            if symbol == _END:
                return TextSelector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))
            if symbol != ",":
                raise SelectorError(f"found '{symbol}', expected: ',' or 'end of string'")
            if not (self._peek() == "!" or _is_word(self._peek())):
                raise SelectorError(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> TextRequirement:
        negated = self._peek() == "!"
        if negated:
            self._take()
        key = self._take()
        if not _is_word(key):
            raise SelectorError(f"unable to parse requirement: found '{key}', expected: identifier")
        try:
            _check_key(key)
        except SelectorError as error:  # the reference knows no path here
            why = error.message.removeprefix("key: ")
            raise SelectorError(f"unable to parse requirement: <nil>: {why}") from None
        if self._peek() in (_END, ","):
            return TextRequirement(key, "!" if negated else "exists")
        operator = self._take()
        if negated:
            raise SelectorError(f"unable to parse requirement: found '{operator}', expected: ',' or 'end of string'")
        match operator:
            case "in" | "notin":
                return self._checked(TextRequirement(key, operator, self._values()))
            case "=" | "==" | "!=" | ">" | "<":
                return self._checked(TextRequirement(key, operator, frozenset([self._exact_value()])))
            case _:
                raise SelectorError(
                    f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt"
                )

    def _exact_value(self) -> str:
        if self._peek() in (_END, ","):
            return ""
        value = self._take()
        if not _is_word(value):
            raise SelectorError(f"unable to parse requirement: found '{value}', expected: identifier")
        return value

    def _values(self) -> frozenset[str]:
        if (symbol := self._take()) != "(":
            raise SelectorError(f"unable to parse requirement: found '{symbol}' expected: '('")
        values: set[str] = set()
        while True:
            symbol = self._take()
            if _is_word(symbol):
                values.add(symbol)
                symbol = self._take()
            else:
                values.add("")
            if symbol == ")":
                return frozenset(values)
            if symbol != ",":
                raise SelectorError(f"unable to parse requirement: found '{symbol}', expected: ',' or ')'")

    @staticmethod
    def _checked(requirement: TextRequirement) -> TextRequirement:
        for value in sorted(requirement.values):
            if requirement.operator in (">", "<"):
                if not _INTEGER.fullmatch(value):
                    raise SelectorError(
                        f'unable to parse requirement: values[0]: Invalid value: "{value}": '
                        "for 'Gt', 'Lt' operators, the value must be an integer"
                    )
            else:
                try:
                    _check_value(requirement.key, value)
                except SelectorError as error:
                    raise SelectorError(f"unable to parse requirement: {error.message}") from None
        return requirement


def _is_word(symbol: str) -> bool:
    return symbol not in ("", "==", "!=", "=", "!", "<", ">", "(", ")", ",")


# ------------------------------------------------------------------------------------------------ node selectors


class NodeRequirement(Struct, frozen=True, gc=False, rename="camel"):
    """One line of a node selector term; malformed ones match nothing."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] | None = None

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` meet this requirement."""
        value = labels.get(self.key)
        values = self.values or ()
        match self.operator:
            case "In":
                return value is not None and value in values
            case "NotIn":
                return bool(values) and value not in values
            case "Exists":
                return value is not None and not values
            case "DoesNotExist":
                return value is None and not values
            case "Gt" | "Lt":
                if value is None or len(values) != 1:
                    return False
                if not (_INTEGER.fullmatch(value) and _INTEGER.fullmatch(values[0])):
                    return False
                return int(value) > int(values[0]) if self.operator == "Gt" else int(value) < int(values[0])
            case _:
                return False


class NodeSelectorTerm(Struct, frozen=True, gc=False, rename="camel"):
    """Requirements that must hold together; a term without any matches nothing."""

    match_expressions: tuple[NodeRequirement, ...] | None = None
    match_fields: tuple[NodeRequirement, ...] | None = None

    def matches(self, labels: Labels, node_name: str) -> bool:
        """Tell whether a node with these labels and this name is meant."""
        if not self.match_expressions and not self.match_fields:
            return False
        if not all(requirement.matches(labels) for requirement in self.match_expressions or ()):
            return False
        fields = {"metadata.name": node_name}
        return all(
            requirement.operator in ("In", "NotIn")
            and len(requirement.values or ()) == 1
            and requirement.key in fields
            and requirement.matches(fields)
            for requirement in self.match_fields or ()
        )


class NodeSelector(Struct, frozen=True, gc=False, rename="camel"):
    """Where something can be: one of the terms must match; no term means nowhere."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] | None = None

    def matches(self, labels: Labels, node_name: str = "") -> bool:
        """Tell whether a node with these labels and this name is selected (FM-15, FM-16)."""
        return any(term.matches(labels, node_name) for term in self.node_selector_terms or ())
