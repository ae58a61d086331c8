"""YAML as go-yaml reads it."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.objects.schema.yaml_text import (
    YamlLimits,
    YamlTextError,
    YamlTooLargeError,
    parse_yaml,
    parse_yaml_documents,
)

VALUES: dict[str, tuple[str, Any]] = {
    "words for true": ("[y, Yes, ON, true]", [True] * 4),
    "words for false": ("[n, No, off, False]", [False] * 4),
    "nothing": ("[~, null, ]", [None, None]),
    "quoted words": ("['y', \"no\"]", ["y", "no"]),
    "integers": ("[1, -2, 0x1F, 0b101, 010, 1_000]", [1, -2, 31, 5, 8, 1000]),
    "no octal": ("[08]", [8]),
    "floats": ("[1.5, 1e+3, .5]", [1.5, 1000, 0.5]),
    "no number": ("[1.2.3, 1e3x, '1', +]", ["1.2.3", "1e3x", "1", "+"]),
    "a date is text": ("2024-01-01", "2024-01-01"),
    "a time is text": ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    "a tag": ("!!str 5", "5"),
    "keys become text": ("{1: a, true: b, 1.5: c}", {"1": "a", "true": "b", "1.5": "c"}),
    "an alias": ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
    "a merge": ("{a: &x {k: 1, l: 2}, b: {<<: *x, k: 3}}", {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}}),
    "a block": ("|\n  a\n  b\n", "a\nb\n"),
    "only the first document": ("a: 1\n---\nb: 2\n", {"a": 1}),
    "nothing at all": ("", None),
}


@pytest.mark.parametrize(("text", "value"), VALUES.values(), ids=VALUES.keys())
def test_a_text_means(text: str, value: Any) -> None:
    assert parse_yaml(text.encode()).value == value


REFUSED = {
    "not closed": ("a: [b", "yaml: line 1: did not find expected ',' or ']'"),
    "a tab": ("a:\n\tb: c", "yaml: line 2: found character that cannot start any token"),
    "no anchor": ("*x", "yaml: unknown anchor 'x' referenced"),
    "in itself": ("&x [*x]", "yaml: anchor 'x' value contains itself"),
    "a map as a key": ("{{a: b}: c}", "yaml: invalid map key: map"),
    "no number": (".nan", "json: unsupported value: NaN"),
    "a merge of a text": ("{<<: a}", "yaml: map merge requires map or sequence of maps as the value"),
    "too deep": ("[" * 300 + "]" * 300, "yaml: exceeded max depth"),
    "a wrong tag": ("!!int x", "yaml: cannot decode !!str `x` as a !!int"),
    "control characters": ("a: \x01", "yaml: control characters are not allowed"),
    "a NUL": ("a: \0", "yaml: control characters are not allowed"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(YamlTextError) as caught:
        parse_yaml(text.encode())
    assert caught.value.message == message


def test_a_billion_laughs_are_not_heard_out() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(YamlTextError, match="excessive aliasing"):
        parse_yaml("\n".join(lines).encode())


def test_keys_twice_are_named_with_their_line() -> None:
    document = parse_yaml(b"a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert document.value == {"a": 3, "b": {"c": 2}}
    assert document.strict_error == (
        'yaml: unmarshal errors:\n  line 2: key "c" already set in map\n  line 3: key "a" already set in map'
    )


# Limits


def nested(levels: int, each: int) -> bytes:
    """Lists of aliases of lists of aliases: `each` to the power of `levels` values."""
    lines = ["a0: &a0 x"]
    lines += [f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * each)}]" for level in range(1, levels)]
    return "\n".join(lines).encode()


BEYOND = {
    "values": (b"[1, 2, 3, 4]", YamlLimits(nodes_max=4)),
    "values by aliases": (nested(5, 9), YamlLimits(nodes_max=1000)),
    "bytes by aliases": (b"a: &a xxxxxxxxxx\nb: [*a, *a]", YamlLimits(bytes_by_alias_max=25)),
    "bytes that aren't characters": ("a: &a öööööö\nb: *a".encode(), YamlLimits(bytes_by_alias_max=12)),
    "bytes by merge keys": (b"a: &a {k: xxxxxxxxxx}\nb: {<<: *a}\nc: {<<: *a}", YamlLimits(bytes_by_alias_max=40)),
    "a bomb of 421 bytes": (nested(9, 9)[:421].rpartition(b"\n")[0], YamlLimits()),
    "depth": (b"[" * 201 + b"]" * 201, YamlLimits()),
    "depth by aliases": (
        b"a: &a " + b"[" * 120 + b"]" * 120 + b"\nb: " + b"[" * 120 + b"*a" + b"]" * 120, YamlLimits(),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "limits"), BEYOND.values(), ids=BEYOND.keys())
def test_yaml_1_what_is_beyond_a_limit_is_refused(text: bytes, limits: YamlLimits) -> None:
    with pytest.raises(YamlTooLargeError):
        parse_yaml(text, limits)


def test_anchors_hold_within_their_document() -> None:
    with pytest.raises(YamlTextError, match="unknown anchor 'a' referenced"):
        list(parse_yaml_documents("&a x\n---\n*a\n", YamlLimits()))
