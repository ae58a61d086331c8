"""The JSON paths of printer columns and scales: fields, indexes, wildcards, one comparison in a filter.

``.spec.replicas``, ``.status.conditions[?(@.type=="Ready")].status``, ``.spec['a.b'][0].c``, ``.items[*].name``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pvbinder.model.errors import PvbinderError

_STEP: Final = re.compile(
    r"""\.(?P<name>[^.\[\]'"\s]+)
      | \[(?P<index>-?\d{1,9})\]
      | \[(?P<all>\*)\]
      | \['(?P<quoted>[^']*)'\]
      | \[\?\(\s*@\s*(?P<left>[^=!<>\s]+(?:\s+[^=!<>\s]+)*)\s*(?P<operator>==|!=)
              \s*(?P<right>"[^"]*"|'[^']*'|-?\d{1,18}|true|false)\s*\)\]
    """,
    re.VERBOSE,
)
_WORDS: Final = {"true": True, "false": False}


class JsonPathError(PvbinderError):
    """A text that is no JSON path, or one of a kind that isn't understood."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path that was read."""

    steps: tuple[re.Match[str], ...]

    def find(self, value: Any) -> list[Any]:
        """All values at the path."""
        values = [value]
        for step in self.steps:
            values = [inner for outer in values for inner in _follow(outer, step)]
        return values

    def field_names(self) -> list[str] | None:
        """The fields of a path that only names fields; None for any other."""
        names = [step["name"] or step["quoted"] for step in self.steps]
        return None if any(name is None for name in names) else names


def read_json_path(text: str) -> JsonPath:
    """Read a path; JsonPathError when it can't be."""
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = text.removeprefix("$")
    if text and text[0] not in ".[":
        text = f".{text}"
    steps = []
    at = 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise JsonPathError(f"can't read the JSON path {text!r} at {text[at:]!r}")
        if step["left"]:
            read_json_path(step["left"])
        steps.append(step)
        at = step.end()
    return JsonPath(tuple(steps))


def _follow(value: Any, step: re.Match[str]) -> Iterable[Any]:
    name = step["name"] or step["quoted"]
    if name is not None:
        return [value[name]] if isinstance(value, dict) and name in value else []
    if step["all"]:
        return value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    if not isinstance(value, list):
        return []
    if step["index"] is not None:
        index = int(step["index"])
        return [value[index]] if -len(value) <= index < len(value) else []
    left = read_json_path(step["left"])
    right = _literal(step["right"])
    wanted = step["operator"] == "=="
    return [inner for inner in value if (right in left.find(inner)) == wanted]


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    return _WORDS[text] if text in _WORDS else int(text)
