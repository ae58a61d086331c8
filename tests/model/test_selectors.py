"""Label selectors, selector texts and node selectors."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.model.json import Json, encode
from pvbinder.model.selectors import (
    LabelRequirement,
    LabelSelector,
    NodeRequirement,
    NodeSelector,
    NodeSelectorTerm,
    SelectorError,
    TextRequirement,
    TextSelector,
    parse_selector,
)

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


NAME_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
CHECKED = {  # a line of matchExpressions: what is said of it, None if nothing
    "an operator that is none": (("a", "Near"), '"Near" is not a valid label selector operator'),
    "In without values": (
        ("a", "In", ()),
        "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    ),
    "NotIn without values": (
        ("a", "NotIn"),
        "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    ),
    "Exists with values": (
        ("a", "Exists", ("x", "y")),
        "values: Invalid value: [x,y]: values set must be empty for exists and does not exist",
    ),
    "DoesNotExist with values": (
        ("a", "DoesNotExist", ("x",)),
        "values: Invalid value: [x]: values set must be empty for exists and does not exist",
    ),
    "a key that is none": (("-a", "Exists"), f'key: Invalid value: "-a": {NAME_RULE}'),
    "no key": (("", "Exists"), f'key: Invalid value: "": name part must be non-empty; {NAME_RULE}'),
    "a key without a name": (("b/", "Exists"), f'key: Invalid value: "b/": name part must be non-empty; {NAME_RULE}'),
    "a key without a prefix": (("/a", "Exists"), f'key: Invalid value: "/a": {NAME_RULE}'),
    "a prefix that is none": (("B/a", "Exists"), f'key: Invalid value: "B/a": {NAME_RULE}'),
    "a key too long": (
        ("a" * 64, "Exists"),
        f'key: Invalid value: "{"a" * 64}": name part must be no more than 63 bytes',
    ),
    "the longest key": (("a" * 63, "Exists"), None),
    "a key of 63 and a prefix": (("example.com/" + "a" * 63, "Exists"), None),
    "a key of one letter": (("Z", "Exists"), None),
    "a key of other letters": (("é", "Exists"), f'key: Invalid value: "é": {NAME_RULE}'),
    "a value that is none": (("a", "In", ("ok", "x y")), f'values[0][a]: Invalid value: "x y": {VALUE_RULE}'),
    "a value of 63 characters": (("a", "In", ("x" * 63,)), None),
    "a value too long": (
        ("a", "In", ("x" * 64,)),
        f'values[0][a]: Invalid value: "{"x" * 64}": must be no more than 63 bytes',
    ),
    "a bad value of 63 characters": (
        ("a", "In", ("-" * 63,)),
        f'values[0][a]: Invalid value: "{"-" * 63}": {VALUE_RULE}',
    ),
    "an empty value": (("a", "In", ("",)), None),
}


@pytest.mark.parametrize(("line", "message"), CHECKED.values(), ids=CHECKED.keys())
def test_what_is_said_of_a_line_of_a_selector(line: tuple[str, str, tuple[str, ...]], message: str | None) -> None:
    """The words are the reference's (FM-13), and matching says them, too."""
    for use in (LabelRequirement.check, lambda requirement: requirement.matches({})):
        said = None
        try:
            use(LabelRequirement(*line))
        except SelectorError as error:
            said = error.message
        assert said == message


def test_all_of_a_selector_is_checked() -> None:
    LabelSelector().check()
    LabelSelector({"a": "b"}, (LabelRequirement("a", "Exists"),)).check()
    for malformed in ({"matchLabels": {"a": "-"}}, {"matchExpressions": [{"key": "a", "operator": "Near"}]}):
        with pytest.raises(SelectorError):
            selector(malformed).check()


def test_what_a_selector_leaves_out_is_not_set() -> None:
    assert selector({"matchExpressions": [{}]}) == LabelSelector(None, (LabelRequirement("", "", None),))
    assert msgspec.json.decode(b'{"nodeSelectorTerms":[{},{"matchExpressions":[{}]}]}', type=NodeSelector) == (
        NodeSelector((NodeSelectorTerm(None, None), NodeSelectorTerm((NodeRequirement("", "", None),), None)))
    )


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
    "zone>1": False,
    "size>-4": True,
    "size<+4": True,
    "size<3": False,
    "app notin (web)": False,
    "app in (db,)": False,
    "app notin ()": True,
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


SAID = {  # a selector text: what is said of it
    "=": "found '=', expected: !, identifier, or 'end of string'",
    "a=b c": "found 'c', expected: ',' or 'end of string'",
    "a=b,": "found '', expected: identifier after ','",
    "a,=": "found '=', expected: identifier after ','",
    "!": "unable to parse requirement: found '', expected: identifier",
    "!!a": "unable to parse requirement: found '!', expected: identifier",
    "-a=b": f'unable to parse requirement: <nil>: Invalid value: "-a": {NAME_RULE}',
    "!a=b": "unable to parse requirement: found '=', expected: ',' or 'end of string'",
    "a b": "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    "a=(b)": "unable to parse requirement: found '(', expected: identifier",
    "a in b": "unable to parse requirement: found 'b' expected: '('",
    "a in (b": "unable to parse requirement: found '', expected: ',' or ')'",
    "a in (b c)": "unable to parse requirement: found 'c', expected: ',' or ')'",
    "a>x": (
        "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an "
        "integer"
    ),
    "a<": (
        "unable to parse requirement: values[0]: Invalid value: \"\": for 'Gt', 'Lt' operators, the value must be an "
        "integer"
    ),
    "a>\u0663": (
        'unable to parse requirement: values[0]: Invalid value: "\u0663": '
        "for 'Gt', 'Lt' operators, the value must be an integer"
    ),
    "a>12345678901234567890": (
        'unable to parse requirement: values[0]: Invalid value: "12345678901234567890": '
        "for 'Gt', 'Lt' operators, the value must be an integer"
    ),
    "a=-b": f'unable to parse requirement: values[0][a]: Invalid value: "-b": {VALUE_RULE}',
}


@pytest.mark.parametrize(("text", "message"), SAID.items())
def test_what_is_said_of_a_selector_text(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse_selector(text)

    assert refused.value.message == message


def test_a_selector_text_is_parsed_into_its_parts_by_key() -> None:
    assert parse_selector("b in (x, y),!c , a,d!=z,e>1") == TextSelector(
        (
            TextRequirement("a", "exists", frozenset()),
            TextRequirement("b", "in", frozenset({"x", "y"})),
            TextRequirement("c", "!", frozenset()),
            TextRequirement("d", "!=", frozenset({"z"})),
            TextRequirement("e", ">", frozenset({"1"})),
        )
    )
    assert parse_selector("") == TextSelector(())


def test_a_space_of_another_script_is_no_space() -> None:
    with pytest.raises(SelectorError):
        parse_selector("app =\u2003web")


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
    "Gt of the same": ([{"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["3"]}]}], False),
    "Lt of more": ([{"matchExpressions": [{"key": "size", "operator": "Lt", "values": ["4"]}]}], True),
    "Gt of no bound": ([{"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["few"]}]}], False),
    "Gt of two bounds": ([{"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["1", "2"]}]}], False),
    "Gt without the label": ([{"matchExpressions": [{"key": "zone", "operator": "Gt", "values": ["2"]}]}], False),
    "In without the label": ([{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}], False),
    "In of other values": ([{"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}], False),
    "NotIn without the label": ([{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}], True),
    "NotIn without values": ([{"matchExpressions": [{"key": "app", "operator": "NotIn"}]}], False),
    "Exists without the label": ([{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}], False),
    "Exists with values": ([{"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["a"]}]}], False),
    "DoesNotExist of a label": ([{"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}], False),
    "DoesNotExist with values": (
        [{"matchExpressions": [{"key": "zone", "operator": "DoesNotExist", "values": ["a"]}]}],
        False,
    ),
    "Gt without bound": ([{"matchExpressions": [{"key": "size", "operator": "Gt"}]}], False),
    "unknown operator": ([{"matchExpressions": [{"key": "app", "operator": "Near"}]}], False),
    "by name": ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}], True),
    "by another name": ([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]}], False),
    "not by another name": ([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n2"]}]}], True),
    "by two names": ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1", "n2"]}]}], False),
    "by any name": ([{"matchFields": [{"key": "metadata.name", "operator": "Exists"}]}], False),
    "by more than a name": ([{"matchFields": [{"key": "metadata.name", "operator": "Gt", "values": ["n1"]}]}], False),
    "by name, but not by label": (
        [
            {
                "matchExpressions": [{"key": "zone", "operator": "Exists"}],
                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}],
            }
        ],
        False,
    ),
    "by another field": ([{"matchFields": [{"key": "spec.x", "operator": "In", "values": ["n1"]}]}], False),
}


@pytest.mark.parametrize(("terms", "matches"), ON_NODE.values(), ids=ON_NODE.keys())
def test_a_node_selector(terms: list[Json], matches: bool) -> None:  # FM-15, FM-16
    found = msgspec.json.decode(encode({"nodeSelectorTerms": terms}), type=NodeSelector)
    assert found.matches(LABELS, "n1") == matches
