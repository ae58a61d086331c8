"""Findings about head-room (702), and about storage that has none left (701): by class, and by node.

HEAD_ROOM-1  Nodes that take no pods now (cordoned, not ready) have no room; of a class or driver all are named only if
             they differ.
HEAD_ROOM-2  The room of a node is what its parts of the storage hold in claims of the usual size, at most as many as it
             can still attach. Parts that several nodes share count for each of them.
HEAD_ROOM-3  What grows with parts times nodes has the audit's budget (SURVEY-2): beyond it the nodes are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from statistics import median_low
from typing import Final

from pvbinder.audit.finding import AuditSubject, Evidence, Finding, of_class
from pvbinder.audit.survey import Survey
from pvbinder.insight.remedies import Do
from pvbinder.insight.wording import listed
from pvbinder.model.objects import Node, StorageClass
from pvbinder.model.quantity import Quantity
from pvbinder.model.scheduling import CsiStorageCapacity

_LINES_MAX: Final = 10  # of nodes with the same room
_NODES_NAMED_MAX: Final = 5  # in one of them


def head_room_findings(survey: Survey) -> Iterator[Finding]:
    """Yield how many more claims fit, and which storage is full."""
    for storage_class in sorted(survey.snapshot.storage_classes(), key=lambda each: each.name):
        yield from _room(storage_class, survey)
        yield from _free_volumes(storage_class, survey)
    for driver, left in sorted(survey.attachments_left.items()):
        yield from _attachments(driver, left, survey)


# ------------------------------------------------------------------------------------------------ what drivers have


def _room(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    """What the driver of `storage_class` still has, in claims of the usual size."""
    parts = [each for each in survey.capacities.get(storage_class.name, ()) if _is_reachable(each, survey)]
    usual = _usual_size(storage_class, survey)
    if not parts or usual is None:
        return
    largest = max((_largest(each) for each in parts), default=Quantity(0), key=lambda each: each.nano)
    count = sum(_count(each, usual) for each in parts)
    waiting = [claim for claim in survey.pending if claim.storage_class == storage_class.name]
    evidence = (
        Evidence("usual size of a claim", str(usual)),
        Evidence("largest room", str(largest)),
        Evidence("parts of the cluster with room", str(sum(each.holds(usual) for each in parts)), f"of {len(parts)}"),
    )
    if count == 0:
        yield Finding(
            code="PVB701",
            level="warning" if waiting else "information",
            subject=of_class(storage_class),
            summary=f"no part of the cluster has room for another claim of {usual}; the largest room is {largest}",
            evidence=evidence,
            rules=("CA-3",),
            way_out=(Do(f"give {storage_class.provisioner} more storage"),),
        )
        return
    by_node = _room_by_node(storage_class, parts, usual, survey)
    summary = f"about {count} more claims of {usual} fit"
    yield _head_room(of_class(storage_class), summary, (*evidence, *_by_node(by_node, "claims")), "storage")


def _room_by_node(
    storage_class: StorageClass, parts: list[CsiStorageCapacity], usual: Quantity, survey: Survey
) -> dict[str, int]:
    """The claims of the usual size that each node takes (HEAD_ROOM-2)."""
    nodes = _nodes(survey)
    if not survey.may_compare(len(parts) * len(nodes)):
        return {}
    driver = survey.snapshot.settings.migrations.driver_of(storage_class.provisioner) or storage_class.provisioner
    left = survey.attachments_left.get(driver, {})
    room: dict[str, int] = {}
    for node in nodes:
        count = sum(_count(each, usual) for each in parts if each.is_reachable_from(node.labels))
        room[node.name] = min(count, left.get(node.name, count))
    return room


def _count(part: CsiStorageCapacity, usual: Quantity) -> int:
    return part.capacity.nano // usual.nano if part.capacity is not None and part.holds(usual) else 0


def _is_reachable(capacity: CsiStorageCapacity, survey: Survey) -> bool:
    return not survey.nodes or any(capacity.is_reachable_from(node.labels) for node in survey.nodes)


def _largest(capacity: CsiStorageCapacity) -> Quantity:
    found = capacity.maximum_volume_size if capacity.maximum_volume_size is not None else capacity.capacity
    return found if found is not None else Quantity(0)


def _usual_size(storage_class: StorageClass, survey: Survey) -> Quantity | None:
    sizes = survey.sizes_by_class.get(storage_class.name)
    return Quantity(median_low(sizes), "BinarySI") if sizes and median_low(sizes) > 0 else None


# ------------------------------------------------------------------------------------------------ volumes by hand


def _free_volumes(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    """How many pre-made volumes are free, by size, and on which nodes."""
    free = [each for each in survey.free if each.storage_class == storage_class.name and each.phase == "Available"]
    if not free:
        return
    sizes = Counter(str(each.size) for each in free)
    shown = ", ".join(f"{count} of {size}" for size, count in sorted(sizes.items())[:5])
    room: Counter[str] = Counter()
    if survey.may_compare(len(free) * len(survey.nodes)):
        room.update({node.name: 0 for node in _nodes(survey)})
        for volume in free:
            reached = survey.nodes_of(volume)
            room.update(node.name for node in (survey.nodes if reached is None else reached) if node.name in room)
    evidence = (Evidence("free volumes", str(len(free))), *_by_node(room, "volumes"))
    yield _head_room(of_class(storage_class), f"{len(free)} volumes are free: {shown}", evidence, "volumes")


# ------------------------------------------------------------------------------------------------ attachments


def _attachments(driver: str, left: Mapping[str, int], survey: Survey) -> Iterator[Finding]:
    """How many more volumes nodes can attach; that none can is told of the workloads (PVB603)."""
    room = {node.name: max(left[node.name], 0) for node in _nodes(survey) if node.name in left}
    total = sum(room.values())
    if not total:
        return
    summary = f"the nodes can attach {total} more of its volumes"
    evidence = (Evidence("nodes with a limit", str(len(left))), *_by_node(room, "volumes"))
    yield _head_room(AuditSubject("CSIDriver", "", driver), summary, evidence, "attachments")


# ------------------------------------------------------------------------------------------------ nodes


def _nodes(survey: Survey) -> list[Node]:
    """The nodes that take pods now (HEAD_ROOM-1)."""
    return [node for node in survey.nodes if node.name not in survey.troubled_nodes]


def _by_node(room: Mapping[str, int], what: str) -> Iterator[Evidence]:
    """Say the room of nodes, those with the same together, the least first."""
    nodes: defaultdict[int, list[str]] = defaultdict(list)
    for name, count in room.items():
        nodes[count].append(name)
    lines = sorted(nodes.items())
    for count, names in lines[:_LINES_MAX]:
        each = " each" if len(names) > 1 else ""
        shown = what.removesuffix("s") if count == 1 else what
        yield Evidence(f"room on {listed(sorted(names), most=_NODES_NAMED_MAX)}", f"{count} {shown}{each}")
    if len(lines) > _LINES_MAX:
        more = sum(len(names) for _, names in lines[_LINES_MAX:])
        yield Evidence(f"room on {more} more nodes", f"at least {lines[_LINES_MAX][0]} {what} each")


def _head_room(subject: AuditSubject, summary: str, evidence: tuple[Evidence, ...], about: str) -> Finding:
    return Finding(
        code="PVB702",
        level="information",
        subject=subject,
        summary=summary,
        evidence=evidence,
        rules={"storage": ("CA-3",), "volumes": ("FM-14", "FM-16")}.get(about, ()),
        about=about,
    )
