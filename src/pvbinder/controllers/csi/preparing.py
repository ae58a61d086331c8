"""What a claim's volume needs to know of the cluster before the driver is asked (CP-3, CP-5 to CP-19).

PREPARING-1  The checks come in the reference's order, and each failure says what the next attempt may assume.
PREPARING-2  A source that a volume is made from is protected before the driver is asked (DS-6, DS-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.places import Places
from pvbinder.controllers.csi.secrets import SecretMissingError, read_secret
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, VOLUMES, Metadata, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, StorageClass
from pvbinder.model.resources import VOLUME_SNAPSHOT_CONTENTS, VOLUME_SNAPSHOTS
from pvbinder.rules.csi.parameters import fstype_of
from pvbinder.rules.csi.refusals import NotOurs, ProvisioningFailed, State, finished, no_change
from pvbinder.rules.csi.secrets import SecretKind
from pvbinder.rules.csi.sources import (
    CLONING_FINALIZER,
    SNAPSHOT_FINALIZER,
    SNAPSHOT_GROUP,
    DataSource,
    SourceError,
    data_source_of,
    snapshot_to_restore,
    volume_to_clone,
)
from pvbinder.rules.csi.topology import NodeGoneError, Requirement, TopologyError
from pvbinder.rules.csi.volumes import (
    Abilities,
    FromSnapshot,
    FromVolume,
    VolumeContent,
    VolumeRequest,
    check_abilities,
    request_for,
    secret_of,
)

SNAPSHOTS: Final = metadata_of(VOLUME_SNAPSHOTS)
CONTENTS: Final = metadata_of(VOLUME_SNAPSHOT_CONTENTS)


class Preparation:
    """Makes the request for a claim's volume."""

    def __init__(
        self, client: Client, places: Places, driver: str, abilities: Abilities, options: ProvisionerOptions
    ) -> None:
        self._client = client
        self._places = places
        self._driver = driver
        self._abilities = abilities
        self._options = options

    async def request(self, claim: Claim, storage_class: StorageClass, name: str) -> VolumeRequest:
        """Return what the driver is asked for; raise ProvisioningFailed, or NotOurs."""
        source = self._source(claim, claim.document()) if b"dataSource" in claim.raw else None
        check_abilities(
            self._abilities,
            restores=source is not None and source.kind == "VolumeSnapshot",
            clones=source is not None and source.kind == "PersistentVolumeClaim",
            has_class=bool(claim.attributes_class),
        )
        if claim.selector is not None:
            raise finished("claim Selector is not supported")
        fstype_of(storage_class.parameters, self._options.default_fstype)
        content = await self._content(claim, source) if source is not None else None
        accessibility = self._accessibility(claim, storage_class)
        await self._check_secret(claim, storage_class, name)
        request = request_for(
            claim,
            storage_class,
            name,
            self._abilities,
            default_fstype=self._options.default_fstype,
            extra_metadata=self._options.extra_create_metadata,
            content=content,
            accessibility=accessibility,
        )
        mutable = await self._mutable_parameters(claim)
        return msgspec.structs.replace(request, mutable_parameters=dict(mutable))

    async def _check_secret(self, claim: Claim, storage_class: StorageClass, name: str) -> None:
        """See that the secret for the call can be read, which the reference does before it looks at the others."""
        secret = secret_of(SecretKind.PROVISIONER, claim, storage_class, name)
        if secret is not None:
            try:
                await read_secret(self._client, secret)  # for the call it is read again: nothing keeps it meanwhile
            except SecretMissingError as error:
                raise no_change(error.message) from error

    # -- where

    def _accessibility(self, claim: Claim, storage_class: StorageClass) -> Requirement | None:
        if not self._abilities.topology:
            return None  # TP-1
        try:
            return self._places.require(
                claim, storage_class, strict=self._options.strict_topology, immediate=self._options.immediate_topology
            )
        except NodeGoneError as error:
            raise ProvisioningFailed(error.message, State.RESCHEDULE) from error
        except TopologyError as error:
            raise no_change(f"error generating accessibility requirements: {error.message}") from error

    # -- from what

    def _source(self, claim: Claim, document: Json) -> DataSource | None:
        """Return the source that the driver is to use (CP-3, CP-5 to CP-7)."""
        source = data_source_of(document)
        if source is None:
            return None
        if source.namespace != claim.namespace:
            raise finished(
                "dataSourceRef namespace specified but the CrossNamespaceVolumeDataSource feature is disabled"
            )
        if not source.name:
            raise finished(f"the PVC source not found for PVC {claim.name}")
        if source.kind == "VolumeSnapshot":
            if source.group != SNAPSHOT_GROUP:
                raise finished(
                    "the PVC source does not belong to the right APIGroup. "
                    f"Expected {SNAPSHOT_GROUP}, Got {source.group}"
                )
        elif source.kind != "PersistentVolumeClaim":  # whatever its group is: CP-7
            raise NotOurs("Assuming an external populator will provision the volume")
        return source

    async def _content(self, claim: Claim, source: DataSource) -> VolumeContent:
        """Return what the volume's content comes from, protected from now on (CP-14, PREPARING-2)."""
        what = f"error getting handle for DataSource Type {source.kind} by Name {source.name}: "
        try:
            if source.kind == "PersistentVolumeClaim":
                return await self._clone(claim, source)
            return await self._restore(claim, source)
        except (SourceError, ApiFailure, ConnectionFailed) as error:
            raise no_change(what + error.message) from error

    async def _clone(self, claim: Claim, source: DataSource) -> VolumeContent:
        try:
            found = await self._client.get(CLAIMS, source.name, claim.namespace)
        except (ApiFailure, ConnectionFailed) as error:
            is_gone = isinstance(error, ApiFailure) and error.is_not_found
            why = f'persistentvolumeclaim "{source.name}" not found' if is_gone else error.message  # a lister's words
            volume_to_clone(claim, None, None, name=source.name, driver=self._driver, why_missing=why)
            raise
        volume = None
        if found.volume_name:
            try:
                volume = await self._client.get(VOLUMES, found.volume_name)
            except ApiFailure as failure:
                if not failure.is_not_found:
                    raise
        handle = volume_to_clone(claim, found, volume, name=source.name, driver=self._driver)
        if CLONING_FINALIZER not in found.finalizers:
            document = found.document()
            document["metadata"]["finalizers"] = [*found.finalizers, CLONING_FINALIZER]
            await self._client.replace(CLAIMS, document)
        return FromVolume(handle)

    async def _restore(self, claim: Claim, source: DataSource) -> VolumeContent:
        snapshot = await self._snapshot(claim, source)
        name = (snapshot.document().get("status") or {}).get("boundVolumeSnapshotContentName") or ""
        content: Json = {}
        if name:
            try:
                content = (await self._client.get(CONTENTS, name)).document()
            except (ApiFailure, ConnectionFailed) as error:
                raise SourceError(f"error getting snapshotcontent {name} for snapshot {source.name}") from error
        handle = snapshot_to_restore(
            claim,
            snapshot.document(),
            content,
            driver=self._driver,
            storage_class=claim.storage_class,
            prevents_mode_conversion=self._options.prevent_volume_mode_conversion,
        )
        await self._protect(snapshot)
        return FromSnapshot(handle)

    async def _snapshot(self, claim: Claim, source: DataSource) -> Metadata:
        try:
            snapshot = await self._client.get(SNAPSHOTS, source.name, claim.namespace)
        except (ApiFailure, ConnectionFailed) as error:
            raise SourceError(f"error getting snapshot {source.name} from api server: {error.message}") from error
        if snapshot.is_deleting and SNAPSHOT_FINALIZER not in snapshot.finalizers:
            raise SourceError(f"snapshot {source.name} is being deleted")
        return snapshot

    async def _protect(self, snapshot: Metadata) -> None:
        if SNAPSHOT_FINALIZER in snapshot.finalizers:
            return
        document = snapshot.document()
        document["metadata"]["finalizers"] = [*snapshot.finalizers, SNAPSHOT_FINALIZER]
        try:
            await self._client.replace(SNAPSHOTS, document)
        except ApiFailure as failure:
            if not failure.is_forbidden:  # DS-11
                raise

    # -- with which attributes

    async def _mutable_parameters(self, claim: Claim) -> Mapping[str, str]:
        """Return the parameters of the claim's attributes class (CP-19)."""
        name = claim.attributes_class
        if not name:
            return {}
        try:
            found = await self._client.get(ATTRIBUTES_CLASSES, name)
        except (ApiFailure, ConnectionFailed) as error:
            raise no_change(error.message) from error
        document = found.document()
        if document.get("driverName") != self._driver:
            raise finished(
                f"VAC {name} referenced in PVC is for driver {document.get('driverName')} "
                f"which does not match driver name {self._driver}"
            )
        return document.get("parameters") or {}


def untranslated(storage_class: StorageClass, driver: str) -> str:
    """Return what is told of a class of an in-tree plugin that was moved to `driver` (CP-4): nothing translates it."""
    said = f"storage class {storage_class.name} is of {storage_class.provisioner}, and is not translated for CSI"
    return f"{said}: make a class whose provisioner is {driver}"
