"""Patterns are Go's, are refused in Go's words, and take no longer than their texts are long."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.processor import at_most
from tests.server.serving import serving

from pvbinder.server.kinds.definitions.json_path import JsonPathError, read_json_path
from pvbinder.server.kinds.definitions.structural_rules import check_structural
from pvbinder.server.kinds.definitions.structure import read_structure
from pvbinder.server.kinds.definitions.validate import check_value
from pvbinder.server.kinds.validation.patterns import STEPS_MAX, TooLongToMatch, matches, why_no_pattern

PROCESSOR_SECONDS_MAX = 5.0  # what `re` needs for any of these is more than a lifetime

IN_GOS_WORDS = {
    "nothing to repeat": ("+", "missing argument to repetition operator: `+`"),
    "an open group": ("(a", "missing closing ): `(a`"),
    "an open class": ("[a", "missing closing ]: `[a`"),
    "a group that is closed twice": ("a)", "unexpected ): `a)`"),
    "too many": ("a{1001}", "invalid repeat count: `{1001}`"),
    "repeated repetition": ("a**", "invalid nested repetition operator: `**`"),
    "looking ahead": ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
    "a back reference": (r"(a)\1", r"invalid escape sequence: `\1`"),
    "a range backwards": ("[b-a]", "invalid character class range: `b-a`"),
    "a backslash at the end": ("a\\", "trailing backslash at end of expression: ``"),
    "a name that is none": ("(?P<1 >a)", "invalid named capture: `(?P<1 >`"),
    "too large": ("(a?){1000}" * 30, "expression too large: ``"),
}


@pytest.mark.parametrize(("pattern", "why"), IN_GOS_WORDS.values(), ids=IN_GOS_WORDS)
def test_patterns_1_what_go_refuses_is_refused_in_its_words(pattern: str, why: str) -> None:
    assert why_no_pattern(pattern) == f"error parsing regexp: {why}"


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("a$", "a\n", False),
        (r"\p{Lu}", "é", False),
        (r"\p{Lu}", "É", True),
        (r"^\d$", "٣", False),
        ("(?i)^ß$", "SS", False),
        ("^.$", "\U0001f600", True),
        ("a\\z", "ba", True),
        ("^[[:alpha:]]+$", "abc", True),
        ("\0", "a\0", True),
    ],
)
def test_a_match_is_what_it_is_in_go(pattern: str, text: str, wanted: bool) -> None:
    assert not why_no_pattern(pattern)
    assert matches(pattern, text) is wanted


HOSTILE = ["(a+)+$", "(a|aa)+$", "(a|a?)+!", "(.*a){12}[^?]$", "([a-z]+)*!", "^(([a-z])+.)+[A-Z]([a-z])+$"]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_patterns_2_no_pattern_takes_for_ever(pattern: str) -> None:
    with at_most(PROCESSOR_SECONDS_MAX):
        for length in (40, 30_000):
            assert not matches(pattern, "a" * length + "?")


def test_patterns_2_a_text_may_be_too_long_for_its_pattern() -> None:
    text = "".join(random.Random(1).choices("ab", k=STEPS_MAX // 500))
    with pytest.raises(TooLongToMatch):
        matches("[ab]*a[ab]{900}c", text)
    (error,) = check_value({"v": text}, read_structure({"properties": {"v": {"pattern": "[ab]*a[ab]{900}c"}}}), "")
    assert str(error).endswith("v in body is too long to be matched with '[ab]*a[ab]{900}c'")


def test_a_host_name_with_an_exclamation_mark_is_refused_at_once() -> None:
    structure = read_structure({"properties": {"v": {"type": "string", "format": "hostname"}}})
    with at_most(PROCESSOR_SECONDS_MAX):
        assert list(check_value({"v": "a" * 200 + "!"}, structure, ""))


@pytest.mark.parametrize("name", ["a", "A1", "é", "a-b", "a.bc", "a-b-c.de", "1.2.com"])
def test_host_names_are_host_names(name: str) -> None:
    structure = read_structure({"properties": {"v": {"type": "string", "format": "hostname"}}})
    assert not list(check_value({"v": name}, structure, ""))


@pytest.mark.parametrize(
    "name", ["", "a..bc", "-a", "a-.bc", "a.-bc", "a_b", "a.b", "a-b-c", "1.2.3.4", "a.bc.", "a\n"]
)
def test_what_is_no_host_name_is_refused(name: str) -> None:
    structure = read_structure({"properties": {"v": {"type": "string", "format": "hostname"}}})
    assert list(check_value({"v": name}, structure, ""))


@pytest.mark.parametrize(
    "text",
    [
        ".a[?(@" + " " * 100_000,
        ".a[?(@.b" + " b" * 100_000,
        f".a[{'9' * 5000}]",
        ".a[?(@.b[==1)]",
        ".a[?(@.b==9e)]",
    ],
    ids=["blanks", "words", "digits", "a path in a filter", "no number"],
)
def test_a_path_that_is_none_is_refused_at_once(text: str) -> None:
    with at_most(PROCESSOR_SECONDS_MAX), pytest.raises(JsonPathError):
        read_json_path(text)


def test_a_pattern_is_checked_wherever_it_stands() -> None:
    bad = {"type": "string", "pattern": "+"}
    schema = {
        "type": "object",
        "properties": {
            "a": bad,
            "b": {"type": "array", "items": bad},
            "c": {"type": "object", "additionalProperties": bad},
            "d": {"type": "string", "anyOf": [{"pattern": "+"}], "not": {"allOf": [{"pattern": "+"}]}},
            "e": {"type": "object", "oneOf": [{"properties": {"x": {"pattern": "+"}}}]},
        },
    }
    assert [error.field for error in check_structural(schema, "s")] == [
        "s.properties[a].pattern",
        "s.properties[b].items.pattern",
        "s.properties[c].additionalProperties.pattern",
        "s.properties[d].anyOf[0].pattern",
        "s.properties[d].not.allOf[0].pattern",
        "s.properties[e].oneOf[0].properties[x].pattern",
    ]


async def test_a_definition_with_a_pattern_that_go_refuses_is_refused(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "+"}}}
    names = {"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    async with serving(tmp_path) as server:
        reply = await server.send(
            "POST",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            {"metadata": {"name": "boxes.example.com"}, "spec": spec},
        )
    assert reply.status == 422
    assert (
        'spec.validation.openAPIV3Schema.properties[a].pattern: Invalid value: "+": must be a valid regular '
        "expression, but isn't: error parsing regexp: missing argument to repetition operator: `+`"
    ) in reply.message


@given(pattern=st.text(alphabet=r"ab()[]{}|*+?.^$\1,-:PpdDwz<>=!", max_size=20), text=st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_a_pattern_matches_or_says_why_it_is_none(pattern: str, text: str) -> None:
    why = why_no_pattern(pattern)
    assert not why or why.startswith("error parsing regexp: ")
    assert isinstance(matches(pattern, text), bool)


def test_who_has_no_patterns_doesnt_load_the_engine() -> None:
    program = "import sys, pvbinder.server.embedded, pvbinder.cli.main; sys.exit('re2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
