"""Patches of a claim's status and of a volume, whose answers are in the caches at once."""

from __future__ import annotations

from pvbinder.kube.client import Client
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume


class Patching:
    """Makes strategic merge patches; they raise what requests raise."""

    def __init__(self, client: Client, claims: Informer[Claim], volumes: Informer[Volume]) -> None:
        self._client = client
        self._claims = claims
        self._volumes = volumes

    async def claim_status(self, claim: Claim, change: Json) -> Claim:
        """Change the status of `claim`, and its annotations; return what it is now."""
        answer = await self._client.patch(
            CLAIMS, claim.name, claim.namespace, change, patch_type="strategic", subresource="status"
        )
        self._claims.put(answer)
        return answer

    async def volume(self, volume: Volume, change: Json) -> Volume:
        """Change `volume`; return what it is now."""
        answer = await self._client.patch(VOLUMES, volume.name, "", change, patch_type="strategic")
        self._volumes.put(answer)
        return answer
