"""A volume and a claim that only a binder would bring together, and who did.

CANARY-1  Both are recognisable and harmless: a class, a driver and names that nobody else has, and the policy Retain.
CANARY-2  They are taken away again, also when we are interrupted: only by their UIDs, with their finalizers if nobody
          else removes those. What couldn't be taken away is named.
CANARY-3  Who bound them is read from the owners of the fields that a binder writes.
CANARY-4  Nothing is made by a user who may not take it away again: that is asked first.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pvbinder.kube.client import Client, Kind
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import metadata_of
from pvbinder.kube.reviews import may_we
from pvbinder.model.json import Json
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, Resource

USER_AGENT: Final = "pvbinder-preflight"
LOOK_SECONDS: Final = 0.5
PROTECTION_SECONDS: Final = 3.0  # for a protection controller to let go what is deleted
CLEANING_SECONDS: Final = 15.0
_KINDS: Final[dict[str, Kind[Any]]] = {
    resource.plural: metadata_of(resource) for resource in (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES)
}


@dataclass(slots=True)
class Sighting:
    """What was seen: who wrote (`binders` by field manager; empty is nobody), and what is left over."""

    is_bound: bool = False
    missing: tuple[str, ...] = ()  # the rights without which no canary was made (CANARY-4)
    binders: tuple[str, ...] = ()
    protectors: tuple[str, ...] = ()  # the kinds whose finalizers somebody else removed
    left: list[str] = field(default_factory=list)
    trouble: str = ""  # why it isn't known whether somebody bound it
    why_left: str = ""


class Canary:
    """One pair. Construct it, then `fly()` once."""

    def __init__(self, client: Client, namespace: str, *, name: str = "", seconds: float = 20.0) -> None:
        """Make the claim in `namespace`, and look for `seconds` whether somebody binds it."""
        self._client = client
        self._namespace = namespace
        self._seconds = seconds
        self.name = name or f"pvbinder-preflight-{uuid.uuid4().hex[:8]}"
        self._made: list[tuple[Resource, str, str]] = []  # with namespace and UID

    async def fly(self, tick: Callable[[], None] = lambda: None) -> Sighting:
        """Make the pair, look, and take it away again; call `tick` now and then."""
        sighting = Sighting()
        try:
            sighting.missing = await self._missing_rights()
            if sighting.missing:
                return sighting
            await self._make()
            async with asyncio.timeout(self._seconds):
                while not sighting.is_bound:
                    await asyncio.sleep(LOOK_SECONDS)
                    tick()
                    await self._look(sighting)
        except TimeoutError:
            pass
        except (ApiFailure, ConnectionFailed) as error:
            sighting.trouble = error.message
        finally:
            cleaning = asyncio.ensure_future(self._clean(sighting))
            try:
                await asyncio.shield(cleaning)
            except asyncio.CancelledError:
                await cleaning  # bounded by CLEANING_SECONDS
                raise
        return sighting

    async def _missing_rights(self) -> tuple[str, ...]:
        needed = [
            (verb, resource, namespace)
            for resource, namespace in ((PERSISTENT_VOLUMES, ""), (PERSISTENT_VOLUME_CLAIMS, self._namespace))
            for verb in ("create", "get", "delete", "patch")
        ]
        answers = await asyncio.gather(
            *(may_we(self._client, verb, resource.group, resource.plural, where) for verb, resource, where in needed)
        )
        return tuple(
            f"{verb} {resource.plural}{f' in {where}' if where else ''}"
            for (verb, resource, where), answer in zip(needed, answers, strict=True)
            if not answer.allowed
        )

    async def _make(self) -> None:
        spec = {"storageClassName": self.name, "accessModes": ["ReadWriteOnce"]}
        labels = {"app.kubernetes.io/created-by": "pvbinder-preflight"}
        volume: Json = {
            "metadata": {"name": self.name, "labels": labels},
            "spec": {
                **spec,
                "capacity": {"storage": "1Mi"},
                "persistentVolumeReclaimPolicy": "Retain",
                "csi": {"driver": "preflight.pvbinder.invalid", "volumeHandle": self.name},
            },
        }
        claim: Json = {
            "metadata": {"name": self.name, "namespace": self._namespace, "labels": labels},
            "spec": {**spec, "resources": {"requests": {"storage": "1Mi"}}},
        }
        for resource, namespace, document in (
            (PERSISTENT_VOLUMES, "", volume),
            (PERSISTENT_VOLUME_CLAIMS, self._namespace, claim),
        ):
            self._made.append((resource, namespace, ""))  # it may be there even if the answer gets lost
            try:
                made = await self._client.create(_KINDS[resource.plural], document)
            except ApiFailure as failure:
                if not failure.leaves_write_unknown:
                    self._made.pop()
                raise
            self._made[-1] = (resource, namespace, made.uid)

    async def _look(self, sighting: Sighting) -> None:
        binders: dict[str, None] = {}
        for resource, namespace, _ in self._made:
            document = (await self._client.get(_KINDS[resource.plural], self.name, namespace)).document()
            sighting.is_bound |= (document.get("status") or {}).get("phase") in ("Available", "Bound")
            sighting.is_bound |= bool((document.get("spec") or {}).get("claimRef"))
            for one in document["metadata"].get("managedFields") or []:
                if one.get("manager") != USER_AGENT:
                    binders[str(one.get("manager") or "somebody")] = None
        sighting.binders = tuple(binders) or (("somebody",) if sighting.is_bound else ())

    # -- taking it away (CANARY-2)

    async def _clean(self, sighting: Sighting) -> None:
        protectors = []
        try:
            async with asyncio.timeout(CLEANING_SECONDS):
                for resource, namespace, uid in reversed(self._made):
                    if await self._remove(resource, namespace, uid):
                        protectors.append(resource.kind)
        except (ApiFailure, ConnectionFailed, TimeoutError) as error:
            sighting.why_left = str(error) or "no answer in time"
        sighting.left = [
            f"{resource.plural}/{self.name}{f' in {namespace}' if namespace else ''}"
            for resource, namespace, _ in self._made
        ]
        sighting.protectors = tuple(protectors)

    async def _remove(self, resource: Resource, namespace: str, uid: str) -> bool:
        """Remove an object of ours; True if somebody else removed its finalizer."""
        kind = _KINDS[resource.plural]
        known = await self._find(resource, namespace)
        if known is not None and (not uid or known["metadata"]["uid"] == uid) and _is_ours(known):
            await self._client.delete(kind, self.name, namespace, uid=known["metadata"]["uid"])
            had_finalizers = bool(known["metadata"].get("finalizers"))
            waited = 0.0
            while (left := await self._find(resource, namespace)) is not None and waited < PROTECTION_SECONDS:
                await asyncio.sleep(LOOK_SECONDS)
                waited += LOOK_SECONDS
            if left is not None:
                change: Json = {"metadata": {"finalizers": None, "uid": left["metadata"]["uid"]}}
                await self._client.patch(kind, self.name, namespace, change, patch_type="merge")
            self._made = [one for one in self._made if one[0] is not resource]
            return left is None and had_finalizers
        self._made = [one for one in self._made if one[0] is not resource]
        return False

    async def _find(self, resource: Resource, namespace: str) -> Json | None:
        try:
            document: Json = (await self._client.get(_KINDS[resource.plural], self.name, namespace)).document()
            return document
        except ApiFailure as failure:
            if failure.is_not_found:
                return None
            raise


def _is_ours(document: Json) -> bool:
    return bool((document["metadata"].get("labels") or {}).get("app.kubernetes.io/created-by") == USER_AGENT)
