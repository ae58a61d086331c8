"""The contract of a volume plugin: something that can make, delete or scrub the storage behind a volume.

A plugin has an identity, and an ability for each of the one-method protocols that it satisfies: `Provisioner`,
`Deleter`, `Recycler`. It's found under the entry points ``pvbinder.volume_plugins`` (`volumes.loading`).

PLUGIN-1  The identity is data, read once when the plugin is loaded. Its methods are called in a thread, one call at a
          time for each volume, never in the event loop: they may block (`volumes.calls`).
PLUGIN-2  A plugin never talks to the API server. It describes the work that it wants done there: the `source` of a
          volume, a recycler's pod.
PLUGIN-3  A method says how it ended with one of the outcomes below; each says when it's safe to return it. An
          exception, an answer that is none of them and no answer at all count as `Failed`.
PLUGIN-4  Every method may be called again for the same volume, also after a success that we could not save and after a
          crash: with the same storage already there (`provision`) or already gone (`delete`) that is a success.

Not promised: that `delete` follows every `provision` in the same process, nor any order between two volumes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Node, StorageClass, Volume
from pvbinder.model.quantity import Quantity


class PluginError(PvbinderError):
    """A plugin can't be used as it is, or lacks the ability that it was asked for."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The name of a plugin, and the volumes that are its own (9.3)."""

    name: str  # as in a class's `provisioner`: "example.com/archive"
    sources: frozenset[str]  # the fields of a volume's spec that hold its storage: {"hostPath"}
    mount_options: bool = False  # whether volumes can have mount options (PR-10)
    unavailable: str | None = None  # why it doesn't provision as it's configured, though it could (PR-11)
    undeletable: str | None = None  # why it doesn't delete as it's configured, though it could (DL-5)


class VolumePlugin(Protocol):
    """Any plugin; its abilities are the protocols below."""

    @property
    def identity(self) -> Identity:
        """Its identity; read once (PLUGIN-1)."""
        ...


# ------------------------------------------------------------------------------------------------ provisioning


@dataclass(frozen=True, slots=True)
class ProvisionRequest:
    """The storage that a claim asks for; `volume_name` is the same in every attempt (PR-9)."""

    volume_name: str
    claim: Claim
    storage_class: StorageClass
    node: Node | None = None  # where it's needed; only with delayed binding (PR-12)


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The storage is there and `source` leads to it. Only return it when a pod could use the storage now."""

    source: Json  # the part of a volume's spec that says where it is: {"nfs": {"server": …, "path": …}}
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: Quantity | None = None  # None: the size that the claim asks for
    access_modes: tuple[str, ...] = ("ReadWriteOnce",)  # of a volume whose claim asks for none
    node_affinity: Json | None = None
    volume_name: str | None = None  # None: the name in the request

    def to_volume(self, request: ProvisionRequest) -> Json:
        """Return the volume that was made for `request`, as far as the plugin is concerned (PR-14)."""
        claim = request.claim
        metadata: Json = {"name": self.volume_name or request.volume_name}
        if self.labels:
            metadata["labels"] = dict(self.labels)
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        spec: Json = {
            "capacity": {"storage": str(self.capacity if self.capacity is not None else claim.request)},
            **copy.deepcopy(self.source),
            "accessModes": list(claim.access_modes or self.access_modes),
            "volumeMode": claim.volume_mode,
        }
        if request.storage_class.mount_options:
            spec["mountOptions"] = list(request.storage_class.mount_options)
        if self.node_affinity is not None:
            spec["nodeAffinity"] = copy.deepcopy(self.node_affinity)
        return {"metadata": metadata, "spec": spec}


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not done, `reason` tells the user why, and it will be tried again.

    From `provision` it means: nothing is left behind, or the next attempt for the same `volume_name` finds it again.
    From `delete`: the storage, or a part of it, may still be there. From `recycle`: the data may.
    """

    reason: str


ProvisionOutcome: TypeAlias = Provisioned | Failed


@runtime_checkable
class Provisioner(Protocol):
    """Makes storage."""

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        """Make the storage that `request` asks for, or find it if an earlier attempt has made it."""
        ...


# ------------------------------------------------------------------------------------------------ deletion


@dataclass(frozen=True, slots=True)
class Deleted:
    """Nothing of the storage is left. Only return it when that is sure: the volume's object goes next (DL-6)."""


@dataclass(frozen=True, slots=True)
class InUse:
    """Somebody uses the storage, so it wasn't touched. The volume isn't called failed, just tried again (DL-5)."""

    reason: str


DeleteOutcome: TypeAlias = Deleted | InUse | Failed


@runtime_checkable
class Deleter(Protocol):
    """Deletes storage."""

    def delete(self, volume: Volume) -> DeleteOutcome:
        """Delete the storage of `volume`."""
        ...


# ------------------------------------------------------------------------------------------------ recycling


@dataclass(frozen=True, slots=True)
class Recycled:
    """The storage is empty. Only return it when that is sure: the next claim gets it."""


@dataclass(frozen=True, slots=True)
class RunPod:
    """A pod has to do it; the controller runs it and looks how it ends (RY-7 to RY-11).

    `template` is a Pod with at least one volume, whose source becomes `source`; it's copied, never changed.
    """

    template: Json
    source: Json
    deadline_seconds: int


RecycleOutcome: TypeAlias = Recycled | RunPod | Failed


@runtime_checkable
class Recycler(Protocol):
    """Makes the storage of a volume empty."""

    def recycle(self, volume: Volume) -> RecycleOutcome:
        """Empty the storage of `volume`, or say which pod would."""
        ...
