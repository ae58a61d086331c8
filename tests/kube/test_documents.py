"""What comes is checked before it is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pvbinder.kube.documents import ForeignDocument, check_object, read_list
from pvbinder.model.resources import PERSISTENT_VOLUMES, Resource

WIDGETS = Resource("example.com", "v1", "Widget", "widgets", True)
VOLUME_LIST = {"kind": "PersistentVolumeList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": []}

LISTS = {  # the list, of which resource, and whether it is one
    "its own": (VOLUME_LIST, PERSISTENT_VOLUMES, True),
    "a generic one": (VOLUME_LIST | {"kind": "List"}, PERSISTENT_VOLUMES, True),
    "items null, as Go says empty": (VOLUME_LIST | {"items": None}, PERSISTENT_VOLUMES, True),
    "another kind": (VOLUME_LIST | {"kind": "PodList"}, PERSISTENT_VOLUMES, False),
    "another version": (VOLUME_LIST | {"apiVersion": "v2"}, PERSISTENT_VOLUMES, False),
    "a Status": ({"kind": "Status", "apiVersion": "v1"}, PERSISTENT_VOLUMES, False),
    "no items": ({"kind": "PersistentVolumeList", "apiVersion": "v1"}, PERSISTENT_VOLUMES, False),
    "a list by the name of its definition": (
        VOLUME_LIST | {"kind": "WidgetStockList", "apiVersion": "example.com/v1"},
        WIDGETS,
        True,
    ),
    "a list whose name its definition made up": (
        VOLUME_LIST | {"kind": "Stock", "apiVersion": "example.com/v1"},
        WIDGETS,
        True,
    ),
    "a single object": (VOLUME_LIST | {"kind": "Widget", "apiVersion": "example.com/v1"}, WIDGETS, False),
    "a made-up name for a built-in kind": (VOLUME_LIST | {"kind": "Stock"}, PERSISTENT_VOLUMES, False),
    "metadata that nobody asked for": (
        VOLUME_LIST | {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"},
        PERSISTENT_VOLUMES,
        False,
    ),
}


@pytest.mark.parametrize(("document", "resource", "is_one"), LISTS.values(), ids=LISTS.keys())
def test_documents_1_a_list_is_one_of_the_kind(document: dict[str, Any], resource: Resource, is_one: bool) -> None:
    body = json.dumps(document).encode()
    if is_one:
        assert read_list(resource, body).metadata.resource_version == "9"
        return
    with pytest.raises(ForeignDocument):
        read_list(resource, body)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"items":[', b'{"items":[]', b"\xff"])
def test_documents_1_what_is_cut_off_is_no_list(body: bytes) -> None:
    with pytest.raises(ForeignDocument):
        read_list(PERSISTENT_VOLUMES, body)


def test_documents_2_an_object_of_another_kind_is_refused() -> None:
    check_object(PERSISTENT_VOLUMES, b'{"kind":"PersistentVolume","apiVersion":"v1"}')
    check_object(PERSISTENT_VOLUMES, b'{"metadata":{"name":"x"}}')
    check_object(
        PERSISTENT_VOLUMES, b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1"}', as_metadata=True
    )
    for other in (b'{"kind":"Pod","apiVersion":"v1"}', b'{"kind":"PersistentVolume","apiVersion":"v2"}'):
        with pytest.raises(ForeignDocument):
            check_object(PERSISTENT_VOLUMES, other)
