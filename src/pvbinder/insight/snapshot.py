"""The objects of a cluster at one moment, as the rules want to see them.

SNAPSHOT-1  A `Snapshot` is a `World`: decisions made from it are those that the controllers make from their caches.
SNAPSHOT-2  An object that can't be read is in `unreadable` with the reason, and everything else is there.
SNAPSHOT-3  A missing object counts as nonexistent only if its kind is known (`knows`): the kind was read from a server,
            or the snapshot has other objects of it. A file without nodes says nothing about nodes.
SNAPSHOT-4  `moment` is the time of the snapshot: the time of reading from a server, else the newest time that an event
            or a node reports, else `written_at`, the time of the file.

A snapshot is built once and not changed; it makes no difference between a server and a file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct

from pvbinder.insight.instants import instant, instants_in
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import (
    Claim,
    ClaimKey,
    Node,
    Pod,
    StorageClass,
    View,
    Volume,
    VolumeAttributesClass,
    parse_claim,
    parse_node,
    parse_pod,
    parse_storage_class,
    parse_volume,
    parse_volume_attributes_class,
)
from pvbinder.model.scheduling import (
    CsiDriver,
    CsiStorageCapacity,
    parse_csi_driver,
    parse_csi_storage_capacity,
)
from pvbinder.model.selectors import NodeSelector
from pvbinder.model.snapshots import VolumeSnapshot, parse_snapshot
from pvbinder.model.stateful_sets import StatefulSet, parse_stateful_set
from pvbinder.rules.plugins import NoPlugins, Plugins
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.volume_index import VolumeIndex
from pvbinder.rules.world import ObjectsByKey, Sources, World

OTHERS: Final[Mapping[str, bool]] = (
    MappingProxyType(  # kinds that decide about no bind, and whether they have namespaces
        {
            "CSINode": False,
            "CronJob": True,
            "DaemonSet": True,
            "Deployment": True,
            "Job": True,
            "Namespace": False,
            "ReplicaSet": True,
            "ReplicationController": True,
            "ResourceQuota": True,
            "Secret": True,
            "VolumeSnapshotClass": False,
            "VolumeSnapshotContent": False,
        }
    )
)


class _Involved(Struct, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class ObservedEvent(Struct, frozen=True, rename="camel"):
    """An event of Kubernetes, about `involved_object`."""

    involved_object: _Involved = _Involved()
    type: str = ""
    reason: str = ""
    message: str = ""
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    count: int | None = None

    @property
    def time(self) -> str:
        """The last time of the event, in RFC 3339; ``""`` if it has none."""
        return self.last_timestamp or self.event_time or ""

    @property
    def span_seconds(self) -> float:
        """The time from its first time to its last; 0 if it lacks one of them."""
        first, last = instant(self.first_timestamp), instant(self.last_timestamp)
        return (last - first).total_seconds() if first is not None and last is not None else 0.0


class Attachment(Struct, frozen=True):
    """A VolumeAttachment: a volume that is attached to a node, or is to be; `error` says why it couldn't be."""

    volume: str
    node: str
    is_attached: bool
    error: str


class Snapshot(World):
    """Volumes, claims and the objects that decide about them."""

    def __init__(
        self,
        documents: Iterable[Json] = (),
        *,
        views: Iterable[View] = (),
        plugins: Plugins | None = None,
        settings: Settings = DEFAULTS,
        knows_drivers: bool = False,
        known: Collection[str] = (),
        moment: datetime | None = None,
        written_at: datetime | None = None,
    ) -> None:
        """Take in `documents` of any kind; of the kinds in `known`, a missing object doesn't exist (SNAPSHOT-3).

        Of objects that were read before, `views` are taken as they are.
        """
        self.settings = settings
        self.volumes = VolumeIndex(settings=settings)
        self.unreadable: list[PvbinderError] = []
        self.namespaces_with_unreadable_claims: set[str] = set()
        self._known = {*known, *(("CSIDriver",) if knows_drivers else ())}
        self._moment = moment
        self._reported: datetime | None = None
        self._written_at = written_at
        self._claims = ObjectsByKey[Claim]()
        self._classes = ObjectsByKey[StorageClass]()
        self._attributes_classes = ObjectsByKey[VolumeAttributesClass]()
        self._pods = ObjectsByKey[Pod]()
        self._pods_of: dict[ClaimKey, list[Pod]] = {}
        self._nodes = ObjectsByKey[Node]()
        self._drivers: dict[str, CsiDriver] = {}
        self._drivers_on: dict[str, frozenset[str]] = {}
        self._capacities: list[CsiStorageCapacity] = []
        self._namespaces_of_claims: set[str] = set()
        self._attachments: dict[str, list[Attachment]] = {}
        self._others: dict[str, list[Json]] = {}
        self._free_by_class: dict[str, list[Volume]] | None = None
        self._nodes_by_affinity: dict[NodeSelector, list[Node]] = {}
        self._stateful_sets = ObjectsByKey[StatefulSet]()
        self._volume_snapshots = ObjectsByKey[VolumeSnapshot]()
        self._events: dict[tuple[str, str, str], list[ObservedEvent]] = {}
        self.sources = Sources(
            volumes=self.volumes,
            claims=self._claims,
            classes=self._classes,
            pods_of=lambda key: self._pods_of.get(key, ()),
        )
        super().__init__(
            self.sources,
            nodes=self._nodes,
            index=self.volumes,
            plugins=plugins if plugins is not None else NoPlugins(),
        )
        for view in views:
            self._take(view)
        for document in documents:
            self._known.add(str(document.get("kind")))
            try:
                self._add(document)
            except PvbinderError as error:
                self.unreadable.append(error)
                if document.get("kind") == "PersistentVolumeClaim":
                    namespace = _part(document, "metadata").get("namespace")
                    self.namespaces_with_unreadable_claims.add(str(namespace or "default"))

    # -- questions of explanations only ------------------------------------------------------------------------------

    def claims(self) -> Iterable[Claim]:
        """Return all claims."""
        return self._claims

    def nodes(self) -> Iterable[Node]:
        """Return all nodes."""
        return self._nodes

    def pods(self) -> Iterable[Pod]:
        """Return all pods."""
        return self._pods

    def pod(self, key: str) -> Pod | None:
        """Return the pod ``namespace/name``."""
        return self._pods.get(key)

    def knows(self, kind: str) -> bool:
        """Tell whether an object of `kind` that isn't here doesn't exist (SNAPSHOT-3)."""
        return kind in self._known

    @property
    def moment(self) -> datetime | None:
        """The time of the snapshot; None if it isn't known (SNAPSHOT-4)."""
        return self._moment or self._reported or self._written_at

    @property
    def is_dated_by_file(self) -> bool:
        """Tell whether `moment` is only the time of a file."""
        return self._moment is None and self._reported is None

    def attributes_class(self, name: str) -> VolumeAttributesClass | None:
        """Return the VolumeAttributesClass called `name`."""
        return self._attributes_classes.get(name)

    def attributes_classes(self) -> Iterable[VolumeAttributesClass]:
        """Return all VolumeAttributesClasses."""
        return self._attributes_classes

    def driver(self, name: str) -> CsiDriver | None:
        """Return the CSIDriver called `name`."""
        return self._drivers.get(name)

    def drivers(self) -> Iterable[str]:
        """Return the names of all CSIDrivers."""
        return self._drivers

    def drivers_on(self, node: str) -> frozenset[str] | None:
        """Return the CSI drivers that are registered on `node`; None if the snapshot doesn't know."""
        return self._drivers_on.get(node)

    def capacities(self) -> Sequence[CsiStorageCapacity]:
        """Return the free capacity of storage classes, as drivers publish it."""
        return self._capacities

    def attachments_of(self, volume: str) -> list[Attachment]:
        """Return the attachments of the volume called `volume`, planned ones included."""
        return list(self._attachments.get(volume, ()))

    def attachments(self) -> Iterable[Attachment]:
        """Return all attachments, planned ones included."""
        return (each for found in self._attachments.values() for each in found)

    def others(self, kind: str) -> Sequence[Json]:
        """Return the objects of a kind in `OTHERS` as JSON; of a Secret only its metadata."""
        return self._others.get(kind, ())

    def sees_claims_of(self, namespace: str) -> bool:
        """Tell whether the snapshot has claims of `namespace`, so that a missing one doesn't exist."""
        return namespace in self._namespaces_of_claims

    def free_volumes(self, claim: Claim) -> Iterator[Volume]:
        """Yield the volumes of the claim's class that nobody claims, and those that its name is reserved for."""
        if self._free_by_class is None:
            self._free_by_class = {}
            for volume in self.volumes:
                if volume.claim_ref is None:
                    self._free_by_class.setdefault(volume.storage_class, []).append(volume)
        yield from self._free_by_class.get(claim.storage_class, ())
        yield from self.volumes.claimed_by(claim.key)

    def nodes_matching(self, affinity: NodeSelector) -> Sequence[Node]:
        """Return the nodes that `affinity` allows."""
        found = self._nodes_by_affinity.get(affinity)
        if found is None:
            found = [node for node in self._nodes if affinity.matches(node.labels, node.name)]
            self._nodes_by_affinity[affinity] = found
        return found

    def stateful_set(self, key: str) -> StatefulSet | None:
        """Return the StatefulSet ``namespace/name``."""
        return self._stateful_sets.get(key)

    def stateful_sets(self) -> Iterable[StatefulSet]:
        """Return all StatefulSets."""
        return self._stateful_sets

    def volume_snapshot(self, key: str) -> VolumeSnapshot | None:
        """Return the VolumeSnapshot ``namespace/name``."""
        return self._volume_snapshots.get(key)

    def volume_snapshots(self) -> Iterable[VolumeSnapshot]:
        """Return all VolumeSnapshots."""
        return self._volume_snapshots

    def events_about(self, kind: str, namespace: str, name: str, uid: str = "") -> Sequence[ObservedEvent]:
        """Return the events about an object, the newest last; those about an earlier one of that name are left out."""
        found = self._events.get((kind, namespace, name), ())
        mine = [event for event in found if not uid or event.involved_object.uid in ("", uid)]
        return sorted(mine, key=lambda event: event.time)

    # ------------------------------------------------------------------------------------------------------------

    def _take(self, view: View) -> None:
        match view:
            case Volume():
                self.volumes.add(view)
            case Claim():
                self._claims.add(view)
                self._namespaces_of_claims.add(view.namespace)
            case StorageClass():
                self._classes.add(view)
            case Pod():
                self._pods.add(view)
                for key in view.claim_keys:
                    self._pods_of.setdefault(key, []).append(view)
            case Node():
                self._nodes.add(view)
            case _:
                pass  # other kinds come as documents

    def _add(self, document: Json) -> None:
        match document.get("kind"):
            case "PersistentVolume":
                self._take(parse_volume(encode(document)))
            case "PersistentVolumeClaim":
                self._take(parse_claim(encode(_in_a_namespace(document))))
            case "StorageClass":
                self._take(parse_storage_class(encode(document)))
            case "Pod":
                self._take(parse_pod(encode(_in_a_namespace(document))))
            case "Node":
                self._take(parse_node(encode(document)))
                conditions = _part(document, "status").get("conditions")
                self._report(instants_in(conditions, "lastHeartbeatTime"))
            case "CSIDriver":
                driver = parse_csi_driver(encode(document))
                self._drivers[driver.name] = driver
            case "CSINode":
                drivers = _part(document, "spec").get("drivers") or ()
                named = (each.get("name") for each in drivers if isinstance(each, dict))
                self._drivers_on[str(_part(document, "metadata").get("name"))] = frozenset(map(str, named))
                self._others.setdefault("CSINode", []).append(document)
            case "CSIStorageCapacity":
                self._capacities.append(parse_csi_storage_capacity(encode(document)))
            case "VolumeAttributesClass":
                self._attributes_classes.add(parse_volume_attributes_class(encode(document)))
            case "VolumeAttachment":
                attachment = _attachment(document)
                self._attachments.setdefault(attachment.volume, []).append(attachment)
                self._others.setdefault("VolumeAttachment", []).append(document)
            case "StatefulSet":
                self._stateful_sets.add(parse_stateful_set(encode(_in_a_namespace(document))))
            case "VolumeSnapshot":
                self._volume_snapshots.add(parse_snapshot(encode(_in_a_namespace(document))))
            case "Event":
                self._add_event(document)
            case "Secret":
                self._others.setdefault("Secret", []).append({"metadata": _part(document, "metadata")})
            case str(kind) if kind in OTHERS:
                self._others.setdefault(kind, []).append(_in_a_namespace(document) if OTHERS[kind] else document)
            case _:
                pass  # other kinds decide nothing here

    def _add_event(self, document: Json) -> None:
        try:
            event = msgspec.convert(document, ObservedEvent)
        except msgspec.ValidationError:
            return  # no decision depends on an event
        about = event.involved_object
        self._report([found for text in (event.last_timestamp, event.event_time) if (found := instant(text))])
        self._events.setdefault((about.kind, about.namespace, about.name), []).append(event)

    def _report(self, instants: list[datetime]) -> None:
        self._reported = max([*instants, *([self._reported] if self._reported else [])], default=None)


def _part(document: Json, name: str) -> Json:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _attachment(document: Json) -> Attachment:
    spec, status = _part(document, "spec"), _part(document, "status")
    error = _part(status, "attachError") or _part(status, "detachError")
    volume = str(_part(spec, "source").get("persistentVolumeName") or "")
    is_attached = status.get("attached") is True
    return Attachment(volume, str(spec.get("nodeName") or ""), is_attached, str(error.get("message") or ""))


def _in_a_namespace(document: Json) -> Json:
    """A manifest without a namespace means the default one."""
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and not metadata.get("namespace"):
        return {**document, "metadata": {**metadata, "namespace": "default"}}
    return document
