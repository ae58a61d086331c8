"""The requests that the binder makes, and that their answers are known at once (B-9).

WRITES-1  "Gone" is said of a claim or a volume only on proof (`kube.proof`), and never against the cache: one that has
          the object by then is proof of the contrary.
WRITES-2  What a proof finds present is known at once, and a cache that should have had it is listed anew.

Every write is a PUT of a whole document with the revision it was made from: a Conflict means that somebody else wrote
first, and the caller's sync is done again.
"""

from __future__ import annotations

from pvbinder import logs
from pvbinder.controllers.binder.caches import Caches
from pvbinder.controllers.claim_proof import ask_claim
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.evidence import check_against, read_whole_list
from pvbinder.kube.kinds import CLAIMS, PODS, VOLUMES
from pvbinder.kube.proof import Present, Proof, prove_gone
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, ClaimKey, ClaimRef, Volume
from pvbinder.rules import binding
from pvbinder.rules.binding import VolumePhase
from pvbinder.rules.volumes import LiveClaim, NotProven

log = logs.get(__name__)


class Writes:
    """Reads and writes of claims and volumes."""

    def __init__(self, client: Client, caches: Caches) -> None:
        self._client = client
        self._caches = caches

    async def volume(self, document: Json) -> Volume:
        """PUT a volume."""
        answer = await self._client.replace(VOLUMES, document)
        self._caches.take_volume(answer)
        return answer

    async def volume_status(self, document: Json) -> Volume:
        """PUT the status of a volume."""
        answer = await self._client.replace(VOLUMES, document, subresource="status")
        self._caches.take_volume(answer)
        return answer

    async def phase(self, volume: Volume, phase: VolumePhase, message: str = "", *, rule: str) -> Volume:
        """See that `volume` is in `phase` (ST-1); return it as it then is."""
        document = binding.with_phase(volume, phase, message)
        if document is None:
            return volume
        answer = await self.volume_status(document)
        log.info("Volume entered phase", pv=volume.name, phase=phase, rule=rule)
        return answer

    async def claim(self, document: Json) -> Claim:
        """PUT a claim."""
        answer = await self._client.replace(CLAIMS, document)
        self._caches.take_claim(answer)
        return answer

    async def claim_to_sync(self, document: Json) -> Claim:
        """PUT a claim and have the answer synced as if somebody else had written it (DC-3)."""
        answer = await self._client.replace(CLAIMS, document)
        self._caches.claims.put(answer)
        return answer

    async def claim_status(self, document: Json) -> Claim:
        """PUT the status of a claim."""
        answer = await self._client.replace(CLAIMS, document, subresource="status")
        self._caches.take_claim(answer)
        return answer

    async def ask_claim(self, ref: ClaimRef) -> LiveClaim | NotProven:
        """Ask the server for the claim that a volume refers to; `LiveClaim(None)`: it is gone (CLAIM_PROOF-1)."""
        return await ask_claim(self._client, self._caches.claims, ref)

    async def prove_volume(self, name: str) -> Proof[Volume]:
        """Say whether there is a volume called `name` (WRITES-1, WRITES-2)."""
        proof = await prove_gone(self._client, VOLUMES, name, known_revision=self._caches.volumes.resource_version)
        if isinstance(proof, Present):
            self._caches.volumes.correct(proof.object)
        return proof

    async def live_volume(self, name: str) -> Volume | None:
        """Read a volume from the server; None if it says that there is none, which is no proof yet."""
        try:
            return await self._client.get(VOLUMES, name)
        except ApiFailure as failure:
            if failure.names_as_not_found(VOLUMES.resource, name):
                return None
            raise

    async def create_volume(self, document: Json) -> Volume:
        """Create a volume."""
        answer = await self._client.create(VOLUMES, document)
        self._caches.volumes.put(answer)  # not as our own: its sync sends the claim on its way (SV-7)
        return answer

    async def delete_volume(self, volume: Volume) -> None:
        """Delete this volume, in any state, and no other of its name (DL-6)."""
        await self._client.delete(VOLUMES, volume.name, uid=volume.uid)

    async def pods_using(self, key: ClaimKey) -> list[str]:
        """Read live which pods use the claim and haven't ended (RY-2); raise `DoubtfulList` if that proves nothing."""
        namespace, cache = key.partition("/")[0], self._caches.pods
        listed = await read_whole_list(self._client, PODS, namespace, not_before=(cache.resource_version,))
        await check_against(listed, self._client, PODS, lambda: [pod for pod in cache if pod.namespace == namespace])
        return sorted(pod.key for pod in listed.items if key in pod.claim_keys and not pod.is_terminated)
