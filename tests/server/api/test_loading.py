"""Objects of a dump in a new store: as they were, all or none."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import ADMIN

from pvbinder import logs
from pvbinder.server.api.loading import LoadRefused
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import ApiRequest
from pvbinder.server.store import DataDirectoryError

UID = "0b0d1b1e-0000-4000-8000-00000000000"
MANAGED = [
    {
        "manager": "kubectl",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2024-03-01T10:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:accessModes": {}}},
    }
]
CLAIM: dict[str, Any] = {
    "kind": "PersistentVolumeClaim",
    "apiVersion": "v1",
    "metadata": {
        "name": "orders",
        "namespace": "shop",
        "uid": f"{UID}1",
        "resourceVersion": "900",
        "creationTimestamp": "2024-03-01T10:00:00Z",
        "deletionTimestamp": "2024-03-02T10:00:00Z",
        "deletionGracePeriodSeconds": 0,
        "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
        "finalizers": ["kubernetes.io/pvc-protection"],
        "managedFields": MANAGED,
    },
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "volumeName": "disk-7",
        "storageClassName": "",
        "volumeMode": "Filesystem",
    },
    "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}},
}
VOLUME: dict[str, Any] = {
    "kind": "PersistentVolume",
    "apiVersion": "v1",
    "metadata": {
        "name": "disk-7",
        "uid": f"{UID}2",
        "resourceVersion": "1000",
        "creationTimestamp": "2024-02-01T10:00:00Z",
        "finalizers": ["kubernetes.io/pv-protection"],
    },
    "spec": {
        "capacity": {"storage": "5Gi"},
        "hostPath": {"path": "/srv/disk-7", "type": ""},
        "accessModes": ["ReadWriteOnce"],
        "claimRef": {
            "kind": "PersistentVolumeClaim",
            "namespace": "shop",
            "name": "orders",
            "uid": f"{UID}1",
            "apiVersion": "v1",
            "resourceVersion": "890",
        },
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
    },
    "status": {"phase": "Bound", "lastPhaseTransitionTime": "2024-03-01T10:00:00Z"},
}
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "backups.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "backups", "singular": "backup", "kind": "Backup", "listKind": "BackupList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"claim": {"type": "string"}}},
                            "status": {"type": "object", "properties": {"done": {"type": "boolean"}}},
                        },
                    }
                },
            }
        ],
    },
}
BACKUP: dict[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "Backup",
    "metadata": {"name": "nightly", "namespace": "shop", "uid": f"{UID}3", "generation": 3},
    "spec": {"claim": "orders"},
    "status": {"done": True},
}


def loading(*documents: dict[str, Any], data_dir: Path | None = None) -> EmbeddedServer:
    found = [("dump.yaml", copy.deepcopy(each)) for each in documents]
    return EmbeddedServer(data_dir, listen=False, load=found)


async def get(server: EmbeddedServer, path: str, status: int = 200) -> Any:
    answer = await server.dispatcher.handle(ApiRequest("GET", path, user=ADMIN))
    assert answer.status == status, answer.body
    return json.loads(answer.body)


def without_revision(obj: dict[str, Any]) -> dict[str, Any]:
    obj = copy.deepcopy(obj)
    obj["metadata"].pop("resourceVersion", None)
    return obj


async def test_load_2_an_object_comes_back_as_it_was_but_for_its_revision() -> None:
    async with loading(VOLUME, CLAIM) as server:
        claim = await get(server, "/api/v1/namespaces/shop/persistentvolumeclaims/orders")
        volume = await get(server, "/api/v1/persistentvolumes/disk-7")
    assert without_revision(claim) == without_revision(CLAIM)
    assert without_revision(volume) == without_revision(VOLUME)
    assert claim["metadata"]["resourceVersion"] not in ("900", "")
    assert int(claim["metadata"]["resourceVersion"]) < int(volume["metadata"]["resourceVersion"]), "the older one first"


async def test_load_3_what_a_manifest_leaves_out_is_filled_in() -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "new"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
    }
    async with loading(manifest, CLAIM) as server:
        claim = await get(server, "/api/v1/namespaces/default/persistentvolumeclaims/new")
        namespace = await get(server, "/api/v1/namespaces/shop")
    assert claim["metadata"]["uid"]
    assert claim["metadata"]["creationTimestamp"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert claim["status"] == {"phase": "Pending"}
    assert (namespace["spec"], namespace["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


async def test_custom_kinds_are_in_force_for_what_comes_with_them() -> None:
    async with loading(BACKUP, DEFINITION) as server:
        backup = await get(server, "/apis/example.com/v1/namespaces/shop/backups/nightly")
        definition = await get(
            server, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{'backups.example.com'}"
        )
    created = backup["metadata"].pop("creationTimestamp")
    assert created
    assert without_revision(backup) == BACKUP
    conditions = {each["type"]: each["status"] for each in definition["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


def changed(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    obj = copy.deepcopy(obj)
    *parents, last = path.split(".")
    inner = obj
    for each in parents:
        inner = inner[each]
    inner[last] = value
    return obj


REFUSED = {
    "a value of the wrong type": (
        changed(CLAIM, "spec.accessModes", "ReadWriteOnce"),
        "dump.yaml: PersistentVolumeClaim shop/orders: ",
    ),
    "what validation forbids": (changed(CLAIM, "spec.accessModes", []), "spec.accessModes: Required value"),
    "a name that can't be": (changed(VOLUME, "metadata.name", "Disk_7"), "PersistentVolume Disk_7: metadata.name"),
    "no name": (changed(VOLUME, "metadata.name", ""), "it has no name"),
    "a namespace around what has none": (changed(VOLUME, "metadata.namespace", "shop"), "its kind in none"),
    "a kind that nothing serves": (BACKUP, "example.com/v1 Backup isn't served here"),
    "a kind that isn't stored": (
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {"name": "x"}},
        "TokenReview isn't served here",
    ),
    "managed fields that are no set of fields": (
        changed(
            VOLUME,
            "metadata.managedFields",
            [{"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:csi": 3}}}],
        ),
        "PersistentVolume disk-7: its metadata.managedFields are damaged",
    ),
    "no version": ({"kind": "Pod", "metadata": {"name": "web"}}, "Pod web: it has no apiVersion and kind"),
    "metadata that is no object": ({"apiVersion": "v1", "kind": "Pod", "metadata": "x"}, "dump.yaml: Pod: "),
}


@pytest.mark.parametrize(("document", "words"), REFUSED.values(), ids=REFUSED.keys())
async def test_load_4_what_is_wrong_is_refused_by_name(document: dict[str, Any], words: str) -> None:
    with pytest.raises(LoadRefused) as refused:
        async with loading(document):
            pass
    assert words in refused.value.message
    assert refused.value.message.startswith("dump.yaml: ")


async def test_load_4_a_field_that_nobody_knows_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with loading(changed(VOLUME, "spec.colour", "blue")) as server:
        volume = await get(server, "/api/v1/persistentvolumes/disk-7")
    assert "colour" not in volume["spec"]
    (said,) = (logs.fields_of(record) for record in caplog.records if record.message == "field left out")
    assert 'unknown field "spec.colour"' in str(said["err"])


async def test_load_1_one_wrong_object_and_nothing_is_loaded(tmp_path: Path) -> None:
    wrong = [changed(VOLUME, "metadata.name", f"Disk_{number}") for number in range(12)]
    with pytest.raises(LoadRefused) as refused:
        async with loading(CLAIM, *wrong, data_dir=tmp_path / "data"):
            pass
    assert refused.value.message == "12 objects can't be loaded, so nothing was"
    assert "Disk_0" in str(refused.value.hint)
    assert "and 2 more" in str(refused.value.hint)
    async with loading(VOLUME, data_dir=tmp_path / "data") as server:  # the directory is still new
        assert (await get(server, "/api/v1/persistentvolumeclaims"))["items"] == []


async def test_load_5_where_there_is_something_nothing_is_loaded(tmp_path: Path) -> None:
    async with loading(VOLUME, data_dir=tmp_path / "data"):
        pass
    with pytest.raises(DataDirectoryError, match="can't be loaded where there are some"):
        async with loading(CLAIM, data_dir=tmp_path / "data"):
            pass
    async with EmbeddedServer(tmp_path / "data", listen=False) as server:
        assert (await get(server, "/api/v1/persistentvolumeclaims"))["items"] == []
        assert len((await get(server, "/api/v1/persistentvolumes"))["items"]) == 1


async def test_load_6_twice_the_same_is_once_and_twice_different_is_refused() -> None:
    async with loading(VOLUME, changed(VOLUME, "metadata.resourceVersion", "1001")) as server:
        assert len((await get(server, "/api/v1/persistentvolumes"))["items"]) == 1
    with pytest.raises(LoadRefused, match=r"dump\.yaml has it, too, and differently"):
        async with loading(VOLUME, changed(VOLUME, "spec.volumeMode", "Block")):
            pass


async def test_who_is_left_without_an_owner_is_named(caplog: pytest.LogCaptureFixture) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": f"{UID}9"}
    async with loading(changed(VOLUME, "metadata.ownerReferences", [owner])):
        pass
    (said,) = (logs.fields_of(record) for record in caplog.records if "owner is not loaded" in record.message)
    assert "StatefulSet db" in str(said["owner"])


async def test_embedded_4_what_is_loaded_comes_before_what_an_empty_kubernetes_has() -> None:
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "default", "uid": f"{UID}4", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    async with loading(namespace) as server:
        found = await get(server, "/api/v1/namespaces/default")
        await get(server, "/api/v1/namespaces/kube-system")
    assert found["metadata"]["uid"] == f"{UID}4"
