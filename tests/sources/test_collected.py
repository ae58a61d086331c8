"""Velero backups, must-gathers and support bundles, in archives and in directories."""

from __future__ import annotations

import gzip
import json
from pathlib import Path, PurePosixPath

import pytest
import yaml
from tests.sources.objects import CLASS, NAMESPACE, Document, claim, names, volume
from tests.sources.test_archive import info, tar

from pvbinder.sources.collected import FilePlace, place_of
from pvbinder.sources.errors import DumpFileError
from pvbinder.sources.reading import read_sources

Files = dict[str, bytes]
CLAIM = claim("orders", "pv-1")
VOLUME = volume("pv-1", "orders")
EVERYTHING = {"Namespace/shop", "StorageClass/fast", "PersistentVolume/pv-1", "PersistentVolumeClaim/orders"}


def text(document: Document | list[Document]) -> bytes:
    return json.dumps(document).encode()


def a_list(kind: str, *items: Document) -> bytes:
    return yaml.safe_dump({"apiVersion": items[0]["apiVersion"], "kind": f"{kind}List", "items": list(items)}).encode()


VELERO: Files = {
    "metadata/version": b"1.1.0\n",
    "resources/namespaces/cluster/shop.json": text(NAMESPACE),
    "resources/persistentvolumeclaims/namespaces/shop/orders.json": text(CLAIM),
    "resources/persistentvolumeclaims/v1-preferredversion/namespaces/shop/orders.json": text(CLAIM),
    "resources/persistentvolumes/cluster/pv-1.json": text(VOLUME),
    "resources/storageclasses.storage.k8s.io/cluster/fast.json": text(CLASS),
    "resources/storageclasses.storage.k8s.io/v1-preferredversion/cluster/fast.json": text(CLASS),
}
GATHERED = "must-gather.local.1/quay-io-sha256-1"
MUST_GATHER: Files = {
    "must-gather.local.1/event-filter.html": b"<html>",
    f"{GATHERED}/namespaces/shop/shop.yaml": yaml.safe_dump(NAMESPACE).encode(),
    f"{GATHERED}/namespaces/shop/core/persistentvolumeclaims.yaml": a_list("PersistentVolumeClaim", CLAIM),
    f"{GATHERED}/namespaces/shop/pods/p/c/c/logs/current.log": b"kind: no\n",
    f"{GATHERED}/cluster-scoped-resources/core/persistentvolumes/pv-1.yaml": yaml.safe_dump(VOLUME).encode(),
    f"{GATHERED}/cluster-scoped-resources/storage.k8s.io/storageclasses.yaml": a_list("StorageClass", CLASS),
}
BUNDLE: Files = {
    "support-bundle-1/version.yaml": b"apiVersion: troubleshoot.sh/v1beta2\nkind: SupportBundle\n",
    "support-bundle-1/analysis.json": b"[]",
    "support-bundle-1/cluster-resources/auth-cani-list/shop.json": b"{}",
    "support-bundle-1/cluster-resources/groups.json": b"[]",
    "support-bundle-1/cluster-resources/pods/logs/shop/p/c.log": b"words",
    "support-bundle-1/cluster-resources/pvcs-errors.json": b"[]",
    "support-bundle-1/cluster-resources/namespaces.json": text(
        {"kind": "NamespaceList", "apiVersion": "v1", "items": [NAMESPACE]}
    ),
    "support-bundle-1/cluster-resources/pvcs/shop.json": text(
        {"metadata": {}, "items": [{k: v for k, v in CLAIM.items() if k not in ("kind", "apiVersion")}]}
    ),
    "support-bundle-1/cluster-resources/pvs.json": text(
        [{k: v for k, v in VOLUME.items() if k not in ("kind", "apiVersion")}]
    ),
    "support-bundle-1/cluster-resources/storage-classes.json": text(
        {"kind": "StorageClassList", "apiVersion": "storage.k8s.io/v1", "items": [CLASS]}
    ),
}
COLLECTIONS = {
    "Velero": (VELERO, []),
    "must-gather": (
        MUST_GATHER,
        ["must-gather.local.1/event-filter.html", f"{GATHERED}/namespaces/shop/pods/p/c/c/logs/current.log"],
    ),
    "support bundle": (BUNDLE, ["support-bundle-1/version.yaml", "support-bundle-1/analysis.json"]),
}


def as_directory(files: Files, where: Path) -> str:
    for name, data in files.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes(data)
    return str(where)


def as_archive(files: Files, where: Path) -> str:
    where.mkdir(exist_ok=True)
    (where / "a.tar.gz").write_bytes(gzip.compress(tar(files)))
    return str(where / "a.tar.gz")


def read(path: str) -> tuple[list[Document], list[str]]:
    notes: list[str] = []
    return [each for _, each in read_sources([path], say=notes.append)], notes


@pytest.mark.parametrize(("files", "others"), COLLECTIONS.values(), ids=COLLECTIONS)
@pytest.mark.parametrize("form", [as_directory, as_archive])
def test_collected_1_objects_are_read_and_other_files_named(
    form: object, files: Files, others: list[str], tmp_path: Path
) -> None:
    found, notes = read(form(files, tmp_path))  # type: ignore[operator]
    assert set(names(found)) == EVERYTHING
    assert len(found) == len(EVERYTHING)
    assert all(name in note for note in notes for name in others)
    assert len(notes) == bool(others)


@pytest.mark.parametrize("form", [as_directory, as_archive])
def test_collected_4_archive_and_directory_give_the_same(form: object, tmp_path: Path) -> None:
    found, _ = read(form(MUST_GATHER, tmp_path / "one"))  # type: ignore[operator]
    other, _ = read(as_archive(MUST_GATHER, tmp_path / "other"))
    assert sorted(map(str, found)) == sorted(map(str, other))


def test_collected_2_an_object_that_is_there_twice_is_given_as_it_was_last(tmp_path: Path) -> None:
    newer, older = ({**NAMESPACE, "metadata": {"name": "shop", "resourceVersion": text}} for text in ("10", "9"))
    files = {
        f"{GATHERED}/cluster-scoped-resources/core/{name}.yaml": text(each)
        for name, each in zip("abc", (older, newer, older), strict=True)
    }
    found, _ = read(as_archive(files, tmp_path))
    assert found == [newer]


def test_collected_3_a_file_that_is_torn_is_named(tmp_path: Path) -> None:
    files = {**MUST_GATHER, f"{GATHERED}/namespaces/shop/core/pods.yaml": b"kind: PodList\nitems: [{\n"}
    with pytest.raises(DumpFileError, match=r"namespaces/shop/core/pods\.yaml, line"):
        read(as_archive(files, tmp_path))


def test_collected_1_a_file_without_objects_where_objects_are_is_named(tmp_path: Path) -> None:
    files = {**MUST_GATHER, f"{GATHERED}/namespaces/shop/ceph_status.json": b'{"health": "OK"}'}
    found, (note,) = read(as_archive(files, tmp_path))
    assert len(found) == 4
    assert "ceph_status.json" in note


def test_collected_1_links_are_named_and_never_followed(tmp_path: Path) -> None:
    where = Path(as_directory(MUST_GATHER, tmp_path / "g"))
    (tmp_path / "secret.yaml").write_bytes(text(claim("secret")))
    (where / GATHERED / "namespaces/shop/core/linked.yaml").symlink_to(tmp_path / "secret.yaml")
    (where / GATHERED / "namespaces/linked").symlink_to(tmp_path)
    found, (note,) = read(str(where))
    assert set(names(found)) == EVERYTHING
    assert "linked.yaml (a link)" in note
    link = info(f"{GATHERED}/namespaces/shop/core/linked.yaml", kind=b"2", link="../../../../secret.yaml")
    (tmp_path / "a.tar").write_bytes(tar(MUST_GATHER, 1, link))
    found, (note,) = read(str(tmp_path / "a.tar"))
    assert set(names(found)) == EVERYTHING
    assert "linked.yaml (a link)" in note


def test_an_archive_of_something_else_is_refused_with_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(DumpFileError, match=r"no collection that is known: 2 files such as chart/a\.yaml") as caught:
        read(as_archive({"chart/a.yaml": b"kind: Pod", "chart/b": b""}, tmp_path))
    assert "Velero" in str(caught.value.hint)


def test_manifests_beside_a_directory_called_namespaces_are_read_as_ever(tmp_path: Path) -> None:
    (tmp_path / "namespaces").mkdir()
    (tmp_path / "namespaces" / "b.yaml").write_text("kind: Pod\nmetadata: {name: b}\n")
    (tmp_path / "a.yaml").write_text("kind: Pod\nmetadata: {name: a}\n")
    assert names(read(str(tmp_path))[0]) == ["Pod/a"]


PLACES = {
    "resources/pods/namespaces/a/b.json": FilePlace.OBJECTS,
    "resources/pods/v1/namespaces/a/b.json": FilePlace.OTHER_FORM,
    "resources/nodes/v1-preferredversion/cluster/b.json": FilePlace.OTHER_FORM,
    "resources/pods/namespaces/a/b.txt": FilePlace.UNKNOWN,
    "resources/pods/else/a/b/c.json": FilePlace.UNKNOWN,
    "metadata/version": FilePlace.KNOWN,
    "b/cluster-resources/custom-resources/widgets.example.com/shop.yaml": FilePlace.OBJECTS,
    "b/cluster-resources/nodes.json": FilePlace.OBJECTS,
    "b/cluster-resources/pods/x.log": FilePlace.UNKNOWN,
    "g/cluster-scoped-resources/core/nodes/a.yaml": FilePlace.OBJECTS,
    "g/namespaces/a.yaml": FilePlace.UNKNOWN,
    "g/host_service_logs/masters/kubelet_service.log": FilePlace.UNKNOWN,
}


@pytest.mark.parametrize(("path", "place"), PLACES.items())
def test_a_place_says_what_is_there(path: str, place: FilePlace) -> None:
    assert place_of(PurePosixPath(path)) is place
