"""Whether a claim is gone: on proof, and never against the cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.kube.small_server import SmallServer
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.claim_proof import ask_claim
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.objects import Claim, ClaimRef
from pvbinder.rules.volumes import LiveClaim, NotProven

SHOP = "/api/v1/namespaces/shop/persistentvolumeclaims"
ORDERS = ClaimRef("shop", "orders-1", "u1")


class Shop(SmallServer):
    """A server whose list of claims names its kind, as a proof demands."""

    async def send(self, request: Request) -> Answer:
        answer = await super().send(request)
        if request.path != SHOP:
            return answer
        listed = answer.body.replace(b'"kind": "List"', b'"kind": "PersistentVolumeClaimList"')
        return Answer(answer.status, listed, answer.headers)

    def has(self, uid: str) -> None:
        self.apply(f"{SHOP}/orders-1", {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": {"uid": uid}})


@asynccontextmanager
async def claims_of(server: SmallServer) -> AsyncGenerator[tuple[Client, Informer[Claim]]]:
    client = Client(server, retries=Retries(attempts=1))
    claims = Informer(client, CLAIMS, "shop", chance=lambda: 0.0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(claims.run())
        await claims.wait_synced()
        yield client, claims
        task.cancel()


@on_virtual_time
async def test_claim_proof_1_a_claim_that_the_cache_has_is_not_gone() -> None:
    server = Shop(revision=10)
    async with claims_of(server) as (client, claims):
        assert await ask_claim(client, claims, ORDERS) == LiveClaim(None)
        server.has("u1")
        await asyncio.sleep(1)
        del server.objects[f"{SHOP}/orders-1"]  # and the watch doesn't tell
        answer = await ask_claim(client, claims, ORDERS)
        assert answer == NotProven('claim "shop/orders-1" was seen a moment ago')
        assert await ask_claim(client, claims, ClaimRef("shop", "orders-1", "u0")) == LiveClaim(None)


@on_virtual_time
async def test_claim_proof_1_an_answer_that_proves_nothing_is_none() -> None:
    server = Shop(revision=10)
    async with claims_of(server) as (client, claims):
        await asyncio.sleep(1)  # the watch is open
        server.before.append(lambda _: Answer(404, b"404 page not found"))
        assert isinstance(await ask_claim(client, claims, ORDERS), NotProven)


@on_virtual_time
async def test_claim_proof_2_a_claim_that_the_cache_lacks_is_known_from_then_on() -> None:
    server = Shop(revision=10)
    async with claims_of(server) as (client, claims):
        await asyncio.sleep(1)
        server.is_silent = True
        server.break_watches()
        await asyncio.sleep(1)
        server.has("u1")
        assert claims.get(ORDERS.key) is None
        answer = await ask_claim(client, claims, ORDERS)
        assert isinstance(answer, LiveClaim)
        assert answer.claim is not None
        assert claims.get(ORDERS.key) is answer.claim
