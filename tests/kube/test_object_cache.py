"""The form in which an informer keeps its objects."""

from __future__ import annotations

import json
from typing import Any

from tests.kube.informers import volume

from pvbinder.kube.client import Client
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.informer_statistics import Counts
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.object_cache import PACKED_FROM, ObjectCache
from pvbinder.model.objects import Claim, Volume, parse_volume
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

OWNED = [{"manager": "kubectl", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}]


def owned(name: str, revision: int) -> Volume:
    metadata: dict[str, Any] = {"name": name, "managedFields": OWNED, "uid": "u", "resourceVersion": str(revision)}
    return parse_volume(json.dumps({"metadata": metadata, "spec": {}}, separators=(",", ":")).encode())


def test_cache_1_owners_of_fields_are_not_kept_and_of_a_long_list_most_is_packed() -> None:
    cache: ObjectCache[Volume] = ObjectCache(Counts())
    listed = [owned(f"disk-{number:04}", number + 1) for number in range(PACKED_FROM + 50)]
    for one in listed:
        cache.take(one, is_listed=True)
    cache.take(owned("later", 9999))

    packed = [one.name for one in cache.objects.values() if len(one.kept) < len(one.raw)]
    assert packed == [one.name for one in listed[PACKED_FROM:]]
    for one in cache.objects.values():
        assert one.document()["metadata"] == {"name": one.name, "uid": "u", "resourceVersion": one.resource_version}


def test_cache_1_a_view_that_has_nothing_to_lose_is_kept_itself() -> None:
    cache: ObjectCache[Volume] = ObjectCache(Counts())
    seen = volume("disk", 1)
    cache.take(seen, is_listed=True)
    assert cache.objects["disk"] is seen


async def test_kept_2_a_put_without_owners_leaves_them_as_they_are() -> None:
    async with EmbeddedServer(listen=False) as server:
        client = Client(InProcessTransport(server.dispatcher, UserInfo("admin", groups=("system:masters",))))
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        made = await client.create(CLAIMS, {"metadata": {"name": "orders", "namespace": "default"}, "spec": spec})
        cache: ObjectCache[Claim] = ObjectCache(Counts())
        cache.take(made)
        document = cache.objects["default/orders"].document()
        assert "managedFields" in made.document()["metadata"]
        assert "managedFields" not in document["metadata"]

        document["metadata"]["labels"] = {"tier": "gold"}
        after = (await client.replace(CLAIMS, document)).document()["metadata"]["managedFields"]
        entries = [entry for entry in after if "f:spec" in entry["fieldsV1"]]
        assert [entry["fieldsV1"]["f:spec"] for entry in entries] == [
            made.document()["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
        ]
