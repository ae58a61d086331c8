"""Findings about nodes and workloads (6xx): losses with a node or zone, replicas that share, modes that can't be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from pvbinder.audit.classes import ZONES
from pvbinder.audit.finding import AuditSubject, Evidence, Finding, of_claim, of_node, of_pod
from pvbinder.audit.pairs import is_share
from pvbinder.audit.survey import Survey
from pvbinder.audit.users import Workload, name_of, part
from pvbinder.insight.remedies import Do
from pvbinder.insight.wording import listed
from pvbinder.model.names import NO_PROVISIONER
from pvbinder.model.objects import Claim, Node, Pod, StorageClass, claim_key
from pvbinder.model.quantity import quantity_of
from pvbinder.model.stateful_sets import StatefulSet
from pvbinder.rules.classes import default_class

_ONE_NODE: Final = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})
_BLOCK_DRIVERS: Final = frozenset(
    {
        "ebs.csi.aws.com",
        "pd.csi.storage.gke.io",
        "disk.csi.azure.com",
        "cinder.csi.openstack.org",
        "csi.hetzner.cloud",
        "dobs.csi.digitalocean.com",
        "rbd.csi.ceph.com",
        "csi.vultr.com",
        "csi.scaleway.com",
        "linodebs.csi.linode.com",
    }
)
_DAEMON: Final = "DaemonSet"


def workload_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with the storage of workloads."""
    yield from _lost_with_nodes(survey)
    yield from _lost_with_zones(survey)
    for stateful_set in survey.snapshot.stateful_sets():
        yield from _one_more(stateful_set, survey)
    yield from _attach_limits(survey)
    for workload in survey.users.workloads:
        yield from _shared(workload, survey)
    for claim in survey.snapshot.claims():
        yield from _unsupported_mode(claim, survey)


# ------------------------------------------------------------------------------------------------ losses


def _lost_with_nodes(survey: Survey) -> Iterator[Finding]:
    if len(survey.nodes) < 2:
        return  # with the only node everything is lost
    by_node: dict[str, list[Pod]] = {}
    for pod in survey.snapshot.pods():
        nodes = _nodes_for(pod, survey)
        if nodes is not None and len(nodes) == 1:
            by_node.setdefault(nodes[0].name, []).append(pod)
    for name, pods in sorted(by_node.items()):
        node = survey.snapshot.node(name)
        if node is None:
            continue
        trouble = survey.troubled_nodes.get(name, "")
        shown = listed(sorted(pod.key for pod in pods))
        yield Finding(
            code="PVB601",
            level="warning" if trouble else "information",
            subject=of_node(node),
            summary=f"{'it ' + trouble + ', and ' if trouble else ''}{shown} can run nowhere else",
            evidence=(Evidence("pods whose volumes are on this node only", str(len(pods))),),
            rules=("FM-15",),
            way_out=(Do("replicate their data, or move it to storage that several nodes reach"),),
            others=tuple(of_pod(pod) for pod in sorted(pods, key=lambda each: each.key)[:20]),
        )


def _nodes_for(pod: Pod, survey: Survey) -> list[Node] | None:
    """The nodes that can use all volumes of `pod`; None if it isn't tied to any."""
    if pod.is_terminated or pod.is_deleting:
        return None
    found: list[Node] | None = None
    for key in pod.claim_keys:
        claim = survey.snapshot.claim(key)
        volume = survey.snapshot.volume(claim.volume_name) if claim is not None and claim.volume_name else None
        nodes = survey.nodes_of(volume) if volume is not None else None
        if nodes is not None:
            found = nodes if found is None else [node for node in found if node in nodes]
    return found


def _zone(node: Node) -> str:
    return next((node.labels[key] for key in ZONES if key in node.labels), "")


def _lost_with_zones(survey: Survey) -> Iterator[Finding]:
    zones = Counter(_zone(node) for node in survey.nodes if _zone(node))
    if len(zones) < 2:
        return
    by_zone: dict[str, list[Pod]] = {}
    for pod in survey.snapshot.pods():
        nodes = _nodes_for(pod, survey)
        if not nodes or len(nodes) < 2:
            continue  # a single node is told of the node
        found = {_zone(node) for node in nodes}
        if len(found) == 1 and "" not in found:
            by_zone.setdefault(found.pop(), []).append(pod)
    for zone, pods in sorted(by_zone.items()):
        down = all(node.name in survey.troubled_nodes for node in survey.nodes if _zone(node) == zone)
        shown = listed(sorted(pod.key for pod in pods))
        yield Finding(
            code="PVB602",
            level="warning" if down else "information",
            subject=AuditSubject("Zone", "", zone),
            summary=f"{'none of its nodes is ready, and ' if down else ''}{shown} can run in no other zone",
            evidence=(Evidence("nodes of the zone", str(zones[zone])), Evidence("pods tied to it", str(len(pods)))),
            rules=("FM-15",),
            way_out=(Do("replicate their data over zones"),),
            others=tuple(of_pod(pod) for pod in sorted(pods, key=lambda each: each.key)[:20]),
        )


# ------------------------------------------------------------------------------------------------ one more replica


def _one_more(found: StatefulSet, survey: Survey) -> Iterator[Finding]:
    """The information that one more replica gets no volume: none is free, and nobody has room to make one."""
    for template in found.claim_templates:
        spec = part(template, "spec")
        name = spec.get("storageClassName")
        storage_class = survey.snapshot.storage_class(str(name)) if name else None
        if name is None:
            storage_class = default_class(survey.snapshot.storage_classes())
        lacks = _lacks(storage_class, spec, survey) if storage_class is not None else ""
        if storage_class is None or not lacks:
            continue
        missing = [
            ordinal
            for ordinal in found.ordinals
            if survey.snapshot.claim(claim_key(found.namespace, f"{name_of(template)}-{found.name}-{ordinal}")) is None
        ]
        wants = f"; {len(missing)} of its replicas have no claim yet" if missing else ""
        yield Finding(
            code="PVB603",
            level="warning" if missing else "information",
            subject=AuditSubject("StatefulSet", found.namespace, found.name),
            summary=f"one more replica gets no volume: {lacks}{wants}",
            evidence=(Evidence("replicas", str(found.replicas)), Evidence("template", name_of(template))),
            rules=("FM-16",),
            way_out=(
                Do(f"add a volume in class {storage_class.name}")
                if storage_class.provisioner == NO_PROVISIONER
                else Do(f"give {storage_class.provisioner} more storage"),
            ),
            about=name_of(template),
        )


def _lacks(storage_class: StorageClass, spec: dict[str, Any], survey: Survey) -> str:
    """Say why one more claim of a template gets no volume of its class; ``""`` if it may get one."""
    free = (each for each in survey.free if each.storage_class == storage_class.name and each.phase == "Available")
    if storage_class.provisioner == NO_PROVISIONER:
        has_none = survey.snapshot.knows("PersistentVolume") and not any(free)
        return f"class {storage_class.name} has none free" if has_none else ""
    size = quantity_of(part(part(spec, "resources"), "requests").get("storage"))
    parts = survey.capacities.get(storage_class.name, ())
    if not parts or any(each.holds(size) for each in parts) or any(free):
        return ""
    return f"no part of the cluster has room for another {size} of class {storage_class.name}"


def _attach_limits(survey: Survey) -> Iterator[Finding]:
    """The drivers whose limit of attached volumes some node has reached."""
    for driver, left in sorted(survey.attachments_left.items()):
        full = sorted(node for node, count in left.items() if count <= 0)
        if not full:
            continue
        is_everywhere = len(full) == len(left)
        limits = survey.attach_limits[driver]
        where = "every node" if is_everywhere else listed(full)
        yield Finding(
            code="PVB603",
            level="warning" if is_everywhere else "information",
            subject=AuditSubject("CSIDriver", "", driver),
            summary=f"{where} has as many volumes attached as it can: one more pod with a volume doesn't fit there",
            evidence=tuple(
                Evidence(f"volumes attached to {node}", str(limits[node] - left[node]), f"at most {limits[node]}")
                for node in full[:10]
            ),
            rules=("FM-16",),
            way_out=(Do("add a node, or detach what isn't needed"),),
            about="attach limit",
        )


# ------------------------------------------------------------------------------------------------ sharing


def _shared(workload: Workload, survey: Survey) -> Iterator[Finding]:
    if workload.is_owned or workload.subject.kind == "CronJob":
        return
    replicas = workload.replicas if workload.replicas is not None else len(survey.nodes) if _is_daemon(workload) else 1
    rolls = workload.subject.kind == "Deployment" and workload.strategy == "RollingUpdate"
    if replicas < 1 or (replicas == 1 and not rolls):
        return
    for name in workload.claims:
        claim = survey.snapshot.claim(claim_key(workload.subject.namespace, name))
        if claim is None or not claim.access_modes or not set(claim.access_modes) <= _ONE_NODE:
            continue
        if claim.access_modes != ("ReadWriteOncePod",) and (_stays_together(workload, claim, survey)):
            continue
        many = replicas > 1
        modes = ", ".join(claim.access_modes)
        yield Finding(
            code="PVB604",
            level="warning" if many else "information",
            subject=workload.subject,
            summary=f"its {replicas} replicas share claim {name}, which is {modes}"
            if many
            else f"an update starts a new pod while the old one has claim {name}, which is {modes}",
            evidence=(
                Evidence("replicas", str(replicas), "1" if many else ""),
                Evidence("accessModes of the claim", modes, "ReadWriteMany" if many else ""),
                Evidence("strategy", workload.strategy, "" if many else "Recreate"),
            ),
            rules=("FM-2",),
            way_out=(
                Do("use a claim with ReadWriteMany, or a StatefulSet with a claim for each replica")
                if many
                else Do("set the strategy to Recreate"),
            ),
            others=(of_claim(claim),),
            about=name,
        )


def _is_daemon(workload: Workload) -> bool:
    return workload.subject.kind == _DAEMON


def _stays_together(workload: Workload, claim: Claim, survey: Survey) -> bool:
    """Whether all replicas run on one node anyway, or the volume doesn't mind."""
    volume = survey.snapshot.volume(claim.volume_name) if claim.volume_name else None
    if volume is not None:
        nodes = survey.nodes_of(volume)
        if (
            volume.source == "nfs"
            or (is_share(volume) and volume.csi is not None)
            or (nodes is not None and len(nodes) <= 1)
        ):
            return True
    spec = part(workload.template, "spec")
    if spec.get("nodeName") or "kubernetes.io/hostname" in part(spec, "nodeSelector"):
        return True
    affinity = part(part(spec, "affinity"), "podAffinity")
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    if any(isinstance(term, dict) and term.get("topologyKey") == "kubernetes.io/hostname" for term in terms):
        return True
    return len(survey.nodes) == 1


def _unsupported_mode(claim: Claim, survey: Survey) -> Iterator[Finding]:
    if claim.volume_mode != "Filesystem" or "ReadWriteMany" not in claim.access_modes or claim.is_deleting:
        return
    storage_class = survey.snapshot.storage_class(claim.storage_class) if claim.storage_class else None
    if storage_class is None:
        return
    driver = survey.snapshot.settings.migrations.driver_of(storage_class.provisioner) or storage_class.provisioner
    if driver.removeprefix("openshift-storage.").removeprefix("rook-ceph.") not in _BLOCK_DRIVERS:
        return
    yield Finding(
        code="PVB605",
        level="warning",
        subject=of_claim(claim),
        summary=f"it asks for ReadWriteMany, and volumes of {driver} are block devices",
        evidence=(
            Evidence("accessModes", ", ".join(claim.access_modes), "ReadWriteOnce"),
            Evidence("provisioner", storage_class.provisioner),
        ),
        rules=("FM-2",),
        way_out=(Do("ask for ReadWriteOnce, or for a class of shared file systems"),),
    )
