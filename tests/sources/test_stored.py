"""Objects as kube-apiserver stores them: protobuf, JSON, encrypted values, and what is none of it."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from tests.protobuf_wire import entry, envelope, field, varint
from tests.sources.etcd_writer import path_of
from tests.sources.objects import CLASS, DEFINITION, SHOP, WIDGET, Document, claim, names
from tests.sources.protobuf_writer import stored_form

from pvbinder.insight.manifests import as_served
from pvbinder.server.objects.schema.decode import as_written
from pvbinder.sources.errors import DumpError, DumpFileError
from pvbinder.sources.etcd import StoredValue
from pvbinder.sources.stored import StoredReader


def read(pairs: Iterable[tuple[str, bytes]], prefix: str | None = None) -> tuple[list[Document], list[str]]:
    objects = StoredReader("x.db", prefix)
    stored = [StoredValue(key.encode(), value, number) for number, (key, value) in enumerate(pairs, 2)]
    return list(objects.objects(stored)), list(objects.notes())


def stored(*documents: Document, prefix: str = "/registry") -> list[tuple[str, bytes]]:
    return [(path_of(each, prefix), stored_form(each)) for each in documents]


def without_revision(found: list[Document]) -> list[Document]:
    return [
        {**each, "metadata": {k: v for k, v in each["metadata"].items() if k != "resourceVersion"}} for each in found
    ]


def test_stored_1_an_object_is_what_was_stored_with_the_revision_of_its_key() -> None:
    documents = [*SHOP, WIDGET, DEFINITION]
    found, notes = read(stored(*documents))
    assert without_revision(found) == [as_written(each) for each in documents]
    assert [each["metadata"]["resourceVersion"] for each in found] == [str(number) for number in range(2, 9)]
    assert notes == []


OTHERS = {
    "encrypted": (
        ("/registry/secrets/shop/s", b"k8s:enc:aescbc:v1:key1:\x01\x02"),
        "1 value of secrets encrypted (aescbc), left out",
    ),
    "encrypted, of a group": (
        ("/registry/example.com/widgets/shop/s", b"k8s:enc:kms:v2:kms:\x01"),
        "1 value of example.com/widgets encrypted (kms), left out",
    ),
    "a kind without messages": (
        ("/registry/things/a", envelope("example.com/v1", "Thing", b"")),
        "1 object of example.com/v1 Thing left out: its messages aren't known here",
    ),
    "somebody else's text": (("/calico/x", b"12"), "1 key left out, not of Kubernetes (such as /calico/x)"),
    "somebody else's JSON": (("/patroni/x", b'{"a": 1}'), "1 key left out, not of Kubernetes (such as /patroni/x)"),
}


@pytest.mark.parametrize(("pair", "note"), OTHERS.values(), ids=OTHERS)
def test_stored_2_what_cannot_be_shown_is_counted_and_said(pair: tuple[str, bytes], note: str) -> None:
    found, notes = read([*stored(CLASS), pair])
    assert names(found) == ["StorageClass/fast"]
    assert notes == [f"x.db: {note}"]


def test_stored_2_the_servers_own_records_are_no_objects() -> None:
    own = [
        ("/registry/ranges/serviceips", envelope("v1", "RangeAllocation", field(1, field(1, "r")))),
        ("/registry/masterleases/10.0.0.1", envelope("v1", "Endpoints", b"")),
        ("compact_rev_key", b"5"),
    ]
    found, notes = read([*stored(CLASS), *own])
    assert (names(found), notes) == (["StorageClass/fast"], [])


@pytest.mark.parametrize("value", [b"k8s\0\xff\xff", b"{", b'{"a": \xff}', b"{" + b'"a":{' * 5000])
def test_stored_3_a_value_that_makes_no_sense_is_named(value: bytes) -> None:
    with pytest.raises(DumpFileError, match="the value of /registry/pods/shop/a is damaged"):
        read([("/registry/pods/shop/a", value)])


def test_stored_3_an_object_is_nested_no_deeper_than_in_a_request() -> None:
    deep: Document = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(DumpFileError, match="nested too deeply"):
        read([("/registry/a/b", json.dumps({**WIDGET, "spec": deep}).encode())])


def test_stored_4_two_clusters_are_refused_unless_one_is_chosen() -> None:
    both = [*stored(claim("a")), *stored(claim("a"), claim("b"), prefix="/k8s/staging")]
    with pytest.raises(
        DumpFileError, match="objects of two clusters: PersistentVolumeClaim a is at /registry"
    ) as caught:
        read(both)
    assert caught.value.hint == "choose one with --etcd-prefix, such as /registry"
    for prefix, expected in (("/registry", ["a"]), ("k8s/staging/", ["a", "b"])):
        assert [each["metadata"]["name"] for each in read(both, prefix)[0]] == expected
    with pytest.raises(DumpError, match="no objects of Kubernetes below /other/"):
        read(both, "/other")


def test_two_prefixes_of_one_cluster_are_read_together() -> None:
    """OpenShift has kinds of its own under another prefix."""
    route = {**WIDGET, "apiVersion": "route.openshift.io/v1", "kind": "Route"}
    found, _ = read([*stored(CLASS, prefix="/kubernetes.io"), *stored(route, prefix="/openshift.io")])
    assert names(found) == ["StorageClass/fast", "Route/w"]


def test_what_go_writes_of_empty_fields_leaves_no_trace() -> None:
    """kube-apiserver stores texts and numbers that aren't set, too; the schema takes them out, as of a request."""
    meta = field(1, "a") + field(2, "") + field(3, "shop") + field(4, "") + field(6, "") + field(7, 0) + field(8, b"")
    spec = field(1, "ReadWriteOnce") + field(2, field(2, entry("storage", field(1, "1Gi")))) + field(3, "")
    value = envelope("v1", "PersistentVolumeClaim", field(1, meta) + field(2, spec) + field(3, field(1, "Pending")))
    found, _ = read([("/registry/persistentvolumeclaims/shop/a", value)])
    ((served,), _) = as_served(("x.db", each) for each in found)
    assert served["metadata"] == {"name": "a", "namespace": "shop", "resourceVersion": "2"}
    assert "volumeName" not in served["spec"]


def test_a_database_without_objects_is_refused_with_what_it_has() -> None:
    with pytest.raises(DumpError, match=r"x\.db has no objects of Kubernetes: 1 keys such as /calico/a"):
        read([("/calico/a", b"1")])


def test_a_database_whose_values_are_all_encrypted_is_said_to_be_so() -> None:
    found, notes = read([("/registry/secrets/a/b", b"k8s:enc:secretbox:v1:k:x")])
    assert (found, len(notes)) == ([], 1)


def test_stored_1_empty_fields_are_left_out_but_those_that_mean_something() -> None:
    metadata = field(1, "a") + field(2, "") + field(3, "shop") + field(4, "") + varint(7 << 3) + varint(0)
    spec = field(1, "ReadWriteOnce") + field(3, "") + field(5, "")  # no volume yet; a class that is none
    value = envelope("v1", "PersistentVolumeClaim", field(1, metadata) + field(2, spec) + field(3, field(1, "")))
    (found,), _ = read([("/registry/persistentvolumeclaims/shop/a", value)])
    assert found == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "a", "namespace": "shop", "resourceVersion": "2"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {}, "storageClassName": ""},
        "status": {"phase": "Pending"},
    }


def test_stored_1_a_definition_is_shown_in_v1() -> None:
    stored_so = {**DEFINITION, "apiVersion": "apiextensions.k8s.io/v1beta1"}
    (found,), notes = read(
        [("/registry/apiextensions.k8s.io/customresourcedefinitions/x", json.dumps(stored_so).encode())]
    )
    assert found["apiVersion"] == "apiextensions.k8s.io/v1"
    assert notes == []
