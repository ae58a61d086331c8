"""The flags of a sidecar, as values (docs/rules/provisioner.md#9-flags-defaults)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pvbinder.kube.election_options import ElectionOptions
from pvbinder.kube.queue import RateLimits
from pvbinder.rules.csi.snapshots.names import SnapshotNaming
from pvbinder.rules.csi.volumes import VolumeNaming

UNLIMITED: Final = 10**9  # the reference's queue has no bucket here


@dataclass(frozen=True, slots=True)
class CapacityOptions:
    """Where and how CSIStorageCapacity objects are kept (CA-1 to CA-4)."""

    namespace: str
    pod: str = ""  # ours: the objects belong to what made it, `ownerref_level` steps above
    ownerref_level: int = 1
    for_immediate_binding: bool = False
    poll_interval_seconds: float = 60.0
    threads: int = 1
    kube_api_qps: float = 1.0
    kube_api_burst: int = 5


@dataclass(frozen=True, slots=True)
class ProvisionerOptions:
    """How volumes are provisioned; names and defaults are the reference's."""

    naming: VolumeNaming = field(default_factory=VolumeNaming)
    retry_interval_start_seconds: float = 1.0
    retry_interval_max_seconds: float = 300.0
    worker_threads: int = 100
    timeout_seconds: float = 10.0
    strict_topology: bool = False
    immediate_topology: bool = True
    extra_create_metadata: bool = False
    default_fstype: str = ""
    controller_publish_readonly: bool = False
    prevent_volume_mode_conversion: bool = True
    cloning_protection_threads: int = 1
    namespace: str = "default"  # of what the sidecar writes for itself
    capacity: CapacityOptions | None = None
    node_deployment: bool = False  # one sidecar on each node, each for its own
    node: str = ""
    node_deployment_immediate_binding: bool = True
    node_deployment_base_delay_seconds: float = 20.0
    node_deployment_max_delay_seconds: float = 60.0

    @property
    def rate_limits(self) -> RateLimits:
        """How fast a failed claim or volume comes back: by its own back-off alone (LB-1)."""
        start, longest = self.retry_interval_start_seconds, self.retry_interval_max_seconds
        return RateLimits(start, longest, per_second=UNLIMITED, burst=UNLIMITED)


@dataclass(frozen=True, slots=True)
class ResizerOptions:
    """How volumes are expanded and modified; names and defaults are the reference's."""

    retry_interval_start_seconds: float = 1.0
    retry_interval_max_seconds: float = 300.0
    workers: int = 10
    timeout_seconds: float = 10.0
    handle_volume_inuse_error: bool = True
    extra_modify_metadata: bool = False

    @property
    def rate_limits(self) -> RateLimits:
        """How fast a failed claim comes back: by its own back-off alone."""
        start, longest = self.retry_interval_start_seconds, self.retry_interval_max_seconds
        return RateLimits(start, longest, per_second=UNLIMITED, burst=UNLIMITED)


@dataclass(frozen=True, slots=True)
class SnapshotterOptions:
    """How snapshots are taken; names and defaults are the reference's."""

    naming: SnapshotNaming = field(default_factory=SnapshotNaming)
    retry_interval_start_seconds: float = 1.0
    retry_interval_max_seconds: float = 300.0
    worker_threads: int = 10
    timeout_seconds: float = 60.0
    extra_create_metadata: bool = False
    prevent_volume_mode_conversion: bool = True
    namespace: str = "default"  # of what the sidecar writes for itself

    @property
    def rate_limits(self) -> RateLimits:
        """How fast a failed snapshot comes back: by its own back-off alone (SK-11)."""
        start, longest = self.retry_interval_start_seconds, self.retry_interval_max_seconds
        return RateLimits(start, longest, per_second=UNLIMITED, burst=UNLIMITED)


@dataclass(frozen=True, slots=True)
class SidecarOptions:
    """The flags of a sidecar, one group for each role; `roles` as ``--roles`` says them, empty for all that exist.

    With `election` a role is taken up only while no other sidecar has it.
    """

    roles: str = ""
    provisioner: ProvisionerOptions = field(default_factory=ProvisionerOptions)
    timeout_seconds: float = 10.0
    election: ElectionOptions | None = None
    topology: bool = True  # whether the driver's, if it has one, is used (SU-7)
    resizer: ResizerOptions = field(default_factory=ResizerOptions)
    snapshotter: SnapshotterOptions = field(default_factory=SnapshotterOptions)
