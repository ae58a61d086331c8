"""The JSON paths of printer columns and scales: fields, indexes, wildcards, one comparison in a filter.

``.spec.replicas``, ``.status.conditions[?(@.type=="Ready")].status``, ``.spec['a.b'][0].c``, ``.items[*].name``.

JSON_PATH-1  A search looks at no more than `steps_max` values: wildcards multiply, and each row searches anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pvbinder.model.errors import PvbinderError

_STEP: Final = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\]'"\s\\])+)
      | \[(?P<index>-?\d{1,9})\]
      | \[(?P<slice>-?\d{0,9}:-?\d{0,9}(?::-?\d{0,9})?)\]
      | \[(?P<all>\*)\]
      | \['(?P<quoted>[^']*)'\]
      | \[\?\(\s*@\s*(?P<left>[^=!<>\s]+(?:\s+[^=!<>\s]+)*)\s*(?P<operator>==|!=)
              \s*(?P<right>"[^"]*"|'[^']*'|-?\d{1,18}|true|false)\s*\)\]
    """,
    re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)")
STEPS_MAX: Final = 5_000
_STEPS_OF_A_FILTER: Final = 20  # for each value that it looks at
_REFUSED: Final = object()  # by a filter
_WORDS: Final = {"true": True, "false": False}


class JsonPathError(PvbinderError):
    """The text is no JSON path, or one of an unsupported kind."""


class TooManyStepsError(Exception):
    """The path leads to more values than may be looked at (JSON_PATH-1)."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path."""

    steps: tuple[re.Match[str], ...]

    def find(self, value: Any, steps_max: int = STEPS_MAX) -> list[Any]:
        """All values at the path; raises TooManyStepsError if they are more than `steps_max` (JSON_PATH-1)."""
        values, steps = [value], 0
        for step in self.steps:
            found = []
            for outer in values:
                steps += 1
                for inner in _follow(outer, step):
                    steps += 1
                    if steps > steps_max:
                        raise TooManyStepsError
                    if inner is not _REFUSED:
                        found.append(inner)
            values = found
        return values

    def field_names(self) -> list[str] | None:
        """The fields of a path that only names fields; None for any other."""
        names = [_name_of(step) for step in self.steps]
        named = [name for name in names if name is not None]
        return named if len(named) == len(names) else None


def read_json_path(text: str) -> JsonPath:
    """Parse a path; raises JsonPathError when it can't be parsed."""
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


def _name_of(step: re.Match[str]) -> str | None:
    """The name of a field, without the backslashes that keep its dots together."""
    name = step["name"]
    return step["quoted"] if name is None else _ESCAPED.sub(r"\1", name) if "\\" in name else name


def _follow(value: Any, step: re.Match[str]) -> Iterator[Any]:
    name = _name_of(step)
    if name is not None:
        if isinstance(value, dict) and name in value:
            yield value[name]
    elif step["all"]:
        if isinstance(value, dict | list):
            yield from value.values() if isinstance(value, dict) else value
    elif isinstance(value, list):
        if step["index"] is not None:
            index = int(step["index"])
            if -len(value) <= index < len(value):
                yield value[index]
            return
        if step["slice"]:
            bounds = [int(bound) if bound else None for bound in step["slice"].split(":")]
            if len(bounds) < 3 or bounds[2] != 0:
                yield from value[slice(*bounds)]
            return
        left = _left_of(step["left"])
        right = _literal(step["right"])
        wanted = step["operator"] == "=="
        for inner in value:
            yield inner if (right in left.find(inner, _STEPS_OF_A_FILTER)) == wanted else _REFUSED


@lru_cache(1024)
def _left_of(text: str) -> JsonPath:
    return read_json_path(text)


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    return _WORDS[text] if text in _WORDS else int(text)
