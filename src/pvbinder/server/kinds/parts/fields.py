"""Field selectors: which fields of a kind can be selected by, and what is said about the others.

Rules: docs/rules/apiserver.md#7-field-selectors
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pvbinder.server.errors import ApiError, bad_request
from pvbinder.server.kinds.validation.names import check_path_segment
from pvbinder.server.objects.kind import METADATA_FIELDS, FieldReader, Json, ServedKind

_TERM = re.compile(r"((?:[^\\,]|\\.)*)(?:,|$)", re.DOTALL)
_OPERATORS = ("!=", "==", "=")


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """The terms of a field selector; an object matches if all of them hold."""

    terms: tuple[tuple[FieldReader, str, bool], ...]  # how to read the field, the value, whether it must be equal
    name: str | None = None  # what metadata.name must be, so that a list or watch can look up that one object

    def matches(self, obj: Json) -> bool:
        """Say whether `obj`, in the form in which it is stored, is selected."""
        return all((read(obj) == value) is equal for read, value, equal in self.terms)


def parse_field_selector(kind: ServedKind, text: str) -> FieldSelector:
    """Parse the ``fieldSelector`` of a request for objects of `kind`.

    Raises ApiError 400 in the reference's words if it can't be understood or names a field that can't be selected by.
    """
    terms = []
    name = None
    for term in _split(text):
        label, operator, value = _parse_term(text, term)
        reader = kind.selectable_fields.get(label)
        if reader is None:
            raise _unknown_field(kind, label)
        if label == "metadata.name" and operator != "!=":
            name = value
        terms.append((reader, value, operator != "!="))
    return FieldSelector(tuple(terms), name)


def selected_name(text: str) -> str:
    """Return the one name that objects selected by the ``fieldSelector`` `text` have; "" where several may match.

    Whoever may see that object may make the request, so the text is read just as the list reads it.
    """
    try:
        terms = [_parse_term(text, term) for term in _split(text)]
    except ApiError:
        return ""
    name = next((value for label, operator, value in terms if label == "metadata.name" and operator != "!="), "")
    return "" if check_path_segment(name) else name


def _split(text: str) -> list[str]:
    """Split at the commas that aren't escaped; empty terms don't count."""
    terms, start = [], 0
    while start < len(text):
        found = _TERM.match(text, start)
        if found is None or found.end() == start:  # a lone backslash at the end
            terms.append(text[start:])
            break
        terms.append(found.group(1))
        start = found.end()
    return [term for term in terms if term]


def _parse_term(text: str, term: str) -> tuple[str, str, str]:
    for position in range(len(term)):
        for operator in _OPERATORS:
            if term.startswith(operator, position):
                return term[:position], operator, _unescape(text, term[position + len(operator) :])
    raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")


def _unescape(text: str, value: str) -> str:
    if not re.search(r"[\\,=]", value):
        return value
    found = re.fullmatch(r"(?:[^\\,=]|\\[\\,=])*", value)
    if found is None:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{value}'")
    return re.sub(r"\\(.)", r"\1", value)


def _unknown_field(kind: ServedKind, label: str) -> ApiError:
    if kind.selectable_fields is METADATA_FIELDS:
        return bad_request(f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    return bad_request(kind.not_selectable.format(label=label))
