"""The refusals of a provisioner that can be foretold; a claim is called on its way only if there is none.

PROVISIONING-1  A refusal that follows from the objects (a selector, a class without nodes, no room, a source that isn't
                there) is a reason to act now, whether or not the provisioner has said so yet.
PROVISIONING-2  A provisioner that was silent for `PATIENCE_SECONDS` counts as absent, and the length of its silence is
                told. Against a registered driver, the age of a file is no proof of silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pvbinder.insight.explanation import Finding, stuck
from pvbinder.insight.instants import how_long, instant
from pvbinder.insight.remedies import AddClass, AddVolume, Do, RecreateClaim, Remedy, volume_for
from pvbinder.insight.restores import restore_problem
from pvbinder.insight.scheduling import no_storage_anywhere
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed, nearest
from pvbinder.model.json import Json
from pvbinder.model.names import IN_TREE_PREFIX
from pvbinder.model.objects import Claim, StorageClass, claim_key
from pvbinder.model.quantity import Quantity
from pvbinder.model.scheduling import CsiStorageCapacity, TopologyTerm, allowed_topologies
from pvbinder.rules.matching import shown_selector
from pvbinder.rules.plugins import PluginAbilities
from pvbinder.rules.provisioning import refuse_data_source, refuse_mount_options

PATIENCE_SECONDS: Final = 600.0
_RETOLD_SECONDS: Final = 15.0  # between two ExternalProvisioning events of the binder


def external_refusal(claim: Claim, provisioner: str, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """Return the known reason why `provisioner` won't make a volume for `claim` (PROVISIONING-1)."""
    storage_class = snapshot.storage_class(claim.storage_class)
    assert storage_class is not None
    return (
        _selector(claim, provisioner, rules)
        or attributes_class_problem(claim, provisioner, rules, snapshot)
        or _data_source(claim, rules, snapshot)
        or restore_problem(claim, rules, snapshot)
        or storage_problem(claim, storage_class, provisioner, rules, snapshot)
        or _node(claim, provisioner, rules, snapshot)
    )


def plugin_refusal(
    claim: Claim, storage_class: StorageClass, plugin: PluginAbilities, rules: tuple[str, ...], snapshot: Snapshot
) -> Finding | None:
    """Return the known reason why the in-tree `plugin` won't make a volume for `claim` (PR-7, PR-10)."""
    if (refused := refuse_data_source(claim, plugin)) is not None:
        remedy = RecreateClaim(without=("dataSource", "dataSourceRef"))
        return stuck("PluginRefuses", (*rules, refused.rule), f"no volume fits it and {refused.error}", remedy)
    if (refused := refuse_mount_options(storage_class, plugin)) is not None:
        remedy_for_class = AddClass(storage_class.name, "without mountOptions", is_there=True)
        return stuck(
            "PluginRefuses", (*rules, refused.rule), f"no volume fits it and {refused.error}", remedy_for_class
        )
    if claim.attributes_class:
        summary = (
            f"no volume fits it, and {plugin.name} makes volumes without an attributes class "
            f"(it asks for {claim.attributes_class})"
        )
        return stuck("AttributesClassUnsupported", (*rules, "FM-8"), summary, RecreateClaim(attributes_class=""))
    return storage_problem(claim, storage_class, plugin.name, rules, snapshot)


def _selector(claim: Claim, provisioner: str, rules: tuple[str, ...]) -> Finding | None:
    if claim.selector is None:
        return None
    shown = shown_selector(claim.selector)
    summary = (
        f"no volume matches its selector{f' ({shown})' if shown else ''}, "
        f"and {provisioner} makes none for a claim with a selector"
    )
    return stuck(
        "SelectorNotSupported",
        (*rules, "CP-9"),
        summary,
        RecreateClaim(without=("selector",), because=f"{provisioner} makes a volume then"),
    )


def attributes_class_problem(claim: Claim, driver: str, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """Return the problem of the attributes class that `claim` names, for a volume of `driver`."""
    name = claim.attributes_class
    if not name:
        return None
    found = snapshot.attributes_class(name)
    if found is None:
        if not snapshot.knows("VolumeAttributesClass"):
            return None
        near = nearest(name, (each.name for each in snapshot.attributes_classes() if each.driver_name == driver))
        return stuck(
            "AttributesClassMissing",
            (*rules, "CP-8"),
            f'there is no VolumeAttributesClass "{name}"' + (f" (did you mean {near}?)" if near else ""),
            Do(f"create VolumeAttributesClass {name} with driverName {driver}"),
            RecreateClaim(attributes_class=near or ""),
        )
    if found.driver_name != driver:
        return stuck(
            "AttributesClassUnsupported",
            (*rules, "CP-8"),
            f"VolumeAttributesClass {name} is for driver {found.driver_name}, its storage class for {driver}",
            RecreateClaim(attributes_class=""),
            Do(f"name a VolumeAttributesClass whose driverName is {driver}"),
        )
    return None


def _data_source(claim: Claim, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    spec = claim.document().get("spec") or {}
    source: Json = spec.get("dataSourceRef") or spec.get("dataSource") or {}
    if source.get("kind") != "PersistentVolumeClaim" or not source.get("name"):
        return None
    key = claim_key(source.get("namespace") or claim.namespace, str(source["name"]))
    found = snapshot.claim(key)
    if found is None:
        summary, remedies = f"it is to be a clone of claim {key}, which doesn't exist", (Do(f"create claim {key}"),)
    elif found.phase != "Bound":
        state = found.phase or "Pending"
        summary, remedies = f"it is to be a clone of claim {key}, which is {state}", (Do(f"get claim {key} bound"),)
    elif found.status_capacity is not None and found.status_capacity > claim.request:
        summary = f"it asks for {claim.request}, and claim {key}, whose clone it is to be, has {found.status_capacity}"
        return stuck(
            "DataSourceUnusable", rules, summary, Do(f"create the claim anew with at least {found.status_capacity}")
        )
    else:
        return None
    return stuck(
        "DataSourceUnusable", rules, summary, *remedies, RecreateClaim(without=("dataSource", "dataSourceRef"))
    )


def storage_problem(
    claim: Claim, storage_class: StorageClass, provisioner: str, rules: tuple[str, ...], snapshot: Snapshot
) -> Finding | None:
    """Return why no node can have a volume of `storage_class` for `claim`: topology, then room (DB-4)."""
    nodes = list(snapshot.nodes())
    terms = allowed_topologies(storage_class)
    allowed = [node for node in nodes if not terms or any(term.matches(node.labels) for term in terms)]
    if nodes and not allowed:
        shown = _shown_terms(terms)
        first = terms[0].match_label_expressions or () if terms else ()
        label = next((f"{one.key}={one.values[0]}" for one in first if one.values), "")
        remedies: list[Remedy] = [AddClass(storage_class.name, _other_topologies(terms, snapshot), is_there=True)]
        if label:
            remedies.append(Do(f"give a node the labels of one term, such as {label}"))
        return stuck(
            "NoNodeInTopology",
            (*rules, "DB-4"),
            f"no node is where class {storage_class.name} may make volumes: its allowedTopologies want {shown}",
            *remedies,
        )
    driver = snapshot.driver(provisioner)
    if driver is None or not driver.reports_capacity:
        return None
    mine = [each for each in snapshot.capacities() if each.storage_class == storage_class.name]
    if not mine and not (snapshot.knows("CSIStorageCapacity") and storage_class.volume_binding_mode != "Immediate"):
        return None
    near = [each for each in mine if not nodes or any(each.is_reachable_from(node.labels) for node in allowed)]
    if any(each.holds(claim.request) for each in near):
        return None
    sizes = [size for each in near if (size := _room(each)) is not None]
    remedies = [Do(f"give {provisioner} more storage: a CSIStorageCapacity of at least {claim.request} is needed")]
    if sizes:
        has = f"the largest that {provisioner} has where a node can use it is {max(sizes)}"
        remedies.append(RecreateClaim(storage_max=str(max(sizes))))
    else:
        has = f"{provisioner} publishes no room at all that a node can use"
    return stuck("NotEnoughStorage", (*rules, "CA-3"), f"it wants {claim.request}, and {has}", *remedies)


def _room(left: CsiStorageCapacity) -> Quantity | None:
    return left.maximum_volume_size if left.maximum_volume_size is not None else left.capacity


def _shown_terms(terms: tuple[TopologyTerm, ...]) -> str:
    return " or ".join(
        " and ".join(
            f"{one.key}={one.values[0]}" if len(one.values) == 1 else f"{one.key} in ({', '.join(one.values)})"
            for one in term.match_label_expressions or ()
        )
        for term in terms
    )


def _other_topologies(terms: tuple[TopologyTerm, ...], snapshot: Snapshot) -> str:
    keys = dict.fromkeys(one.key for term in terms for one in term.match_label_expressions or ())
    for key in keys:
        values = sorted({node.labels[key] for node in snapshot.nodes() if key in node.labels})
        if values:
            return f"with allowedTopologies that nodes have: {key} is {listed(values)}"
    return "without allowedTopologies"


def _node(claim: Claim, provisioner: str, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """The finding that the chosen node lacks the driver, so that the provisioner can't tell the node's topology."""
    node = claim.selected_node
    drivers = snapshot.drivers_on(node) if node else None
    if drivers is None or provisioner in drivers or snapshot.driver(provisioner) is None:
        return None
    return stuck(
        "DriverNotOnNode",
        (*rules, "TP-2"),
        f"node {node} was selected, and driver {provisioner} doesn't run there (it isn't in CSINode {node})",
        Do(f"run the node plugin of {provisioner} on node {node}"),
        Do(f"keep its pods off node {node}, then let them be scheduled anew"),
    )


def silence(claim: Claim, provisioner: str, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """Return the finding that `provisioner` has done nothing about `claim` for too long (PROVISIONING-2)."""
    waited, is_sure = _waited_seconds(claim, snapshot)
    if waited < PATIENCE_SECONDS or (not is_sure and snapshot.driver(provisioner) is not None):
        return None
    is_absent = snapshot.knows("CSIDriver") and snapshot.driver(provisioner) is None
    seen = "there is no CSIDriver of that name" if is_absent else "nothing is heard of it"
    if is_absent and provisioner.startswith(IN_TREE_PREFIX):
        is_absent = False
    remedies: list[Remedy] = []
    if is_absent:
        remedies.append(Do(f"install {provisioner}: there is no CSIDriver object of that name"))
    remedies.append(Do(f"look at the pods and logs of {provisioner}: is it running, does it see the claim?"))
    remedies += other_classes(claim, snapshot)
    return stuck(
        "ProvisionerSilent",
        rules,
        f"no volume fits it, and the external provisioner {provisioner} has made none for {how_long(waited)}: {seen}",
        *remedies,
        volume_for(claim),
        then=f"{provisioner} makes a volume, if it is ever running and sees the claim",
    )


def _waited_seconds(claim: Claim, snapshot: Snapshot) -> tuple[float, bool]:
    """The time that `claim` has waited for a provisioner, and whether it is known from more than the age of a file."""
    waited, is_sure = 0.0, True
    created = instant(claim.created)
    if created is not None and snapshot.moment is not None:
        waited, is_sure = (snapshot.moment - created).total_seconds(), not snapshot.is_dated_by_file
    for event in snapshot.events_about("PersistentVolumeClaim", claim.namespace, claim.name, claim.uid):
        if event.reason == "Provisioning":
            return 0.0, True  # the provisioner is at work, and will tell the result
        if event.reason == "ExternalProvisioning":
            told = max(event.span_seconds, ((event.count or 1) - 1) * _RETOLD_SECONDS)
            waited, is_sure = max(waited, told), is_sure or told >= PATIENCE_SECONDS
    return waited, is_sure


def other_classes(claim: Claim, snapshot: Snapshot) -> Iterator[RecreateClaim]:
    """Yield the claim with a class of a similar name, whose provisioner is another one."""
    own = snapshot.storage_class(claim.storage_class)
    others = [each for each in snapshot.storage_classes() if own is None or each.provisioner != own.provisioner]
    near = nearest(claim.storage_class, (each.name for each in others))
    if near:
        yield RecreateClaim(storage_class=near)


def volumes_on_no_node(claim: Claim, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """Return the finding that no node can have a volume for `claim`, whose class has no provisioner (DB-4, FM-16)."""
    reasons = no_storage_anywhere(claim, snapshot)
    if "NoVolumeToBind" not in reasons:
        return None
    node = next((node.name for node in sorted(snapshot.nodes(), key=lambda node: node.name)), "")
    return stuck(
        "NoVolumeOnAnyNode",
        (*rules, "FM-16"),
        f"no node has a volume that fits it, and nothing provisions for class {claim.storage_class}",
        _volume_on(claim, node),
    )


def _volume_on(claim: Claim, node: str) -> AddVolume:
    return volume_for(claim, node=node)
