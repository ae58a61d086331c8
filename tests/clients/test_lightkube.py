"""lightkube: typed objects, generic resources, apply and waiting for a watch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.codecs import from_dict
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.core_v1 import ConfigMap, PersistentVolume, PersistentVolumeClaim
from lightkube.types import PatchType
from tests.clients.objects import claim, config_map, volume
from tools.plane import RunningPlane


@pytest.fixture
def api(plane: RunningPlane) -> Iterator[Any]:
    config = KubeConfig.from_file(str(plane.kubeconfig))
    with Client(config, namespace="default", field_manager="lightkube") as api:
        yield api


def test_a_claim_is_created_watched_bound_patched_and_deleted(api: Any) -> None:
    listed = api.list(PersistentVolumeClaim)
    assert "light" not in {each.metadata.name for each in listed}
    created = api.create(from_dict({**claim("light", app="light")}))
    assert created.status.phase == "Pending"
    api.create(from_dict(volume("disk-3", "light")))
    seen = []
    for change, found in api.watch(
        PersistentVolumeClaim, labels={"app": "light"}, resource_version=listed.resourceVersion
    ):
        seen.append(change)
        if change == "DELETED":
            break
        if found.status.phase == "Bound" and "size" not in found.metadata.labels:
            assert found.spec.volumeName == "disk-3"
            patch = {"metadata": {"labels": {"size": "s"}}}
            api.patch(PersistentVolumeClaim, "light", patch, patch_type=PatchType.MERGE)
        elif "size" in found.metadata.labels and found.metadata.deletionTimestamp is None:
            api.delete(PersistentVolumeClaim, "light")
    assert (seen[0], seen[-1]) == ("ADDED", "DELETED")
    assert api.get(PersistentVolume, "disk-3").spec.claimRef.name == "light"
    with pytest.raises(ApiError) as gone:
        api.get(PersistentVolumeClaim, "light")
    assert (gone.value.status.code, gone.value.status.reason) == (404, "NotFound")


def test_what_another_manager_applied_is_a_conflict(api: Any) -> None:
    applied = api.apply(from_dict(config_map("lights", colour="blue")), field_manager="one")
    assert applied.data == {"colour": "blue"}
    with pytest.raises(ApiError) as conflict:
        api.apply(from_dict(config_map("lights", colour="red")), field_manager="two")
    assert conflict.value.status.code == 409
    assert [cause.field for cause in conflict.value.status.details.causes] == [".data.colour"]
    assert (
        api.apply(from_dict(config_map("lights", colour="red")), field_manager="two", force=True).data["colour"]
        == "red"
    )
    changed = api.get(ConfigMap, "lights")
    changed.data["size"] = "s"
    api.replace(changed)
    with pytest.raises(ApiError) as late:
        api.replace(changed)
    assert late.value.status.reason == "Conflict"


def test_custom_kinds_are_objects_like_others(api: Any) -> None:
    backup = create_namespaced_resource("example.com", "v1", "Backup", "backups")
    api.create(backup(metadata={"name": "mine"}, spec={"claim": "light"}))
    api.patch(backup.Status, "mine", {"status": {"done": True}}, patch_type=PatchType.MERGE)
    assert api.get(backup, "mine").status == {"done": True}
    api.delete(backup, "mine")
