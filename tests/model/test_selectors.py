"""Label selectors, selector texts and node selectors."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.model.json import Json, encode
from pvbinder.model.selectors import LabelSelector, NodeSelector, SelectorError, parse_selector

LABELS = {"app": "web", "tier": "front", "size": "3", "example.com/team": "a"}

SELECTED = {  # selector object: does it select LABELS
    "nothing asked": ({}, True),
    "label that is so": ({"matchLabels": {"app": "web"}}, True),
    "label that differs": ({"matchLabels": {"app": "db"}}, False),
    "label that is absent": ({"matchLabels": {"zone": "a"}}, False),
    "all must hold": ({"matchLabels": {"app": "web", "tier": "back"}}, False),
    "In": ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}, True),
    "In without the label": ({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}, False),
    "NotIn": ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
    "NotIn without the label": ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, True),
    "Exists": ({"matchExpressions": [{"key": "example.com/team", "operator": "Exists"}]}, True),
    "DoesNotExist": ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
}


def selector(document: Json) -> LabelSelector:
    return msgspec.json.decode(encode(document), type=LabelSelector)


@pytest.mark.parametrize(("document", "selects"), SELECTED.values(), ids=SELECTED.keys())
def test_a_label_selector(document: Json, selects: bool) -> None:
    assert selector(document).matches(LABELS) == selects


MALFORMED = {
    "unknown operator": ({"matchExpressions": [{"key": "a", "operator": "Near"}]}, '"Near" is not a valid label'),
    "In without values": ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "values set can't be empty"),
    "Exists with values": (
        {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]},
        "must be empty",
    ),
    "key that is none": ({"matchLabels": {"-a": "x"}}, "name part must consist of"),
    "key without a name": ({"matchLabels": {"example.com/": "x"}}, "name part must be non-empty"),
    "value that is none": ({"matchLabels": {"a": "x y"}}, "a valid label must be"),
    "value too long": ({"matchLabels": {"a": "x" * 64}}, "no more than 63 bytes"),
}


@pytest.mark.parametrize(("document", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_label_selector_is_known_when_it_is_checked(document: Json, message: str) -> None:  # FM-13
    with pytest.raises(SelectorError, match=message.split('"')[-1]):
        selector(document).check()


TEXTS = {
    "": True,
    " ": True,
    "app=web": True,
    "app==web": True,
    "app = web": True,
    "app!=web": False,
    "app!=db": True,
    "zone!=a": True,
    "app": True,
    "zone": False,
    "!zone": True,
    "! app": False,
    "app in (db, web)": True,
    "app in (db)": False,
    "app notin (db)": True,
    "zone notin (a)": True,
    "app in (web),tier=front": True,
    "app in (web),tier=back": False,
    "size>2": True,
    "size>3": False,
    "size<10": True,
    "app>1": False,
    "zone=": False,
    "app in ()": False,
    "example.com/team=a": True,
}


@pytest.mark.parametrize(("text", "selects"), TEXTS.items())
def test_a_selector_text(text: str, selects: bool) -> None:
    assert parse_selector(text).matches(LABELS) == selects


@pytest.mark.parametrize(
    "text",
    [
        "=",
        "a=b,",
        ",",
        "a in b",
        "a in (b",
        "a notin",
        "!a=b",
        "a=b c",
        "a=(b)",
        "-a=b",
        "a=-b",
        "size>x",
        "a b",
        "!",
        "a(b)",
    ],
)
def test_a_selector_text_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_selector(text)


KEYS = st.sampled_from(["app", "tier", "zone"])
VALUES = st.sampled_from(["a", "b", "c"])


@given(
    st.dictionaries(KEYS, VALUES),
    KEYS,
    st.sampled_from([("In", "in"), ("NotIn", "notin")]),
    st.sets(VALUES, min_size=1),
)
def test_a_text_selects_what_the_object_selects(
    labels: dict[str, str], key: str, operators: tuple[str, str], values: set[str]
) -> None:
    document = {"matchExpressions": [{"key": key, "operator": operators[0], "values": sorted(values)}]}
    text = f"{key} {operators[1]} ({','.join(sorted(values))})"
    assert parse_selector(text).matches(labels) == selector(document).matches(labels)


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(SelectorError):
        parse_selector(text).matches(LABELS)


ON_NODE = {  # terms: can it be used on a node called n1 with LABELS
    "no terms": ([], False),
    "empty term": ([{}], False),
    "In": ([{"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}], True),
    "any term will do": ([{}, {"matchExpressions": [{"key": "app", "operator": "Exists"}]}], True),
    "both of a term": (
        [
            {
                "matchExpressions": [
                    {"key": "app", "operator": "Exists"},
                    {"key": "zone", "operator": "Exists"},
                ]
            }
        ],
        False,
    ),
    "NotIn": ([{"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}], False),
    "DoesNotExist": ([{"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}], True),
    "Gt": ([{"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["2"]}]}], True),
    "Lt": ([{"matchExpressions": [{"key": "size", "operator": "Lt", "values": ["3"]}]}], False),
    "Gt of no number": ([{"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["2"]}]}], False),
    "Gt without bound": ([{"matchExpressions": [{"key": "size", "operator": "Gt"}]}], False),
    "unknown operator": ([{"matchExpressions": [{"key": "app", "operator": "Near"}]}], False),
    "by name": ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}], True),
    "by another name": ([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]}], False),
    "by another field": ([{"matchFields": [{"key": "spec.x", "operator": "In", "values": ["n1"]}]}], False),
}


@pytest.mark.parametrize(("terms", "matches"), ON_NODE.values(), ids=ON_NODE.keys())
def test_a_node_selector(terms: list[Json], matches: bool) -> None:  # FM-15, FM-16
    found = msgspec.json.decode(encode({"nodeSelectorTerms": terms}), type=NodeSelector)
    assert found.matches(LABELS, "n1") == matches
