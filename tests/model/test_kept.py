"""How caches keep the JSON of objects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.model.objects import kept
from pvbinder.model.objects.kept import Packer, unpacked, without_managed_fields

OWNERS = [{"manager": "m", "fieldsV1": {"f:spec": {}}}, {}]


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


@given(st.lists(st.binary(), max_size=5), st.lists(st.binary().map(lambda some: b"{" + some), max_size=5))
def test_kept_1_what_is_packed_comes_back(samples: list[bytes], documents: list[bytes]) -> None:
    packer = Packer(samples)
    assert [unpacked(packer.pack(one)) for one in documents] == documents


def test_kept_1_many_packers_side_by_side() -> None:
    texts = [compact({"metadata": {"name": f"disk-{number}" * 20}}) for number in range(20)]
    packers = [Packer([text]) for text in texts]
    found = [packer.pack(text) for packer in packers for text in texts]
    assert [unpacked(one) for one in found] == texts * 20
    assert max(len(packer.pack(text)) for packer, text in zip(packers, texts, strict=True)) < 30


def test_kept_1_without_room_for_a_dictionary_nothing_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_DICTIONARIES_MAX", 0)
    text = compact({"metadata": {"name": "disk"}}) * 9
    assert Packer([text]).pack(text) is text


TAKEN = {
    "first": ({"managedFields": OWNERS, "name": "a"}, {"name": "a"}),
    "last": ({"name": "a", "managedFields": OWNERS}, {"name": "a"}),
    "between": ({"name": "a", "managedFields": OWNERS, "uid": "u"}, {"name": "a", "uid": "u"}),
    "alone": ({"managedFields": OWNERS}, {}),
    "empty": ({"name": "a", "managedFields": []}, {"name": "a"}),
}


@pytest.mark.parametrize(("before", "after"), TAKEN.values(), ids=TAKEN)
def test_kept_2_the_owners_go_and_nothing_else(before: object, after: object) -> None:
    rest = {"spec": {"a": [1.50, 12345678901234567890], "b": "\u00e9"}}
    document = b'{"metadata":' + compact(before) + b',"spec":{"a":[1.50,12345678901234567890],"b":"\xc3\xa9"}}'
    found = without_managed_fields(document)
    assert json.loads(found) == {"metadata": after, **rest}
    assert found.endswith(b'"spec":{"a":[1.50,12345678901234567890],"b":"\xc3\xa9"}}')


LEFT = {
    "no owners": compact({"metadata": {"name": "a"}}),
    "of another field": compact({"metadata": {"name": "a"}, "spec": {"managedFields": OWNERS}}),
    "a text beside them": compact({"metadata": {"annotations": {"a": '"managedFields":'}, "managedFields": OWNERS}}),
    "another field beside them": compact({"metadata": {"managedFields": OWNERS}, "spec": {"managedFields": OWNERS}}),
    "the end of a key": b'{"metadata":{"name":"a","x\\"managedFields":[1]}}',
    "letters written otherwise": b'{"metadata":{"managed\\u0046ields":[1]},"spec":{"managedFields":[1]}}',
    "no JSON": b'{"metadata":{"managedFields":[1',
    "no object": b'"managedFields":[]',
    "metadata that are none": b'{"metadata":7,"managedFields":[1]}',
    "spaces": b'{"metadata": {"managedFields": [1]}}',
    "nothing": b"",
}


@pytest.mark.parametrize("document", LEFT.values(), ids=LEFT)
def test_kept_2_a_document_that_is_not_sure_stays_as_it_is(document: bytes) -> None:
    assert without_managed_fields(document) == document
