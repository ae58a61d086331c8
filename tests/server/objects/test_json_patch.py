"""JSON patches as Kubernetes takes them: where it follows RFC 6902 to the letter, and where it doesn't."""

from __future__ import annotations

import json
from typing import Any

import jsonpatch
import jsonpointer
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.server.objects.json_patch import JsonPatchError, apply_operations

DOC: dict[str, Any] = {"a": {"k": "v", "n": 1, "x": None, "~": 1, "/": 2}, "l": [10, 20, 30], "f": 1.5, "s": "<é>"}


def patched(text: str, doc: Any = DOC, copied_bytes_max: int = 1000) -> Any:
    """Apply a patch, given as it is written."""
    document = json.loads(json.dumps(doc))
    operations = msgspec.json.decode(text)
    texts = msgspec.json.decode(text, type=list[msgspec.Raw])
    apply_operations(document, operations, texts, copied_bytes_max=copied_bytes_max)
    return document


TAKEN = {  # patches that Kubernetes takes beyond the RFC: a patch, a pointer, the value there afterwards
    "replace of a missing key": ('[{"op":"replace","path":"/a/new","value":1}]', "/a/new", 1),
    "copy of a missing key": ('[{"op":"copy","from":"/a/none","path":"/a/new"}]', "/a/new", None),
    "test of a missing key for null": ('[{"op":"test","path":"/a/none","value":null}]', "/a/k", "v"),
    "test of null without a value": ('[{"op":"test","path":"/a/x"}]', "/a/x", None),
    "add without a value": ('[{"op":"add","path":"/a/k"}]', "/a/k", None),
    "add behind the last": ('[{"op":"add","path":"/l/-1","value":5}]', "/l", [10, 20, 30, 5]),
    "add before the last": ('[{"op":"add","path":"/l/-2","value":5}]', "/l", [10, 20, 5, 30]),
    "remove the last": ('[{"op":"remove","path":"/l/-1"}]', "/l", [10, 20]),
    "replace the first from behind": ('[{"op":"replace","path":"/l/-3","value":5}]', "/l", [5, 20, 30]),
    "an index with a zero before it": ('[{"op":"replace","path":"/l/01","value":5}]', "/l", [10, 5, 30]),
    "an index with a sign": ('[{"op":"replace","path":"/l/+1","value":5}]', "/l", [10, 5, 30]),
    "a path without its slash": ('[{"op":"add","path":"a/k2","value":5}]', "/k2", 5),
    "a tilde that stands for nothing": ('[{"op":"add","path":"/a/x~y","value":5}]', "/a/x~0y", 5),
    "escapes": ('[{"op":"replace","path":"/a/~0","value":5},{"op":"replace","path":"/a/~1","value":6}]', "/a/~0", 5),
    "an escaped escape": ('[{"op":"add","path":"/a/~01","value":5}]', "/a/~01", 5),
    "numbers as they are written": ('[{"op":"test","path":"/a/n","value":1}]', "/a/n", 1),
    "white space and the order of keys": ('[{"op":"test","path":"/l","value":[ 10,20 , 30 ]}]', "/f", 1.5),
    "a text however it is escaped": ('[{"op":"test","path":"/s","value":"\\u003cé>"}]', "/f", 1.5),
}


@pytest.mark.parametrize(("text", "pointer", "value"), TAKEN.values(), ids=TAKEN.keys())
def test_what_is_taken(text: str, pointer: str, value: Any) -> None:
    assert jsonpointer.resolve_pointer(patched(text), pointer) == value


REFUSED = {
    "remove of a missing key": '[{"op":"remove","path":"/a/none"}]',
    "move of a missing key": '[{"op":"move","from":"/a/none","path":"/b"}]',
    "move into itself": '[{"op":"move","from":"/a","path":"/a/k"}]',
    "replace of a missing element": '[{"op":"replace","path":"/l/3","value":1}]',
    "copy of a missing element": '[{"op":"copy","from":"/l/3","path":"/b"}]',
    "too far behind": '[{"op":"add","path":"/l/5","value":1}]',
    "too far from the end": '[{"op":"add","path":"/l/-5","value":1}]',
    "remove behind the last": '[{"op":"remove","path":"/l/-"}]',
    "an index that is none": '[{"op":"add","path":"/l/x","value":1}]',
    "an index too long to count": '[{"op":"add","path":"/l/99999999999999999999999","value":1}]',
    "through a text": '[{"op":"add","path":"/a/k/x","value":1}]',
    "through null": '[{"op":"add","path":"/a/x/y","value":1}]',
    "through nothing": '[{"op":"add","path":"/none/y","value":1}]',
    "the whole document": '[{"op":"replace","path":"","value":{}}]',
    "no path": '[{"op":"add","value":1}]',
    "no operation": '[{"path":"/a","value":1}]',
    "an unknown operation": '[{"op":"ADD","path":"/a","value":1}]',
    "null for an operation": "[null]",
    "a test of another value": '[{"op":"test","path":"/a/k","value":"w"}]',
    "a test of a missing key": '[{"op":"test","path":"/a/none","value":1}]',
    "a test of a number written otherwise": '[{"op":"test","path":"/a/n","value":1.0}]',
    "a test of true for 1": '[{"op":"test","path":"/a/n","value":true}]',
    "a test of a text for a number": '[{"op":"test","path":"/a/n","value":"1"}]',
    "a test of a part": '[{"op":"test","path":"/l","value":[10,20]}]',
    "a test of an object for a list": '[{"op":"test","path":"/l","value":{}}]',
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(text: str) -> None:
    with pytest.raises(JsonPatchError):
        patched(text)


def test_json_patch_2_copies_are_bounded_together() -> None:
    copy = '{"op":"copy","from":"/l","path":"/m"}'
    assert patched(f"[{copy},{copy}]", copied_bytes_max=20)["m"] == [10, 20, 30]
    with pytest.raises(JsonPatchError):
        patched(f"[{copy},{copy}]", copied_bytes_max=19)


def test_json_patch_1_it_is_changed_in_place_and_a_copy_is_its_own() -> None:
    result = patched('[{"op":"copy","from":"/l","path":"/m"},{"op":"add","path":"/m/-","value":1}]')
    assert (result["l"], result["m"]) == ([10, 20, 30], [10, 20, 30, 1])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab~/", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.dictionaries(st.sampled_from("abc"), VALUES))
def test_what_the_rfc_makes_of_one_document_another_is_made_here_too(before: Any, after: Any) -> None:
    """A second way to know: patches made by a library that follows the RFC."""
    assert patched(jsonpatch.make_patch(before, after).to_string(), before, 10_000) == after
