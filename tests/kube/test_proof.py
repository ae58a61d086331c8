"""What proves that an object is gone, and what doesn't (PROOF-1 to PROOF-3)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES, metadata_of
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.objects import Claim
from pvbinder.model.resources import Resource

CLAIM = {
    "kind": "PersistentVolumeClaim",
    "apiVersion": "v1",
    "metadata": {"name": "orders", "namespace": "shop", "uid": "u1", "resourceVersion": "7"},
}
OTHER = CLAIM | {"metadata": CLAIM["metadata"] | {"uid": "u2"}}  # type: ignore[operator]
DETAILS = {"name": "orders", "kind": "persistentvolumeclaims"}
LIST = {
    "kind": "PersistentVolumeClaimList",
    "apiVersion": "v1",
    "metadata": {"resourceVersion": "9"},
    "items": [],
}


def not_found(**more: Any) -> dict[str, Any]:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "details": DETAILS}
    return status | {"message": "not found", "code": 404} | more


class Told:
    """A server that gives one answer to reads and one to lists."""

    def __init__(self, read: Answer | None, listed: Answer | None) -> None:
        self.read, self.listed = read, listed
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self.listed if "fieldSelector" in request.query else self.read
        if answer is None:
            raise ConnectionFailed("connection reset")
        return answer

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise NotImplementedError


def answer(status: int, body: Any) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())


GONE_READ = answer(404, not_found())
GONE_LIST = answer(200, LIST)


async def ask(
    read: Answer | None, listed: Answer | None = GONE_LIST, *, uid: str = "u1", known_revision: str = ""
) -> Gone | Present[Claim] | Unproven:
    client = Client(Told(read, listed))
    return await prove_gone(client, CLAIMS, "orders", "shop", uid=uid, known_revision=known_revision)


@on_virtual_time
async def test_proof_1_two_answers_in_one_breath() -> None:
    told = Told(GONE_READ, GONE_LIST)

    assert await prove_gone(Client(told), CLAIMS, "orders", "shop", uid="u1") == Gone()
    assert [(r.path, dict(r.query)) for r in told.requests] == [
        ("/api/v1/namespaces/shop/persistentvolumeclaims/orders", {}),
        ("/api/v1/namespaces/shop/persistentvolumeclaims", {"fieldSelector": "metadata.name=orders", "limit": "2"}),
    ]


@on_virtual_time
async def test_proof_1_another_object_of_the_name_proves_it() -> None:
    assert await ask(answer(200, OTHER), answer(200, LIST | {"items": [OTHER]})) == Gone()
    assert await ask(GONE_READ, answer(200, LIST | {"items": [OTHER]})) == Gone(), "created between the two answers"


@on_virtual_time
async def test_proof_1_groups_and_kinds_without_namespace() -> None:
    details = {"name": "fast", "group": "storage.k8s.io", "kind": "storageclasses"}
    listed = {"kind": "StorageClassList", "apiVersion": "storage.k8s.io/v1", "metadata": {"resourceVersion": "9"}}
    told = Told(answer(404, not_found(details=details)), answer(200, listed | {"items": None}))

    assert await prove_gone(Client(told), STORAGE_CLASSES, "fast") == Gone()


@on_virtual_time
async def test_proof_1_a_list_goes_by_the_name_that_its_definition_gives_it() -> None:
    details = {"name": "one", "group": "example.com", "kind": "shops"}
    listed = {"kind": "Mall", "apiVersion": "example.com/v1", "metadata": {"resourceVersion": "9"}, "items": []}
    shops = metadata_of(Resource("example.com", "v1", "Shop", "shops", True))

    async def asked(**changes: object) -> object:
        told = Told(answer(404, not_found(details=details)), answer(200, listed | changes))
        return await prove_gone(Client(told), shops, "one", "shop", uid="u1")

    assert await asked() == Gone()
    assert isinstance(await asked(apiVersion="example.com/v2"), Unproven)
    assert isinstance(await asked(kind=""), Unproven)
    assert isinstance(await asked(kind="Shop"), Unproven)


@on_virtual_time
async def test_proof_3_present_is_the_object_itself() -> None:
    found = await ask(answer(200, CLAIM))

    assert isinstance(found, Present)
    assert (found.object.key, found.object.uid) == ("shop/orders", "u1")
    assert isinstance(await ask(answer(200, OTHER), uid=""), Present)


READS = {  # what the read is answered with; the list would confirm
    "404 of a proxy": answer(404, b"404 page not found"),
    "404 without a body": answer(404, b""),
    "404 with an empty document": answer(404, {}),
    "404 that is no Status": answer(404, not_found(kind="Error")),
    "404 Status that is no failure": answer(404, not_found(status="Success")),
    "404 Status without details: the kind isn't served": answer(404, not_found(details={})),
    "404 Status with null details": answer(404, not_found(details=None)),
    "404 Status of another reason": answer(404, not_found(reason="Unknown")),
    "404 Status of another name": answer(404, not_found(details=DETAILS | {"name": "invoices"})),
    "404 Status of another kind": answer(404, not_found(details=DETAILS | {"kind": "persistentvolumes"})),
    "404 Status of another group": answer(404, not_found(details=DETAILS | {"group": "example.com"})),
    "404 Status of the namespace": answer(404, not_found(details={"name": "shop", "kind": "namespaces"})),
    "404 Status cut off": answer(404, json.dumps(not_found()).encode()[:-9]),
    "NotFound with another code": answer(400, not_found()),
    "403": answer(403, not_found(reason="Forbidden")),
    "401": answer(401, b"who are you"),
    "410": answer(410, not_found(reason="Gone")),
    "500": answer(500, b"oh"),
    "503": answer(503, b"starting"),
    "no answer": None,
    "nothing with 200": answer(200, b""),
    "a page with 200": answer(200, b"<html>"),
    "a Status with 200": answer(200, not_found()),
    "a list with 200": GONE_LIST,
    "an object of another kind": answer(200, OTHER | {"kind": "PersistentVolume"}),
    "an object of another version": answer(200, OTHER | {"apiVersion": "v2"}),
    "an object of another name": answer(200, OTHER | {"metadata": {"name": "x", "namespace": "shop", "uid": "u2"}}),
    "an object of another namespace": answer(200, OTHER | {"metadata": {"name": "orders", "uid": "u2"}}),
    "an object without uid": answer(200, OTHER | {"metadata": {"name": "orders", "namespace": "shop"}}),
    "an object cut off": answer(200, json.dumps(OTHER).encode()[:-2]),
    "204": answer(204, b""),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
@on_virtual_time
async def test_proof_2_what_a_read_does_not_prove(read: Answer | None) -> None:
    assert isinstance(await ask(read), Unproven)


LISTS = {  # what the list is answered with; the read said NotFound as it should
    "404 of a proxy": answer(404, b"404 page not found"),
    "404 Status": GONE_READ,
    "403": answer(403, b"no"),
    "503": answer(503, b""),
    "no answer": None,
    "nothing with 200": answer(200, b""),
    "cut off": answer(200, json.dumps(LIST).encode()[:-3]),
    "another kind": answer(200, LIST | {"kind": "PersistentVolumeList"}),
    "no kind": answer(200, {"metadata": {"resourceVersion": "9"}, "items": []}),
    "another version": answer(200, LIST | {"apiVersion": "example.com/v1"}),
    "the object, no list": answer(200, OTHER),
    "without revision": answer(200, LIST | {"metadata": {}}),
    "with a revision of too many digits": answer(200, LIST | {"metadata": {"resourceVersion": "9" * 5000}}),
    "with revision 0": answer(200, LIST | {"metadata": {"resourceVersion": "0"}}),
    "without items": answer(200, {key: value for key, value in LIST.items() if key != "items"}),
    "with the object": answer(200, LIST | {"items": [CLAIM]}),
    "with objects of another kind": answer(200, LIST | {"items": [OTHER | {"kind": "Pod"}]}),
    "with other objects": answer(200, LIST | {"items": [OTHER | {"metadata": {"name": "x", "uid": "u2"}}]}),
    "that goes on": answer(200, LIST | {"metadata": {"resourceVersion": "9", "continue": "more"}}),
}


@pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS.keys())
@on_virtual_time
async def test_proof_2_what_a_list_does_not_confirm(listed: Answer | None) -> None:
    assert isinstance(await ask(GONE_READ, listed), Unproven)


@on_virtual_time
async def test_proof_2_an_old_list_confirms_nothing() -> None:
    assert isinstance(await ask(GONE_READ, known_revision="10"), Unproven)
    assert await ask(GONE_READ, known_revision="9") == Gone()


@on_virtual_time
async def test_proof_2_without_a_whole_name_nothing_is_asked() -> None:
    told = Told(GONE_READ, GONE_LIST)

    assert isinstance(await prove_gone(Client(told), CLAIMS, "orders"), Unproven)
    assert isinstance(await prove_gone(Client(told), VOLUMES, ""), Unproven)
    assert not told.requests
