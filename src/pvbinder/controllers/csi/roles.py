"""The roles of a sidecar: what can be done for a driver, as a closed set that ``--roles`` chooses from.

ROLE-1  A role that isn't chosen, or that the driver has no use for, watches nothing, asks for nothing and isn't even
        imported.
ROLE-2  A role that there is not is refused, with the one that was probably meant.
ROLE-3  `rights` are all that a role does at the API server, and nothing more.

ROLE-4  Whoever waits for a role's lead has its caches full already: `warms` are the kinds that its parts read.

A role is one row of `ROLES` and a module with what the row's `make` returns. Its parts ask for informers in their
constructors: when they are made the driver is known, so nothing is watched that this driver doesn't need.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pvbinder.controllers.csi.measures import CsiMeasures
from pvbinder.controllers.csi.options import SidecarOptions
from pvbinder.controllers.csi.rights import READ, Right
from pvbinder.kube.client import Kind
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, NODES, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.queue import QueueStatistics
from pvbinder.model.errors import PvbinderError
from pvbinder.rules.csi.volumes import Abilities, can_expand

if TYPE_CHECKING:  # gRPC takes time to import
    from pvbinder.controllers.context import ControllerContext
    from pvbinder.controllers.csi.driver_info import DriverInfo
    from pvbinder.csi.driver import Driver

_SNAPSHOTS: Final = "snapshot.storage.k8s.io"


class UnknownRoleError(PvbinderError):
    """``--roles`` names a role that there is not, or none at all."""


class CapacityUnknownError(PvbinderError):
    """``--enable-capacity`` for a driver that can't say how much room there is."""


class RolePart(Protocol):
    """A loop that does a part of a role's work; `run()` it as a task that somebody owns, with the informers beside."""

    async def run(self) -> None:
        """Work until cancelled."""
        ...

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of each of its queues."""
        ...


@dataclass(frozen=True, slots=True)
class RoleContext:
    """All that a role's parts are made from, when the driver has answered.

    `component` is the source of events as the provisioner's library has it: the driver, the machine, and a number.
    """

    context: ControllerContext
    driver: Driver
    info: DriverInfo
    options: SidecarOptions
    component: str
    measures: CsiMeasures


@dataclass(frozen=True, slots=True)
class SidecarRole:
    """What can be done for a driver; `is_of_use` says whether it can be done for one with these abilities.

    `lease` is what the reference's sidecar calls its lease, with the driver's name for ``{}``.
    """

    name: str
    meaning: str
    make: Callable[[RoleContext], Sequence[RolePart]]
    rights: tuple[Right, ...]
    lease: str
    warms: Callable[[RoleContext], Sequence[Kind[Any]]]
    is_of_use: Callable[[Abilities], bool] = lambda _: True


def _provisioner(here: RoleContext) -> Sequence[RolePart]:
    from pvbinder.controllers.csi.capacity import CapacityTracker
    from pvbinder.controllers.csi.deleter import CsiDeleter
    from pvbinder.controllers.csi.provisioner import CsiProvisioner
    from pvbinder.controllers.csi.source_protection import SourceProtection

    options, abilities = here.options.provisioner, here.info.abilities
    made_from = (here.context, here.driver, here.info, options)
    provisioner = CsiProvisioner(*made_from, component=here.component, measures=here.measures)
    deleter = CsiDeleter(*made_from, component=here.component, measures=here.measures)
    parts: list[RolePart] = [provisioner, deleter]
    if abilities.clone_volume or abilities.create_delete_snapshot:
        parts.append(SourceProtection(here.context, options))
    if options.capacity is not None:
        if not abilities.get_capacity:
            raise CapacityUnknownError(
                f"driver {here.info.name} can't say how much room there is: it has no GET_CAPACITY",
                hint="leave out --enable-capacity",
            )
        tracker = CapacityTracker(here.context, here.driver, here.info, options, options.capacity)
        provisioner.on_failure = tracker.provisioning_failed
        parts.append(tracker)
    return parts


def _read_by_provisioner(here: RoleContext) -> Sequence[Kind[Any]]:
    from pvbinder.controllers.csi.deleter import ATTACHMENTS
    from pvbinder.controllers.csi.places import CSI_NODE_VIEWS

    can = here.info.abilities
    has_places = can.topology and not here.options.provisioner.node_deployment
    return (
        CLAIMS,
        VOLUMES,
        STORAGE_CLASSES,
        *((ATTACHMENTS,) if can.publish_unpublish else ()),
        *((NODES, CSI_NODE_VIEWS) if has_places else ()),
    )


def _read_by_resizer(here: RoleContext) -> Sequence[Kind[Any]]:
    return (CLAIMS, VOLUMES, *((ATTRIBUTES_CLASSES,) if here.info.abilities.modify_volume else ()))


def _read_by_snapshotter(here: RoleContext) -> Sequence[Kind[Any]]:
    del here
    from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES, SNAPSHOTS

    return (CLAIMS, VOLUMES, SNAPSHOTS, CONTENTS, SNAPSHOT_CLASSES)


def _resizer(here: RoleContext) -> Sequence[RolePart]:
    options, abilities = here.options.resizer, here.info.abilities
    parts: list[RolePart] = []
    if can_expand(abilities):
        from pvbinder.controllers.csi.resizer import CsiResizer

        parts.append(CsiResizer(here.context, here.driver, here.info, options))
    if abilities.modify_volume:
        from pvbinder.controllers.csi.modifier import CsiModifier

        parts.append(CsiModifier(here.context, here.driver, here.info, options))
    return parts


def _snapshotter(here: RoleContext) -> Sequence[RolePart]:
    from pvbinder.controllers.csi.snapshotter.role import CsiSnapshotter

    measures = here.measures.snapshots
    return [CsiSnapshotter(here.context, here.driver, here.info, here.options.snapshotter, measures=measures)]


ELECTION: Final = Right(
    "coordination.k8s.io",
    ("leases",),
    ("get", "create", "update"),
    only="with `--leader-election`, in its namespace",
    by_flag=True,
)
ROLES: Final[tuple[SidecarRole, ...]] = (
    SidecarRole(
        "provisioner",  # of use for every driver: users are told what theirs can't do (CP-8)
        "makes a volume for each claim of the driver's classes, and deletes it: external-provisioner's",
        _provisioner,
        lease="{}",
        warms=_read_by_provisioner,
        rights=(
            Right("", ("persistentvolumes",), (*READ, "create", "update", "delete")),
            Right("", ("persistentvolumeclaims",), (*READ, "update")),
            Right("storage.k8s.io", ("storageclasses",), READ),
            Right("", ("nodes",), READ, only="if the driver has topology"),
            Right("storage.k8s.io", ("csinodes",), READ, only="if the driver has topology"),
            Right("storage.k8s.io", ("volumeattachments",), READ, only="if the driver publishes by its controller"),
            Right("storage.k8s.io", ("volumeattributesclasses",), ("get",), only="if claims have such a class"),
            Right("", ("secrets",), ("get",), only="if a class names secrets"),
            Right(_SNAPSHOTS, ("volumesnapshots",), ("get", "list", "update")),
            Right(_SNAPSHOTS, ("volumesnapshotcontents",), ("get", "list")),
            Right("", ("events",), ("create", "patch", "update")),
            Right("", ("configmaps",), ("get", "list", "create", "update"), only="in the namespace of the intents"),
            Right(
                "storage.k8s.io",
                ("csistoragecapacities",),
                (*READ, "create", "update", "delete"),
                only="with `--enable-capacity`, in its namespace",
                by_flag=True,
            ),
            Right("", ("pods",), ("get",), only="with `--enable-capacity`, in its namespace", by_flag=True),
            Right("apps", ("replicasets",), ("get",), only="with `--capacity-ownerref-level=2`", by_flag=True),
            ELECTION,
        ),
    ),
    SidecarRole(
        "resizer",
        "expands volumes, and gives them the attributes of another class: external-resizer's",
        _resizer,
        rights=(
            Right("", ("persistentvolumes",), (*READ, "patch")),
            Right("", ("persistentvolumeclaims",), READ),
            Right("", ("persistentvolumeclaims/status",), ("patch",)),
            Right("storage.k8s.io", ("volumeattributesclasses",), READ, only="if the driver modifies volumes"),
            Right("", ("pods",), ("list",), only="if the driver expands no volume that is in use"),
            Right("", ("secrets",), ("get",), only="if a class names secrets"),
            Right("", ("events",), ("create", "patch", "update")),
            ELECTION,
        ),
        lease="external-resizer-{}",
        warms=_read_by_resizer,
        is_of_use=lambda can: can_expand(can) or can.modify_volume,
    ),
    SidecarRole(
        "snapshotter",
        "takes and deletes snapshots of the driver's volumes: external-snapshotter's, its controller and its sidecar",
        _snapshotter,
        rights=(
            Right(_SNAPSHOTS, ("volumesnapshots",), (*READ, "update")),
            Right(_SNAPSHOTS, ("volumesnapshotcontents",), (*READ, "create", "update", "delete")),
            Right(_SNAPSHOTS, ("volumesnapshots/status", "volumesnapshotcontents/status"), ("update",)),
            Right(_SNAPSHOTS, ("volumesnapshotclasses",), READ),
            Right("", ("persistentvolumeclaims",), (*READ, "update")),
            Right("", ("persistentvolumes",), READ),
            Right("", ("secrets",), ("get",), only="if a class names secrets"),
            Right("", ("events",), ("create", "patch", "update")),
            Right("", ("configmaps",), ("get", "list", "create", "update"), only="in the namespace of the intents"),
            ELECTION,
        ),
        lease="external-snapshotter-leader-{}",
        warms=_read_by_snapshotter,
        is_of_use=lambda can: can.create_delete_snapshot,
    ),
)
ROLE_NAMES: Final = tuple(role.name for role in ROLES)


def choose_roles(text: str) -> tuple[SidecarRole, ...]:
    """Return the roles that ``--roles`` names, in the order of `ROLES` (ROLE-2)."""
    known = {role.name: role for role in ROLES}
    hint = f"there are {', '.join(known)}"
    named = [word.strip() for word in text.split(",") if word.strip()]
    for word in named:
        if word not in known:
            near = difflib.get_close_matches(word.lower(), known, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            raise UnknownRoleError(f"there is no role {word!r}{meant}", hint=hint)
    if not named:
        raise UnknownRoleError("no role is named", hint=hint)
    return tuple(role for role in ROLES if role.name in named)
