"""The generation of custom objects: a write of the status leaves it as it is, whatever else the body says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.server.serving import ADMIN

from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import ApiRequest

SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1/namespaces/default/volumesnapshots"
BODY = {
    "apiVersion": "snapshot.storage.k8s.io/v1",
    "kind": "VolumeSnapshot",
    "metadata": {"name": "s"},
    "spec": {"source": {"persistentVolumeClaimName": "c"}},
}


@pytest.mark.parametrize(
    ("path", "change", "generation"),
    [
        ("s/status", {"status": {"readyToUse": False}, "spec": {"volumeSnapshotClassName": "fast"}}, 1),
        ("s", {"spec": {"volumeSnapshotClassName": "fast"}}, 2),
        ("s", {"metadata": {"labels": {"a": "b"}}}, 1),
    ],
    ids=["the status", "the spec", "labels"],
)
async def test_what_counts_as_a_generation(
    tmp_path: Path, path: str, change: dict[str, object], generation: int
) -> None:
    patches = {"content-type": "application/merge-patch+json"}
    async with EmbeddedServer(tmp_path, listen=False) as server:
        send = server.dispatcher.handle
        await send(ApiRequest("POST", SNAPSHOTS, {}, {}, msgspec.json.encode(BODY), user=ADMIN))
        changed = msgspec.json.encode(change)
        answer = await send(ApiRequest("PATCH", f"{SNAPSHOTS}/{path}", {}, patches, changed, user=ADMIN))
    assert answer.status == 200
    assert msgspec.json.decode(answer.body)["metadata"]["generation"] == generation
