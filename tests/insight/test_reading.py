"""The objects that explain reads from a server: all that it needs and may read, and other places of a name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.insight.builders import (
    DELAYED,
    RESTORE,
    bound,
    claim,
    driver,
    event,
    its,
    node,
    pod,
    storage_class,
    volume_snapshot,
)

from pvbinder.insight import reading
from pvbinder.insight.reading import elsewhere, read_cluster
from pvbinder.kube.client import Client
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.transport import Answer, Request
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


def cluster_role_for(name: str, *plurals: str) -> list[Json]:
    """The right to list some kinds of storage that are in no namespace."""
    role, binding = role_for(name)
    rule = {"apiGroups": ["storage.k8s.io"], "resources": list(plurals), "verbs": ["list"]}
    role |= {"kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]}
    binding |= {"kind": "ClusterRoleBinding", "metadata": {"name": name}}
    binding["roleRef"] = binding["roleRef"] | {"kind": "ClusterRole"}
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


def with_secret(name: str) -> Json:
    return storage_class(
        parameters={
            "csi.storage.k8s.io/provisioner-secret-name": name,
            "csi.storage.k8s.io/provisioner-secret-namespace": "shop",
        }
    )


def secret(name: str) -> Json:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": "aHVzaA=="}}


class Overheard(InProcessTransport):
    """A transport that keeps the answers about secrets."""

    answers: list[bytes]

    async def send(self, request: Request) -> Answer:
        answer = await super().send(request)
        if "/secrets" in request.path:
            self.answers.append(answer.body)
        return answer


async def test_reading_5_of_a_secret_that_a_class_names_only_the_metadata_is_asked_for() -> None:
    async with served(claim(), with_secret("admin"), secret("admin"), secret("another")) as server:
        transport = Overheard(server.dispatcher, ADMIN)
        transport.answers = []
        client = Client(transport)
        snapshot, notes = await read_cluster(client, "", plugins=NoPlugins(), with_secrets=True)
        without, _ = await read_cluster(client, "", plugins=NoPlugins())
    assert not notes
    (known,) = snapshot.others("Secret")
    assert known.keys() == {"metadata"}
    assert known["metadata"]["name"] == "admin"
    assert client.statistics().requests["get", "secrets"] == 1
    (answer,) = transport.answers
    assert b"password" not in answer
    assert not without.knows("Secret")


async def test_reading_5_a_secret_that_isnt_there_is_known_to_be_missing() -> None:
    async with served(claim(), with_secret("admin"), secret("another")) as server:
        snapshot, notes = await read_cluster(client_of(server, ADMIN), "", plugins=NoPlugins(), with_secrets=True)
    assert snapshot.knows("Secret")
    assert not snapshot.others("Secret")
    assert not notes


async def test_reading_5_secrets_that_may_not_be_read_are_named_and_not_known() -> None:
    roles = [*role_for("ana", "persistentvolumeclaims"), *cluster_role_for("ana", "storageclasses")]
    async with served(claim(), with_secret("admin"), *roles) as server:
        snapshot, notes = await read_cluster(client_of(server, ANA), "shop", plugins=NoPlugins(), with_secrets=True)
    assert not snapshot.knows("Secret")
    assert any("secrets" in note for note in notes)


async def test_reading_5_too_many_secrets_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SECRETS_MAX", 0)
    async with served(claim(), with_secret("admin")) as server:
        client = client_of(server, ADMIN)
        snapshot, notes = await read_cluster(client, "", plugins=NoPlugins(), with_secrets=True)
    assert notes == ["classes name more than 0 secrets: whether they exist wasn't asked"]
    assert not snapshot.knows("Secret")
    assert ("get", "secrets") not in client.statistics().requests
