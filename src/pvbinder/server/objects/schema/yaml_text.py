"""YAML bodies, read as the reference reads them: YAML 1.1 as go-yaml resolves it, then as if it were JSON.

So ``y``, ``no`` and ``on`` are booleans, ``010`` is eight, and timestamps stay text. Keys become strings; of two equal
keys the last counts, and `YamlDocument.duplicates` says so.

YAML-1  Bounded by `YamlLimits`: values, bytes by aliases, and nesting, all counted as aliases and merge keys expand
        them, and before they do. Whatever the text, it takes no more time and memory than these explain.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from pvbinder.model.errors import PvbinderError
from pvbinder.server.objects.go_text import Base64Error, decode_base64
from pvbinder.server.objects.schema.json_text import LEVELS_MAX, VALUES_MAX, WrittenFloat

NODES_BY_ALIAS_MAX: Final = 100_000
BYTES_BY_ALIAS_MAX: Final = 3 << 20  # as much as a whole body
DUPLICATES_MAX: Final = 100  # that are told
_NODE_BYTES: Final = 4  # what a value takes at least besides its text: quotes, a comma, a colon

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_INFINITE: Final = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"}
_NOT_A_NUMBER: Final = {".nan", ".NaN", ".NAN"}
_INTEGER: Final = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]*\.?[0-9]+|[0-9]+\.)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_PREFIX: Final = "tag:yaml.org,2002:"
_KNOWN_TAGS: Final = {"!", "map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge"}


class YamlTextError(PvbinderError):
    """A text that is no YAML, or means something that JSON can't say; the message is go-yaml's.

    `line` is where, counted from 1, if that is known; go-yaml counts otherwise.
    """

    line: int | None = None


class YamlTooLargeError(YamlTextError):
    """A text that means more than its limits allow; its message has nothing of the text."""


class YamlTooManyError(YamlTooLargeError):
    """A text of too many values."""


class YamlDepthError(YamlTooLargeError):
    """A text that is nested too deeply."""


class _Loader(yaml.CSafeLoader):
    """The C parser; only its events are used."""


@dataclass
class YamlDocument:
    """The first document of a text, as JSON would hold it."""

    value: Any = None
    duplicates: list[str] = field(default_factory=list)

    @property
    def strict_error(self) -> str:
        """Return the error of a strict reader about `duplicates`; "" when there are none."""
        return "yaml: unmarshal errors:\n  " + "\n  ".join(self.duplicates) if self.duplicates else ""


@dataclass(frozen=True)
class YamlLimits:
    """The bounds of a document."""

    depth_max: int = LEVELS_MAX
    nodes_max: int = sys.maxsize  # a file of ours is as long as it is
    nodes_by_alias_max: int = NODES_BY_ALIAS_MAX
    bytes_by_alias_max: int = BYTES_BY_ALIAS_MAX
    known_tags_only: bool = False  # the reference passes over tags that it doesn't know


REQUEST_LIMITS: Final = YamlLimits(nodes_max=VALUES_MAX)
OPTIONS_LIMITS: Final = YamlLimits(nodes_max=10_000)


def parse_yaml(body: bytes, limits: YamlLimits = REQUEST_LIMITS) -> YamlDocument:
    """Read the first document of `body`; YamlTextError when it can't be read."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise YamlTextError("yaml: invalid UTF-8") from error
    return next(parse_yaml_documents(text, limits), None) or YamlDocument()


def parse_yaml_documents(text: str, limits: YamlLimits) -> Iterator[YamlDocument]:
    """Yield the documents of `text` one by one; YamlTextError when one can't be read."""
    if "\0" in text:
        raise YamlTextError("yaml: control characters are not allowed")
    events = yaml.parse(text, Loader=_Loader)
    try:
        while (document := _Composer(limits).compose(events)) is not None:
            yield document
    except yaml.MarkedYAMLError as error:
        refused = YamlTextError(_go_message(error))
        mark = error.problem_mark or error.context_mark
        refused.line = mark.line + 1 if mark is not None else None
        raise refused from error
    except yaml.YAMLError as error:
        raise YamlTextError("yaml: control characters are not allowed") from error


def _go_message(error: yaml.MarkedYAMLError) -> str:
    """The parser's message with the line that go-yaml gives."""
    line = 0
    if error.problem_mark is not None and error.problem_mark.line:
        line = error.problem_mark.line + (1 if isinstance(error, yaml.scanner.ScannerError) else 0)
    elif error.context_mark is not None and error.context_mark.line:
        line = error.context_mark.line
    return f"yaml: {f'line {line}: ' if line else ''}{error.problem or 'unknown problem parsing YAML content'}"


@dataclass
class _Open:
    """A collection that isn't closed yet."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    nodes_before: int
    bytes_before: int
    depth: int = 1  # how deep it is nested itself, so far
    key: str | None = None
    is_merge: bool = False
    keys_seen: set[str] = field(default_factory=set)
    merged: list[Any] = field(default_factory=list)


class _Composer:
    """Builds the value from the parser's events, without recursion."""

    def __init__(self, limits: YamlLimits) -> None:
        self._limits = limits
        self._document = YamlDocument()
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int, int, int]] = {}  # value, nodes, bytes, depth
        self._nodes = 0
        self._bytes = 0
        self._nodes_by_alias = 0
        self._bytes_by_alias = 0

    def compose(self, events: Iterator[yaml.Event]) -> YamlDocument | None:
        """Read up to the end of the next document; None if there is none."""
        event = None
        try:
            for event in events:
                if self._take(event):
                    return self._document
        except YamlTextError as refused:
            if event is not None and event.start_mark is not None:
                refused.line = event.start_mark.line + 1
            raise
        return None

    def _take(self, event: yaml.Event) -> bool:
        """Take in one event; True at the end of a document."""
        match event:
            case yaml.ScalarEvent():
                self._add(1)
                size = _NODE_BYTES + (len(event.value) if event.value.isascii() else len(event.value.encode()))
                self._bytes += size
                self._check_tag(event.tag)
                value = _scalar(event)
                if event.anchor:
                    self._anchors[event.anchor] = (value, 1, size, 0)
                self._put(value, event, is_merge=event.value == "<<" and event.implicit[0])
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check_tag(event.tag)
                self._start({} if isinstance(event, yaml.MappingStartEvent) else [], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentEndEvent():
                return True
        return False

    def _add(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > self._limits.nodes_max:
            raise YamlTooManyError("yaml: document has too many values")

    def _check_depth(self, depth: int) -> None:
        if depth > self._limits.depth_max:
            raise YamlDepthError("yaml: exceeded max depth")

    def _check_tag(self, tag: str | None) -> None:
        if tag is not None and self._limits.known_tags_only and tag.removeprefix(_PREFIX) not in _KNOWN_TAGS:
            raise YamlTextError(f"yaml: could not determine a constructor for the tag {tag!r}")

    def _start(self, value: dict[str, Any] | list[Any], event: yaml.CollectionStartEvent) -> None:
        self._add(1)
        self._check_depth(len(self._open) + 1)
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            raise YamlTextError(f"yaml: invalid map key: {'map' if isinstance(value, dict) else 'slice'}")
        self._bytes += _NODE_BYTES
        self._open.append(_Open(value, event.anchor, self._nodes, self._bytes))

    def _end(self, event: yaml.Event) -> None:
        closed = self._open.pop()
        if isinstance(closed.value, dict):
            for source in closed.merged:
                for key, value in source.items():
                    closed.value.setdefault(key, value)
        if closed.anchor:
            nodes, size = self._nodes - closed.nodes_before + 1, self._bytes - closed.bytes_before + _NODE_BYTES
            self._anchors[closed.anchor] = (closed.value, nodes, size, closed.depth)
        self._put(closed.value, event, depth=closed.depth)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            if any(collection.anchor == event.anchor for collection in self._open):
                raise YamlTextError(f"yaml: anchor '{event.anchor}' value contains itself")
            raise YamlTextError(f"yaml: unknown anchor '{event.anchor}' referenced")
        value, nodes, size, depth = self._anchors[event.anchor]
        self._bytes += size
        self._nodes_by_alias += nodes
        self._bytes_by_alias += size
        limits = self._limits
        if self._nodes_by_alias > limits.nodes_by_alias_max or self._bytes_by_alias > limits.bytes_by_alias_max:
            raise YamlTooLargeError("yaml: document contains excessive aliasing")
        self._add(nodes)
        self._check_depth(len(self._open) + depth)
        self._put(value, event, depth=depth)

    def _put(self, value: Any, event: yaml.Event, *, is_merge: bool = False, depth: int = 0) -> None:
        """Hand a finished value to the collection around it."""
        if not self._open:
            self._document.value = value
            return
        around = self._open[-1]
        around.depth = max(around.depth, depth + 1)
        if isinstance(around.value, list):
            around.value.append(value)
        elif around.key is None:
            around.key = _key(value)
            around.is_merge = is_merge
            if not is_merge and around.key in around.keys_seen and len(self._document.duplicates) < DUPLICATES_MAX:
                line = event.start_mark.line + 1 if event.start_mark else 0
                shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _key(value)
                self._document.duplicates.append(f"line {line}: key {shown} already set in map")
            around.keys_seen.add(around.key)
        elif around.is_merge:
            sources = value if isinstance(value, list) else [value]
            if not all(isinstance(source, dict) for source in sources):
                raise YamlTextError("yaml: map merge requires map or sequence of maps as the value")
            around.merged += sources
            around.key = None
        else:
            around.value[around.key] = value
            around.key = None


def _key(value: Any) -> str:
    """A key as JSON must have it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if value is None:
        raise YamlTextError("unsupported map key of type: %!s(<nil>), key: <nil>, value: interface {}")
    raise YamlTextError(f"yaml: invalid map key: {value!r}")


def _scalar(event: yaml.ScalarEvent) -> Any:
    """Return the value of a scalar."""
    text: str = event.value
    if event.tag not in (None, "!"):
        return _tagged(event.tag.removeprefix(_PREFIX), text)
    return _plain(text) if event.implicit[0] else text


def _tagged(tag: str, text: str) -> Any:
    if tag == "str":
        return text
    if tag == "binary":
        return _binary(text)
    value = _plain(text)
    wanted = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(tag)
    if wanted is None:
        return text
    if wanted is float and isinstance(value, int):
        return value
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise YamlTextError(f"yaml: cannot decode !!str `{text}` as a !!{tag}")
    return value


def _binary(text: str) -> str:
    try:
        return decode_base64(text).decode(errors="replace")
    except Base64Error as error:
        raise YamlTextError("yaml: !!binary value contains invalid base64 data") from error


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text in _INFINITE or text in _NOT_A_NUMBER:
        sign = "-" if text.startswith("-") else "+"
        raise YamlTextError(f"json: unsupported value: {'NaN' if text in _NOT_A_NUMBER else f'{sign}Inf'}")
    if not text or (text[0] not in "+-." and not text[0].isdigit()):
        return text
    digits = text.replace("_", "")
    if len(digits) <= 40 and _INTEGER.fullmatch(digits):
        return _integer(digits)
    if _FLOAT.fullmatch(digits):
        value = float(digits)
        return text if math.isinf(value) else _as_json(value)  # what is too large for a float is text to go-yaml
    return text


def _integer(digits: str) -> int | float:
    sign = -1 if digits.startswith("-") else 1
    number = digits.lstrip("+-")
    if re.fullmatch("0[0-7]+", number):
        value = int(number, 8)
    else:
        value = int(number, 0)
    value *= sign
    return value if -(2**63) <= value < 2**63 else _as_json(float(value))


def _as_json(value: float) -> int | float:
    """A float after go-yaml has written it as JSON: without a fraction it is a whole number (NUMBERS-1)."""
    if value.is_integer() and abs(value) < 1e21:
        whole = int(value)
        return whole if -(2**63) <= whole < 2**63 else WrittenFloat(str(whole))
    return value
