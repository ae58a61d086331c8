"""The operation that has a volume made for a claim: by a plugin, or by asking an external provisioner.

PROVISIONER-1  No asset is forgotten: storage that a plugin made is saved as a volume or deleted again; if neither
               works, an event says so. Its storage is deleted only on proof that no volume has it: a lost answer isn't
               a failure. In doubt it is kept, an event says so, and the volume is saved again.
PROVISIONER-2  A volume is made once per claim: its name comes from the claim's uid, and one that is there is enough.

Rules: docs/rules/binder.md#10-provisioning
"""

from __future__ import annotations

import asyncio
from typing import assert_never

from pvbinder import logs
from pvbinder.controllers.binder.caches import Caches
from pvbinder.controllers.binder.errors import OperationError
from pvbinder.controllers.binder.reporter import Reporter
from pvbinder.controllers.binder.writes import Writes
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.proof import Gone, Present, Proof, Unproven
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, Node, StorageClass, Volume, parse_volume
from pvbinder.rules import events, provisioning
from pvbinder.rules.plugins import PluginAbilities
from pvbinder.rules.provisioning import ProvisionInTree, ProvisionOutside, Refusal
from pvbinder.rules.settings import Settings
from pvbinder.volumes.calls import PluginCalls
from pvbinder.volumes.plugin import Deleted, Failed, InUse, Provisioned, ProvisionRequest

ATTEMPTS_MAX = 5  # to save a volume, and to delete its asset again (PR-15, PR-17)
PAUSE_SECONDS = 10.0

log = logs.get(__name__)


class VolumeProvisioner:
    """Carries out `ProvisionInTree` and `ProvisionOutside`."""

    def __init__(
        self,
        caches: Caches,
        writes: Writes,
        reporter: Reporter,
        calls: PluginCalls,
        settings: Settings,
        *,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._caches = caches
        self._writes = writes
        self._reporter = reporter
        self._calls = calls
        self._settings = settings
        self._pause_seconds = pause_seconds

    async def provision(self, claim: Claim, by: ProvisionInTree | ProvisionOutside) -> None:
        """Run the operation for `claim` to its end; raise `OperationError` where the reference backs off."""
        match by:
            case ProvisionOutside(provisioner=provisioner):
                await self._ask(claim, provisioner)
            case ProvisionInTree(storage_class=storage_class, plugin=plugin):
                await self._make(claim, storage_class, plugin)
            case _:
                assert_never(by)

    async def _ask(self, claim: Claim, provisioner: str) -> None:
        """Ask an external provisioner: name it on the claim, and tell the user so (PR-18 to PR-20)."""
        try:
            claim = await self._with_provisioner(claim, provisioner)
        except (ApiFailure, ConnectionFailed) as error:
            self._reporter.on_claim(claim, events.provisioning_failed(f"Error saving claim: {error.message}"))
            raise
        self._reporter.on_claim(claim, events.waiting_for_provisioner(provisioner))

    async def _with_provisioner(self, claim: Claim, provisioner: str) -> Claim:
        document = provisioning.with_provisioner(claim, provisioner, self._settings.migrations)
        return claim if document is None else await self._writes.claim(document)

    async def _make(self, claim: Claim, storage_class: StorageClass, plugin: PluginAbilities) -> None:
        """Make a volume with a plugin: all of PR-7 to PR-17, in that order."""
        self._check(claim, provisioning.refuse_data_source(claim, plugin))
        claim = await self._with_provisioner(claim, storage_class.provisioner)
        name = provisioning.volume_name_for(claim)
        if await self._writes.live_volume(name) is not None:
            return
        self._check(claim, provisioning.refuse_mount_options(storage_class, plugin))
        unavailable = self._calls.catalogue.identity(plugin.name).unavailable
        if unavailable is not None:
            raise self._failed(claim, f"Failed to create provisioner: {unavailable}")
        request = ProvisionRequest(name, claim, storage_class, self._node_for(claim))
        outcome = await self._calls.provision(plugin.name, request)
        match outcome:
            case Failed(reason=reason):
                claim = await self._without_selected_node(claim)
                why = f'Failed to provision volume with StorageClass "{storage_class.name}": {reason}'
                raise self._failed(claim, why)
            case Provisioned():
                made = outcome.to_volume(request)
                document = provisioning.provisioned_volume(claim, storage_class, plugin.name, made)
                await self._save(claim, document, plugin)
            case _:
                assert_never(outcome)

    def _node_for(self, claim: Claim) -> Node | None:
        """Return the node that the scheduler has selected; fail the operation if there is no such node (PR-12)."""
        if claim.selected_node is None:
            return None
        node = self._caches.node(claim.selected_node)
        if node is None:
            raise self._failed(claim, f'Failed to get target node: node "{claim.selected_node}" not found')
        return node

    async def _without_selected_node(self, claim: Claim) -> Claim:
        """Let the scheduler choose again; that this fails is no reason to fail (PR-13)."""
        document = provisioning.without_selected_node(claim)
        if document is None:
            return claim
        try:
            return await self._writes.claim(document)
        except (ApiFailure, ConnectionFailed) as error:
            log.warning("could not remove the selected node", pvc=claim.key, err=error.message)
            return claim

    async def _save(self, claim: Claim, document: Json, plugin: PluginAbilities) -> None:
        """Create the volume of storage that was made; if that fails, delete the storage again (PR-15 to PR-17)."""
        name = document["metadata"]["name"]
        while True:
            problem = await self._try_to_save(document)
            if problem is None:
                self._saved(claim, name, plugin)
                return
            proof = await self._prove(name)
            match proof:
                case Gone():
                    break
                case Present():
                    self._saved(claim, name, plugin)
                    return
                case Unproven(why=why):
                    self._keep(claim, name, f"{problem}; {why}")
                    await asyncio.sleep(self._pause_seconds)
                case _:
                    assert_never(proof)
        why = f"Error creating provisioned PV object for claim {claim.key}: {problem}. Deleting the volume."
        self._reporter.on_claim(claim, events.provisioning_failed(why))
        await self._clean_up(claim, document, plugin)

    async def _try_to_save(self, document: Json) -> str | None:
        """PR-15: create the volume; return the last problem if no attempt is known to have succeeded."""
        problem = ""
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                await asyncio.sleep(self._pause_seconds)
            try:
                await self._writes.create_volume(document)
            except ApiFailure as failure:
                if failure.is_already_exists:
                    return None
                problem = failure.message
            except ConnectionFailed as failed:
                problem = failed.message
            else:
                return None
        return problem

    async def _prove(self, name: str) -> Proof[Volume]:
        """Say whether the volume was saved after all: the cache knows, or the server is asked (PROVISIONER-1)."""
        known = self._caches.volume(name)
        if known is not None:
            return Present(known)
        proof = await self._writes.prove_volume(name)
        known = self._caches.volume(name)  # it may have come while the server was asked
        return Present(known) if known is not None else proof

    def _saved(self, claim: Claim, name: str, plugin: PluginAbilities) -> None:
        log.info("Volume provisioned for claim", pvc=claim.key, pv=name, rule="PR-16")
        self._reporter.on_claim(claim, events.provisioned(name, plugin.name))

    def _keep(self, claim: Claim, name: str, why: str) -> None:
        """Say that nobody knows whether the volume was saved, and that its storage is kept therefore."""
        log.warning("storage is kept: nobody knows whether its volume was saved", pvc=claim.key, pv=name, err=why)
        self._reporter.on_claim(claim, events.provisioned_volume_unknown(claim.key, name, why))

    async def _clean_up(self, claim: Claim, document: Json, plugin: PluginAbilities) -> None:
        """Delete the asset of a volume that could not be saved (PR-17).

        The reference then looks for the volume it could not save, doesn't find it, takes that for a failure and warns
        although the asset is gone; here the event means what it says.
        """
        volume = parse_volume(encode(document))
        if not plugin.can_delete:
            self._reporter.on_claim(claim, events.cleanup_failed(claim.key, "no deletable volume plugin matched"))
            return
        problem = ""
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                await asyncio.sleep(self._pause_seconds)
            proof = await self._prove(volume.name)
            if isinstance(proof, Present):
                self._saved(claim, volume.name, plugin)
                return
            if isinstance(proof, Unproven):
                problem = f"it is not proven that no volume has the storage: {proof.why}"
                self._keep(claim, volume.name, problem)
                continue
            outcome = await self._calls.delete(plugin.name, volume)
            match outcome:
                case Deleted():
                    return
                case InUse(reason=reason) | Failed(reason=reason):
                    problem = reason
                case _:
                    assert_never(outcome)
        self._reporter.on_claim(claim, events.cleanup_failed(claim.key, problem))

    def _check(self, claim: Claim, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._reporter.on_claim(claim, refusal.event)
            raise OperationError(refusal.error)

    def _failed(self, claim: Claim, why: str) -> OperationError:
        """Tell why on the claim (E-19), and return the error to raise."""
        self._reporter.on_claim(claim, events.provisioning_failed(why))
        return OperationError(why)
