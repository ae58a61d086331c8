"""The requests that the binder makes, and that their answers are known at once (B-9).

Every write is a PUT of a whole document with the revision it was made from: a Conflict means that somebody else wrote
first, and the caller's sync is done again.
"""

from __future__ import annotations

from pvbinder import logs
from pvbinder.controllers.binder.caches import Caches
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, ClaimKey, Volume
from pvbinder.rules import binding
from pvbinder.rules.binding import VolumePhase

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

    async def live_claim(self, key: ClaimKey) -> Claim | None:
        """Read a claim from the server; None if there is none."""
        namespace, _, name = key.partition("/")
        try:
            return await self._client.get(CLAIMS, name, namespace)
        except ApiFailure as failure:
            if failure.is_not_found:
                return None
            raise

    async def live_volume(self, name: str) -> Volume | None:
        """Read a volume from the server; None if there is none."""
        try:
            return await self._client.get(VOLUMES, name)
        except ApiFailure as failure:
            if failure.is_not_found:
                return None
            raise

    async def create_volume(self, document: Json) -> Volume:
        """Create a volume."""
        answer = await self._client.create(VOLUMES, document)
        self._caches.volumes.put(answer)  # not as our own: its sync sends the claim on its way (SV-7)
        return answer

    async def delete_volume(self, name: str) -> None:
        """Delete a volume, whatever its state (DL-6)."""
        await self._client.delete(VOLUMES, name)
