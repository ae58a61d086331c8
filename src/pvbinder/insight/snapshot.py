"""The objects of a cluster at one moment, as the rules want to see them.

SNAPSHOT-1  A `Snapshot` is a `World`: decisions made from it are those that the controllers make from their caches.
SNAPSHOT-2  An object that can't be read is in `unreadable` with the reason, and everything else is there.

It is built once and not changed; where it comes from, a server or a file, makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import (
    Claim,
    ClaimKey,
    Node,
    Pod,
    StorageClass,
    Volume,
    parse_claim,
    parse_node,
    parse_pod,
    parse_storage_class,
    parse_volume,
)
from pvbinder.rules.plugins import NoPlugins, Plugins
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.volume_index import VolumeIndex


class _Involved(Struct, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class ObservedEvent(Struct, frozen=True, rename="camel"):
    """An event that somebody recorded; `involved_object` says about what."""

    involved_object: _Involved = _Involved()
    type: str = ""
    reason: str = ""
    message: str = ""
    last_timestamp: str | None = None
    event_time: str | None = None
    count: int | None = None

    @property
    def time(self) -> str:
        """When it was last seen, in RFC 3339; ``""`` if nobody said."""
        return self.last_timestamp or self.event_time or ""


class Snapshot:
    """Volumes, claims and what decides about them."""

    def __init__(
        self,
        documents: Iterable[Json] = (),
        *,
        plugins: Plugins | None = None,
        settings: Settings = DEFAULTS,
        knows_drivers: bool = False,
    ) -> None:
        """Take in `documents` of any kind; `knows_drivers` says that a missing CSIDriver means there is none."""
        self.settings = settings
        self.volumes = VolumeIndex(settings=settings)
        self.knows_drivers = knows_drivers
        self.unreadable: list[PvbinderError] = []
        self.drivers: set[str] = set()
        self._plugins: Plugins = plugins if plugins is not None else NoPlugins()
        self._claims: dict[ClaimKey, Claim] = {}
        self._classes: dict[str, StorageClass] = {}
        self._pods: dict[str, Pod] = {}
        self._pods_of: dict[ClaimKey, list[Pod]] = {}
        self._nodes: dict[str, Node] = {}
        self._events: dict[tuple[str, str, str], list[ObservedEvent]] = {}
        for document in documents:
            try:
                self._add(document)
            except PvbinderError as error:
                self.unreadable.append(error)

    # -- the World of the rules ----------------------------------------------------------------------------------

    @property
    def plugins(self) -> Plugins:
        """The in-tree plugins that count as loaded."""
        return self._plugins

    def volume(self, name: str) -> Volume | None:
        """Return the volume called `name`."""
        return self.volumes.get(name)

    def claim(self, key: ClaimKey) -> Claim | None:
        """Return the claim with `key`."""
        return self._claims.get(key)

    def storage_class(self, name: str) -> StorageClass | None:
        """Return the storage class called `name`."""
        return self._classes.get(name)

    def storage_classes(self) -> Iterable[StorageClass]:
        """Return all storage classes."""
        return self._classes.values()

    def node(self, name: str) -> Node | None:
        """Return the node called `name`."""
        return self._nodes.get(name)

    def pods_of(self, key: ClaimKey) -> Iterable[Pod]:
        """Return the pods that refer to the claim with `key`."""
        return self._pods_of.get(key, ())

    def choose_volume(self, claim: Claim, *, is_delayed: bool) -> Volume | None:
        """Return the volume that the binder would choose for `claim`."""
        return self.volumes.choose(claim, is_delayed=is_delayed)

    # -- what only explanations ask ------------------------------------------------------------------------------

    def claims(self) -> Iterable[Claim]:
        """Return all claims."""
        return self._claims.values()

    def nodes(self) -> Iterable[Node]:
        """Return all nodes."""
        return self._nodes.values()

    def pods(self) -> Iterable[Pod]:
        """Return all pods."""
        return self._pods.values()

    def pod(self, key: str) -> Pod | None:
        """Return the pod ``namespace/name``."""
        return self._pods.get(key)

    def events_about(self, kind: str, namespace: str, name: str, uid: str = "") -> Sequence[ObservedEvent]:
        """Return the events about an object, the newest last; those about an earlier one of that name are left out."""
        found = self._events.get((kind, namespace, name), ())
        mine = [event for event in found if not uid or event.involved_object.uid in ("", uid)]
        return sorted(mine, key=lambda event: event.time)

    # ------------------------------------------------------------------------------------------------------------

    def _add(self, document: Json) -> None:
        match document.get("kind"):
            case "PersistentVolume":
                self.volumes.add(parse_volume(encode(document)))
            case "PersistentVolumeClaim":
                claim = parse_claim(encode(_in_a_namespace(document)))
                self._claims[claim.key] = claim
            case "StorageClass":
                storage_class = parse_storage_class(encode(document))
                self._classes[storage_class.name] = storage_class
            case "Pod":
                pod = parse_pod(encode(_in_a_namespace(document)))
                self._pods[pod.key] = pod
                for key in pod.claim_keys:
                    self._pods_of.setdefault(key, []).append(pod)
            case "Node":
                node = parse_node(encode(document))
                self._nodes[node.name] = node
            case "CSIDriver":
                self.drivers.add(str((document.get("metadata") or {}).get("name", "")))
            case "Event":
                self._add_event(document)
            case _:
                pass  # other kinds decide nothing here

    def _add_event(self, document: Json) -> None:
        try:
            event = msgspec.convert(document, ObservedEvent)
        except msgspec.ValidationError:
            return  # an event is only told, nothing depends on it
        about = event.involved_object
        self._events.setdefault((about.kind, about.namespace, about.name), []).append(event)


def _in_a_namespace(document: Json) -> Json:
    """A manifest without a namespace means the default one."""
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and not metadata.get("namespace"):
        return {**document, "metadata": {**metadata, "namespace": "default"}}
    return document
