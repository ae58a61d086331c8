"""The cluster as the finders see it: a snapshot, the time, and what is derived from both once for all of them.

SURVEY-1  Every derived fact is worked out at most once, when a finder first asks for it.
SURVEY-2  What grows with claims times volumes has a budget of comparisons; beyond it evidence is left out, never a
          finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Final

from msgspec import Struct

from pvbinder.audit.users import Users, name_of, part
from pvbinder.insight.advice import Misses
from pvbinder.insight.instants import instant
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import nearest
from pvbinder.model.objects import Claim, Node, Volume
from pvbinder.model.scheduling import CsiStorageCapacity, state_of
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import misfits, selector_of

COMPARISONS_MAX: Final = 2_000_000  # of a claim with a volume, over a whole audit
MISSES_MAX: Final = 20
_KEEP_WORDS: Final = frozenset({"keep", "retain", "retained", "archive", "archived", "preserve", "hold", "legal-hold"})
_KEEP_KEYS: Final = _KEEP_WORDS | {"do-not-delete", "keep-until", "protected", "retain-until"}
_NO: Final = frozenset({"false", "no", "0", "off"})


class Options(Struct, frozen=True, kw_only=True):
    """The choices of whoever asks for an audit."""

    prices: Mapping[str, float] = {}  # by class, of a GiB in a month
    waste_factor_min: float = 2.0
    waste_gib_min: float = 10.0
    unused_days_min: float = 7.0
    settling_minutes: float = 10.0  # a deletion younger than this is on its way


class Survey:
    """A snapshot at a time, with derived facts."""

    def __init__(self, snapshot: Snapshot, now: datetime, options: Options) -> None:
        """Look at `snapshot` as of `now`."""
        self.snapshot = snapshot
        self.now = now
        self.options = options
        self._comparisons = 0
        self._values: dict[str, set[str]] = {}
        self._misses: dict[tuple[object, ...], Misses] = {}

    def age_seconds(self, text: str | None) -> float | None:
        """Return how long ago the time `text` was; None if it is no time."""
        found = instant(text)
        return (self.now - found).total_seconds() if found is not None else None

    def is_settling(self, deletion: str | None) -> bool:
        """Tell whether a deletion that began at `deletion` is so young that it is on its way."""
        age = self.age_seconds(deletion)
        return age is not None and age < self.options.settling_minutes * 60

    def knows_claims_of(self, namespace: str) -> bool:
        """Tell whether a claim of `namespace` that isn't here doesn't exist."""
        return self.snapshot.sees_claims_of(namespace) or self.is_whole

    @cached_property
    def is_whole(self) -> bool:
        """Tell whether it is a whole cluster: nodes, claims and namespaces or workloads are known."""
        knows = self.snapshot.knows
        return knows("PersistentVolumeClaim") and knows("Node") and (knows("Namespace") or knows("CronJob"))

    @cached_property
    def pending(self) -> list[Claim]:
        """The claims that wait for a volume and may choose it."""
        return [
            claim
            for claim in self.snapshot.claims()
            if not claim.volume_name and not claim.bind_completed and not claim.is_deleting
        ]

    @cached_property
    def free(self) -> list[Volume]:
        """The volumes that no claim has or is reserved for."""
        return [volume for volume in self.snapshot.volumes if volume.claim_ref is None]

    @cached_property
    def nodes(self) -> list[Node]:
        """All nodes, by name."""
        return sorted(self.snapshot.nodes(), key=lambda node: node.name)

    @cached_property
    def troubled_nodes(self) -> dict[str, str]:
        """The nodes that take no pods now, by name, with the reason."""
        return {node.name: why for node in self.nodes if (why := _trouble(node))}

    @cached_property
    def users(self) -> Users:
        """The users of claims."""
        return Users(self.snapshot)

    @cached_property
    def drivers(self) -> frozenset[str]:
        """The names of all CSIDrivers."""
        return frozenset(self.snapshot.drivers())

    @cached_property
    def provisioners(self) -> frozenset[str]:
        """The provisioners and drivers that have made a volume that is there."""
        found = {volume.provisioned_by or "" for volume in self.snapshot.volumes}
        found |= {volume.csi.driver or "" for volume in self.snapshot.volumes if volume.csi is not None}
        return frozenset(found - {""})

    @cached_property
    def places_of_class(self) -> dict[str, dict[str, set[str]]]:
        """The labels of nodes that the volumes of each class are tied to, and their values."""
        found: dict[str, dict[str, set[str]]] = {}
        for volume in self.snapshot.volumes:
            if volume.node_affinity is None:
                continue
            for term in volume.node_affinity.node_selector_terms or ():
                for line in term.match_expressions or ():
                    if line.operator == "In" and not self._label_values(line.key) <= set(line.values or ()):
                        places = found.setdefault(volume.storage_class, {})
                        places.setdefault(line.key, set()).update(line.values or ())
        return found

    def _label_values(self, key: str) -> set[str]:
        """The values that nodes have for the label `key`."""
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = {node.labels[key] for node in self.nodes if key in node.labels}
        return found

    @cached_property
    def secrets(self) -> frozenset[tuple[str, str]] | None:
        """The secrets by namespace and name; None if they aren't known."""
        if not self.snapshot.knows("Secret"):
            return None
        parts = (part(document, "metadata") for document in self.snapshot.others("Secret"))
        return frozenset((str(each.get("namespace") or "default"), str(each.get("name"))) for each in parts)

    @cached_property
    def classes_named(self) -> frozenset[str]:
        """The classes that a claim, a volume, a template or a quota names."""
        found = {claim.storage_class for claim in self.snapshot.claims()}
        found |= {volume.storage_class for volume in self.snapshot.volumes}
        for each in self.snapshot.stateful_sets():
            found |= {str(part(template, "spec").get("storageClassName") or "") for template in each.claim_templates}
        for workload in self.users.workloads:
            for volume in part(workload.template, "spec").get("volumes") or ():
                template = part(part(volume, "ephemeral"), "volumeClaimTemplate") if isinstance(volume, dict) else {}
                found.add(str(part(template, "spec").get("storageClassName") or ""))
        return frozenset(found)

    @cached_property
    def capacities(self) -> dict[str, list[CsiStorageCapacity]]:
        """The free capacity that drivers publish, by class."""
        found: dict[str, list[CsiStorageCapacity]] = {}
        for each in self.snapshot.capacities():
            found.setdefault(each.storage_class, []).append(each)
        return found

    @cached_property
    def attach_limits(self) -> dict[str, dict[str, int]]:
        """How many volumes of each driver a node can have attached at most, of the nodes that say it."""
        found: dict[str, dict[str, int]] = {}
        for document in self.snapshot.others("CSINode"):
            for driver in part(document, "spec").get("drivers") or ():
                count = part(driver, "allocatable").get("count") if isinstance(driver, dict) else None
                if isinstance(count, int):
                    found.setdefault(str(driver.get("name")), {})[name_of(document)] = count
        return found

    @cached_property
    def attachments_left(self) -> dict[str, dict[str, int]]:
        """How many more volumes each of these nodes can attach; less than 0 if it has too many."""
        attached: Counter[tuple[str, str]] = Counter()
        for each in self.snapshot.attachments():
            volume = self.snapshot.volume(each.volume)
            if volume is not None and volume.csi is not None:
                attached[volume.csi.driver or "", each.node] += 1
        return {
            driver: {node: limit - attached[driver, node] for node, limit in limits.items()}
            for driver, limits in self.attach_limits.items()
        }

    @cached_property
    def sizes_by_class(self) -> dict[str, list[int]]:
        """The requests of the claims of each class, in nano-units."""
        found: dict[str, list[int]] = {}
        for claim in self.snapshot.claims():
            found.setdefault(claim.storage_class, []).append(claim.request.nano)
        return found

    def nearest_claim(self, namespace: str, name: str) -> str:
        """Return the name in `namespace` that is most like `name`; ``""`` if none is, or too many were asked for."""
        names = self._claim_names.get(namespace, ())
        return nearest(name, names) if self.may_compare(len(names)) else ""

    @cached_property
    def _claim_names(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for claim in self.snapshot.claims():
            found.setdefault(claim.namespace, []).append(claim.name)
        return found

    def nearest_misses(self, claim: Claim) -> Misses:
        """Return the free volumes that miss `claim` by the fewest reasons, at most `MISSES_MAX` (SURVEY-2)."""
        own = self.snapshot.volumes.claimed_by(claim.key)
        wish = (
            claim.storage_class,
            claim.access_modes,
            claim.request.nano,
            claim.volume_mode,
            claim.attributes_class,
            repr(claim.selector),
        )
        if not own and wish in self._misses:
            return self._misses[wish]
        volumes = [*self.free, *own]
        if not self.may_compare(len(volumes)):
            return []
        found = self._ordered(claim, volumes)
        if not own:
            self._misses[wish] = found
        return found

    def may_compare(self, count: int) -> bool:
        """Take `count` comparisons from the budget; False if there aren't as many left (SURVEY-2)."""
        if self._comparisons + count > COMPARISONS_MAX:
            return False
        self._comparisons += count
        return True

    def _ordered(self, claim: Claim, volumes: list[Volume]) -> Misses:
        try:
            selector_of(claim)
        except SelectorError:
            return []
        found = [(each, misfits(each, claim, settings=self.snapshot.settings)) for each in volumes]
        missing = [each for each in found if each[1]]
        request = claim.request.nano
        missing.sort(key=lambda miss: (len(miss[1]), abs(miss[0].size.nano - request), miss[0].name))
        return missing[:MISSES_MAX]

    def nodes_of(self, volume: Volume) -> list[Node] | None:
        """Return the nodes that can use `volume`; None if every node can, or no node is known."""
        if volume.node_affinity is None or not self.nodes:
            return None
        return list(self.snapshot.nodes_matching(volume.node_affinity))


def kept_on_purpose(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Return the label or annotation that says that an object is kept on purpose; ``""`` if there is none.

    One whose name, without its prefix, is keep, retain, archive, preserve, hold, protected or the like, and isn't
    false; or whose value is one of these words.
    """
    for key, value in _pairs(labels, annotations):
        name = key.rpartition("/")[2].lower()
        if (name in _KEEP_KEYS and value.lower() not in _NO) or value.lower() in _KEEP_WORDS:
            return f"{key}={value}"
    return ""


def _pairs(labels: Mapping[str, str], annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from sorted(labels.items())
    yield from sorted(annotations.items())


def _trouble(node: Node) -> str:
    if state_of(node).is_unschedulable:
        return "is cordoned"
    if node.is_deleting:
        return "is being deleted"
    status = node.document().get("status") or {}
    for condition in status.get("conditions") or []:
        if isinstance(condition, dict) and condition.get("type") == "Ready" and condition.get("status") != "True":
            return "is not ready"
    return ""
