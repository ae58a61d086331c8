"""A service account that lacks a right, and a server that lacks a kind: what needs it doesn't work, all else does."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from tests.controllers.cluster import ADMIN, claim, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.rights import Right, rules_of
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.registry import beside_a_cluster
from pvbinder.controllers.rights import RIGHTS, rights_of
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import CLAIMS, VOLUMES, metadata_of
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.model.json import Json
from pvbinder.model.resources import Resource
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

RBAC = "rbac.authorization.k8s.io"
ROLES = metadata_of(Resource(RBAC, "v1", "ClusterRole", "clusterroles", False))
BINDINGS = metadata_of(Resource(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", False))
ATTRIBUTES_CLASSES = "volumeattributesclasses"


@asynccontextmanager
async def controlled(line: Transport, user: Client, *, ready: bool = True) -> AsyncIterator[Manager]:
    """The controllers of volumes on `line`, with a pair to bind."""
    manager = Manager(line, known=beside_a_cluster())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(manager.run())
        if ready:
            await manager.wait_ready()
        await user.create(VOLUMES, volume("disk"))
        await user.create(CLAIMS, claim("claim"))
        yield manager
        running.cancel()


async def allow(user: Client, rights: Iterable[Right]) -> None:
    """Let the user ``limited`` do this, and no more."""
    meta: Json = {"metadata": {"name": "limited"}}
    await user.create(ROLES, {**meta, "rules": rules_of(rights)})
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "limited"}
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": "limited"}]
    await user.create(BINDINGS, {**meta, "roleRef": reference, "subjects": subjects})


async def is_bound(user: Client, seconds: float = 60.0) -> bool:
    for _ in range(int(seconds)):
        await asyncio.sleep(1)
        if (await user.get(CLAIMS, "claim", "default")).phase == "Bound":
            return True
    return False


def without(resource: str, verb: str) -> list[Right]:
    rights = []
    for one in rights_of(RIGHTS):
        kept = tuple(v for v in one.verbs if (v, one.resources) != (verb, (resource,)))
        rights.append(Right(one.group, one.resources, kept)) if kept else None
    return rights


@on_virtual_time
async def test_the_rights_that_preflight_asks_for_are_enough(caplog: pytest.LogCaptureFixture) -> None:
    async with EmbeddedServer(listen=False) as server:
        user = Client(InProcessTransport(server.dispatcher, ADMIN))
        await allow(user, rights_of(RIGHTS))
        line = InProcessTransport(server.dispatcher, UserInfo("limited", groups=("system:authenticated",)))
        async with controlled(line, user) as manager:
            assert await is_bound(user)
            statuses = [one.statuses for one in manager.statistics().requests.values()]
        assert not any(403 in codes for codes in statuses)


@pytest.mark.parametrize(
    ("resource", "verb", "works"),
    [(ATTRIBUTES_CLASSES, "list", True), ("events", "create", True), ("persistentvolumes/status", "update", False)],
)
@on_virtual_time
async def test_a_right_that_is_missing_is_told_and_stops_what_needs_it_only(
    resource: str, verb: str, works: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="pvbinder")
    async with EmbeddedServer(listen=False) as server:
        user = Client(InProcessTransport(server.dispatcher, ADMIN))
        await allow(user, without(resource, verb))
        line = InProcessTransport(server.dispatcher, UserInfo("limited", groups=("system:authenticated",)))
        async with controlled(line, user, ready=resource != ATTRIBUTES_CLASSES) as manager:
            assert await is_bound(user, 30) is works
            requests = sum(one.total for one in manager.statistics().requests.values())
            assert requests < 30 + 150  # in half a minute: nothing turns in circles
            if not works:  # the right is given, and all goes on without a restart
                document = (await user.get(ROLES, "limited")).document()
                document["rules"] = rules_of(rights_of(RIGHTS))
                await user.replace(ROLES, document)
                assert await is_bound(user, 300)
    told = [str(vars(record)) for record in caplog.records]
    if resource != "events":
        assert any("forbidden" in text and resource.partition("/")[0] in text for text in told)


class OlderServer:
    """A server whose version doesn't have volume attributes classes yet."""

    def __init__(self, line: Transport) -> None:
        self._line = line

    async def send(self, request: Request) -> Answer:
        if ATTRIBUTES_CLASSES in request.path:
            return Answer(404, b"404 page not found\n")
        answer = await self._line.send(request)
        if request.path != "/apis/storage.k8s.io/v1":
            return answer
        document = json.loads(answer.body)
        document["resources"] = [one for one in document["resources"] if one["name"] != ATTRIBUTES_CLASSES]
        return Answer(answer.status, json.dumps(document).encode(), answer.headers)

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        if ATTRIBUTES_CLASSES in request.path:
            raise ApiFailure(404, "", "404 page not found")
        return self._line.watch(request)


@on_virtual_time
async def test_a_server_without_attributes_classes_is_told_and_all_else_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="pvbinder")
    async with EmbeddedServer(listen=False) as server:
        user = Client(InProcessTransport(server.dispatcher, ADMIN))
        line = OlderServer(InProcessTransport(server.dispatcher, ADMIN))
        async with controlled(line, user):
            assert await is_bound(user)
    assert "kind is not served" in [record.getMessage() for record in caplog.records]
