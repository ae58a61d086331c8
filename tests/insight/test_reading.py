"""The objects that explain reads from a server: all that it needs and may read, and other places of a name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.insight.builders import DELAYED, RESTORE, bound, claim, driver, event, its, node, pod, volume_snapshot

from pvbinder.insight.reading import elsewhere, read_cluster
from pvbinder.kube.client import Client
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.model.json import Json
from pvbinder.model.objects import claim_key
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from pvbinder.rules.plugins import NoPlugins
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

ADMIN = UserInfo("admin", groups=("system:masters", "system:authenticated"))
ANA = UserInfo("ana", groups=("system:authenticated",))
RBAC = "rbac.authorization.k8s.io"


def role_for(name: str, *plurals: str) -> list[Json]:
    """The right to list some kinds in the namespace shop, and the user who has it."""
    metadata = {"name": name, "namespace": "shop"}
    rule = {"apiGroups": [""], "resources": list(plurals), "verbs": ["get", "list"]}
    role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
    subjects = [{"kind": "User", "apiGroup": RBAC, "name": name}]
    binding = {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": subjects}
    del binding["rules"]
    return [role, binding]


@asynccontextmanager
async def served(*documents: Json) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer(listen=False, load=[("the test", document) for document in documents]) as server:
        yield server


def client_of(server: EmbeddedServer, user: UserInfo) -> Client:
    return Client(InProcessTransport(server.dispatcher, user))


def elsewhere_claim() -> Json:
    found = claim("ledger")
    found["metadata"]["namespace"] = "bank"
    return found


async def test_reading_1_what_decides_is_read_whole_and_the_rest_of_one_namespace() -> None:
    documents = (bound(), its(), DELAYED, driver(), node(), pod(on="n1"), elsewhere_claim(), event("Told", "so"))
    async with served(*documents) as server:
        client = client_of(server, ADMIN)
        snapshot, notes = await read_cluster(client, "shop", plugins=NoPlugins())
        everything, _ = await read_cluster(client, "", plugins=NoPlugins())
    assert not notes
    assert snapshot.volume("disk") is not None
    assert snapshot.driver("csi.example.com") is not None
    assert [each.name for each in snapshot.nodes()] == ["n1"]
    assert [each.key for each in snapshot.claims()] == ["shop/orders"]
    assert [each.key for each in everything.claims()] == ["bank/ledger", "shop/orders"]
    assert snapshot.knows("CSIStorageCapacity")
    assert snapshot.moment is not None


async def test_reading_2_what_may_not_be_read_is_named_and_the_answer_does_without() -> None:
    async with served(claim(), DELAYED, node(), *role_for("ana", "persistentvolumeclaims")) as server:
        await asyncio.sleep(0)
        snapshot, notes = await read_cluster(client_of(server, ANA), "shop", plugins=NoPlugins())
    assert snapshot.claim(claim_key("shop", "orders")) is not None
    assert not snapshot.knows("Node")
    (note,) = notes
    assert note.startswith("the answer does without persistentvolumes, storageclasses.storage.k8s.io, pods, nodes, ")


async def test_reading_3_a_name_is_looked_for_in_other_namespaces_as_far_as_that_is_allowed() -> None:
    async with served(claim(), elsewhere_claim(), *role_for("ana", "persistentvolumeclaims")) as server:
        client = client_of(server, ADMIN)
        assert await elsewhere(client, PERSISTENT_VOLUME_CLAIMS, "ledger", "shop") == (["bank/ledger"], True)
        assert await elsewhere(client, PODS, "ledger", "shup") == ([], False)
        assert await elsewhere(client_of(server, ANA), PERSISTENT_VOLUME_CLAIMS, "ledger", "shop") == ([], True)


async def test_reading_4_snapshots_are_read_only_for_a_claim_that_waits_for_one() -> None:
    async with served(claim(dataSource=RESTORE), DELAYED, volume_snapshot()) as server:
        client = client_of(server, ADMIN)
        snapshot, notes = await read_cluster(client, "shop", plugins=NoPlugins())
        assert snapshot.volume_snapshot("shop/monday") is not None
        assert not notes
        without, _ = await read_cluster(client, "elsewhere", plugins=NoPlugins())
        assert not without.knows("VolumeSnapshot")
        asked = client.statistics().requests
        assert asked["list", "volumesnapshots.snapshot.storage.k8s.io"] == 1
