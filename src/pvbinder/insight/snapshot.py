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
    parse_claim,
    parse_node,
    parse_pod,
    parse_storage_class,
    parse_volume,
)
from pvbinder.rules.plugins import NoPlugins, Plugins
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.volume_index import VolumeIndex
from pvbinder.rules.world import ObjectsByKey, Sources, World


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


class Snapshot(World):
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
        self._claims = ObjectsByKey[Claim]()
        self._classes = ObjectsByKey[StorageClass]()
        self._pods = ObjectsByKey[Pod]()
        self._pods_of: dict[ClaimKey, list[Pod]] = {}
        self._nodes = ObjectsByKey[Node]()
        self._events: dict[tuple[str, str, str], list[ObservedEvent]] = {}
        super().__init__(
            Sources(
                volumes=self.volumes,
                claims=self._claims,
                classes=self._classes,
                pods_of=lambda key: self._pods_of.get(key, ()),
            ),
            nodes=self._nodes,
            index=self.volumes,
            plugins=plugins if plugins is not None else NoPlugins(),
        )
        for document in documents:
            try:
                self._add(document)
            except PvbinderError as error:
                self.unreadable.append(error)

    # -- what only explanations ask ------------------------------------------------------------------------------

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
                self._claims.add(parse_claim(encode(_in_a_namespace(document))))
            case "StorageClass":
                self._classes.add(parse_storage_class(encode(document)))
            case "Pod":
                pod = parse_pod(encode(_in_a_namespace(document)))
                self._pods.add(pod)
                for key in pod.claim_keys:
                    self._pods_of.setdefault(key, []).append(pod)
            case "Node":
                self._nodes.add(parse_node(encode(document)))
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
