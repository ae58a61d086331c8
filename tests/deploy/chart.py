"""The chart as Helm renders it, as far as its templates need: a few functions of Go's templates, `if` and `range`.

Whatever else a template would use is an error, so that this can't quietly differ. Compared with Helm's own engine when
the chart was written (docs/deploying.md); `test_helm_renders_the_same` does it again where there is a `helm`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent.parent / "deploy" / "chart" / "pvbinder"
ACTION = re.compile(r"\{\{(-?) *(.*?) *(-?)\}\}", re.DOTALL)
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\||[^\s|]+')
Json = dict[str, Any]


@dataclass
class _Node:
    """A piece of a template: text, an output (`words`), or a block with its body."""

    kind: str  # "text", "out", "if", "range"
    text: str
    body: list[_Node]


def render(values: Json | None = None, *, namespace: str = "kube-system") -> list[Json]:
    """Return the objects that the chart makes with `values` over its defaults, in the order of its files."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    merged = _over(yaml.safe_load((CHART / "values.yaml").read_text()), values or {})
    scope = {
        "Values": merged,
        "Release": {"Namespace": namespace},
        "Chart": {"AppVersion": chart["appVersion"]},
    }
    files = sorted((CHART / "templates").glob("*.yaml"))
    rendered = "\n---\n".join(_written(_parse(path.read_text()), scope) for path in files)
    return [document for document in yaml.safe_load_all(rendered) if document]


def _over(defaults: Any, given: Any) -> Any:
    if isinstance(defaults, dict) and isinstance(given, dict):
        merged = defaults | {key: _over(defaults.get(key), value) for key, value in given.items()}
        return {key: value for key, value in merged.items() if value is not None}
    return given


def _parse(template: str) -> list[_Node]:
    root = _Node("root", "", [])
    open_blocks, at, trims = [root], 0, False
    for found in ACTION.finditer(template):
        text = template[at : found.start()]
        text = text.lstrip() if trims else text
        open_blocks[-1].body.append(_Node("text", text.rstrip() if found[1] else text, []))
        at, trims = found.end(), bool(found[3])
        word, _, rest = found[2].partition(" ")
        if word in ("if", "range"):
            block = _Node(word, rest, [])
            open_blocks[-1].body.append(block)
            open_blocks.append(block)
        elif word == "end":
            open_blocks.pop()
        else:
            open_blocks[-1].body.append(_Node("out", found[2], []))
    assert open_blocks == [root], "each block ends"
    open_blocks[-1].body.append(_Node("text", template[at:].lstrip() if trims else template[at:], []))
    return root.body


def _written(nodes: Sequence[_Node], scope: Any) -> str:
    return "".join(_pieces(nodes, scope))


def _pieces(nodes: Sequence[_Node], scope: Any) -> Iterator[str]:
    for node in nodes:
        if node.kind == "text":
            yield node.text
        elif node.kind == "out":
            yield _shown(_value(node.text, scope))
        elif node.kind == "if":
            if _value(node.text, scope):
                yield _written(node.body, scope)
        else:
            for each in _value(node.text, scope):
                yield _written(node.body, each)


def _value(pipeline: str, scope: Any) -> Any:
    """Evaluate words between ``|``: the value on the left is the last argument on the right."""
    left: list[Any] = []
    commands: list[list[str]] = [[]]
    for word in WORD.findall(pipeline):
        if word == "|":
            commands.append([])
        else:
            commands[-1].append(word)
    for command in commands:
        left = [_call(command, left, scope)]
    return left[0]


def _call(words: list[str], left: list[Any], scope: Any) -> Any:
    if words[0] in FUNCTIONS:
        return FUNCTIONS[words[0]](*(_atom(word, scope) for word in words[1:]), *left)
    assert len(words) == 1, f"{words[0]} is no function that is known here"
    assert not left, f"nothing can be passed on to {words[0]}"
    return _atom(words[0], scope)


def _atom(word: str, scope: Any) -> Any:
    if word.startswith('"'):
        return json.loads(word)
    if word.isdigit():
        return int(word)
    assert word.startswith("."), f"{word} is no function that is known here"
    for part in filter(None, word.split(".")):
        scope = scope[part]  # Helm would print nothing; here a value that there isn't is a mistake
    return scope


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _to_yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=False)).rstrip("\n")


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "default": lambda other, value: value or other,
    "nindent": lambda width, text: "\n" + "\n".join(" " * width + line for line in text.split("\n")),
    "printf": lambda form, *values: form % values,
    "quote": lambda value: json.dumps(_shown(value)),
    "toYaml": _to_yaml,
}
