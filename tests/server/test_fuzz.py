"""Whatever comes in, an object or an `ApiError` comes out; and two ways to the same thing agree.

A long run: ``FUZZ_EXAMPLES=5000 pytest tests/server/test_fuzz.py``.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jsonpatch
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.objects.schema.kinds import CLAIM, CONFIG_MAP, POD, SECRET, VOLUME
from tests.server.strategies import disturbed, json_values, objects_of, texts

from pvbinder.server.errors import ApiError
from pvbinder.server.objects.apply import apply
from pvbinder.server.objects.field_sets import difference, intersection, is_valid, of_paths, paths, union
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.managed_fields import record_update
from pvbinder.server.objects.patches import PatchType, apply_patch, json_patch, merge_patch, strategic_patch
from pvbinder.server.objects.schema import check_object, decode_body
from pvbinder.server.objects.schema.convert import Conversion
from pvbinder.server.objects.schema.json_text import JsonTextError, parse, plain
from pvbinder.server.objects.schema.structs import build_kind_struct
from pvbinder.server.objects.typed import compare

T = TypeVar("T")


def outcome(call: Callable[[], T]) -> tuple[int, T | None]:
    """The code and the result of a call: 200, or the code of its refusal."""
    try:
        return 200, call()
    except ApiError as error:
        return error.code, None


KINDS = (CONFIG_MAP, SECRET, CLAIM, VOLUME, POD)
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
QUICK = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
NOW = "2024-01-01T00:00:00Z"
STRATEGIC_PATCH: PatchType = "application/strategic-merge-patch+json"
MERGE_PATCH: PatchType = "application/merge-patch+json"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
@given(data=st.data())
@QUICK
def test_the_fast_way_and_the_careful_way_agree(kind: ServedKind, data: st.DataObject) -> None:
    obj = data.draw(objects_of(kind.schema))
    body = json.dumps(obj).encode()
    shape = build_kind_struct(kind.schema)
    assert shape is not None
    conversion = Conversion()
    careful = conversion.object(parse(body), kind.schema)
    assert not conversion.strict_errors
    try:
        fast = shape.decode(body)
    except msgspec.ValidationError:
        fast = careful
    assert fast == careful
    assert list(fast) == list(careful), "the order of fields too"
    assert check_object(careful, kind, "Strict") == (careful, []), "what is written reads back as itself"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
@given(data=st.data(), validation=st.sampled_from(["Strict", "Warn", "Ignore"]))
@QUICK
def test_a_body_is_an_object_or_a_refusal(kind: ServedKind, data: st.DataObject, validation: Any) -> None:
    obj = data.draw(disturbed(objects_of(kind.schema)) | json_values)
    code, decoded = outcome(lambda: decode_body(json.dumps(obj).encode(), "application/json", kind, validation))
    if decoded is None:
        assert code == 400
    else:
        assert decode_body(msgspec.json.encode(decoded[0]), "application/json", kind, "Strict") == (decoded[0], [])


@given(body=st.binary(max_size=60), content_type=st.sampled_from(["json", "yaml", "vnd.kubernetes.protobuf"]))
@settings(QUICK, max_examples=5 * EXAMPLES)
def test_bytes_are_an_object_or_a_refusal(body: bytes, content_type: str) -> None:
    prefix = b"k8s\0" if "protobuf" in content_type else b""
    for raw in (body, prefix + body):
        assert outcome(partial(decode_body, raw, f"application/{content_type}", CONFIG_MAP, "Warn"))[0] in (200, 400)


@given(text=st.text(alphabet='{}[]":,\\ \n-019.eEtrufalsn&*#|>!%@`x', max_size=40))
@settings(QUICK, max_examples=5 * EXAMPLES)
def test_text_is_an_object_or_a_refusal(text: str) -> None:
    for content_type in ("json", "yaml"):
        body = text.encode()
        assert outcome(partial(decode_body, body, f"application/{content_type}", POD, "Strict"))[0] in (200, 400)


@given(text=st.text(alphabet='{}[]":,\\ 019.eE-truefalsn', max_size=20))
@settings(QUICK, max_examples=5 * EXAMPLES)
def test_json_is_what_the_library_says_it_is(text: str) -> None:
    def unhappy(_: str) -> Any:
        raise ValueError

    try:
        expected = json.loads(text, parse_constant=unhappy)
    except ValueError:
        with pytest.raises(JsonTextError) as caught:
            parse(text.encode())
        assert caught.value.message != "invalid JSON", "a reason is found for every refusal"
    else:
        assert json.dumps(expected) == json.dumps(json.loads(json.dumps(plain(parse(text.encode())))))


operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]) | texts},
        optional={
            "path": st.lists(st.sampled_from(["a", "b", "0", "1", "-", "-1", "01", "~1", ""]), max_size=3).map(
                lambda parts: "".join(f"/{part}" for part in parts)
            )
            | texts,
            "from": st.sampled_from(["/a", "/b/0", "", "/a/b", "x"]),
            "value": json_values,
        },
    )
    | json_values,
    max_size=4,
)
documents = st.dictionaries(st.sampled_from(["a", "b", "c"]), json_values, max_size=3)


@given(doc=documents, patch=operations)
@settings(QUICK, max_examples=5 * EXAMPLES)
def test_a_json_patch_applies_or_is_refused(doc: Json, patch: Any) -> None:
    before = copy.deepcopy(doc)
    assert outcome(lambda: json_patch(doc, json.dumps(patch).encode()))[0] in (200, 400, 422)
    assert doc == before


@given(old=documents, new=documents)
@QUICK
def test_a_json_patch_made_from_two_documents_leads_from_one_to_the_other(old: Json, new: Json) -> None:
    assert json_patch(old, jsonpatch.make_patch(old, new).to_string().encode()) == new


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def merge_diff(old: Any, new: Any) -> Any:
    """The merge patch from one document to another."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    patch = {key: None for key in old if key not in new}
    return patch | {
        key: merge_diff(old.get(key), value) for key, value in new.items() if old.get(key) != value or key not in old
    }


@given(old=documents.map(without_nulls), new=documents.map(without_nulls))
@QUICK
def test_a_merge_patch_made_from_two_documents_leads_from_one_to_the_other(old: Json, new: Json) -> None:
    assert merge_patch(old, json.dumps(merge_diff(old, new)).encode()) == new


directives = st.sampled_from(
    ["$patch", "$retainKeys", "$setElementOrder/finalizers", "$deleteFromPrimitiveList/finalizers", "$setElementOrder"]
)


@st.composite
def with_directives(draw: st.DrawFn, objects: st.SearchStrategy[Json]) -> Json:
    """Patches with directives in places that make sense or don't."""
    patch = draw(objects)
    for place in [patch, *(value for value in patch.values() if isinstance(value, dict))]:
        if draw(st.booleans()):
            values = (
                st.sampled_from(["replace", "delete", "merge", "bogus"]) | st.lists(texts, max_size=3) | json_values
            )
            place[draw(directives)] = draw(values)
    return patch


@pytest.mark.parametrize("kind", [CONFIG_MAP, CLAIM, POD], ids=lambda kind: kind.resource.kind)
@given(data=st.data())
@QUICK
def test_a_strategic_patch_applies_or_is_refused(kind: ServedKind, data: st.DataObject) -> None:
    doc = Conversion().object(data.draw(objects_of(kind.schema)), kind.schema)
    before = copy.deepcopy(doc)
    patch = json.dumps(data.draw(with_directives(disturbed(objects_of(kind.schema))))).encode()
    for patch_type in (STRATEGIC_PATCH, MERGE_PATCH):
        code, _ = outcome(partial(apply_patch, doc, patch, patch_type, kind, "Warn"))
        assert code in (200, 400, 422, 500 if patch_type == STRATEGIC_PATCH else 422)
    assert doc == before


@given(doc=objects_of(CLAIM.schema).map(lambda obj: Conversion().object(obj, CLAIM.schema)))
@QUICK
def test_a_strategic_patch_of_nothing_changes_nothing(doc: Json) -> None:
    assert strategic_patch(doc, b"{}", CLAIM.schema) == doc


elements = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"', "i:0"])
path_sets = st.sets(st.lists(elements, min_size=1, max_size=3).map(tuple), max_size=6)


@given(left=path_sets, right=path_sets)
@settings(QUICK, max_examples=5 * EXAMPLES)
def test_sets_of_fields_are_sets(left: Any, right: Any) -> None:
    one, two = of_paths(left), of_paths(right)
    assert set(paths(one)) == left
    assert set(paths(union(one, two))) == left | right
    assert set(paths(difference(one, two))) == left - right
    assert set(paths(intersection(one, two))) == left & right
    assert is_valid(union(one, two))


MANAGERS = st.sampled_from(["one", "two", "kubectl"])


@pytest.mark.parametrize("kind", [CONFIG_MAP, CLAIM, POD], ids=lambda kind: kind.resource.kind)
@given(data=st.data())
@QUICK
def test_applies_and_updates_in_any_order(kind: ServedKind, data: st.DataObject) -> None:
    head = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
    obj: Json | None = None
    for _ in range(data.draw(st.integers(1, 4))):
        given_object = data.draw(disturbed(objects_of(kind.schema)) | objects_of(kind.schema)) | head
        manager = data.draw(MANAGERS)
        if data.draw(st.booleans()) or obj is None:
            force = data.draw(st.booleans())
            patch = json.dumps(given_object).encode()
            code, applied = outcome(partial(apply, obj, patch, manager=manager, force=force, kind=kind, now=NOW))
            assert code in (200, 400, 500, 500 if force else 409), "force has no conflicts"
            if applied is None:
                continue
            after = applied
            if "managedFields" in after["metadata"]:  # else nothing was owned, and all of it was there before (APPLY-3)
                later = "2024-01-02T00:00:00Z"
                assert apply(after, patch, manager=manager, force=False, kind=kind, now=later) == after
        else:
            _, checked = outcome(partial(check_object, given_object, kind, "Warn"))
            if checked is None:
                continue
            after = checked[0]
            record_update(after, obj, manager=manager, subresource="", time=NOW, kind=kind)
        for entry in after["metadata"].get("managedFields", []):
            assert is_valid(entry["fieldsV1"])
            assert entry["fieldsV1"], "nobody owns nothing"
        check_object(after, kind, "Strict")
        obj = after


@given(old=objects_of(CLAIM.schema), new=objects_of(CLAIM.schema))
@QUICK
def test_what_differs_is_found_and_nothing_else(old: Json, new: Json) -> None:
    before, after = (Conversion().object(obj, CLAIM.schema) for obj in (old, new))
    same = compare(before, before, CLAIM.schema)
    assert (same.added, same.modified, same.removed) == ({}, {}, {})
    there = compare(before, after, CLAIM.schema)
    back = compare(after, before, CLAIM.schema)
    assert (there.added, there.modified, there.removed) == (back.removed, back.modified, back.added)
    assert bool(there.added or there.modified or there.removed) == (before != after)
