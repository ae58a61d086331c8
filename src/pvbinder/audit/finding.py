"""What an audit finds, as values: every form of output shows the same ones.

FINDING-1  A code never changes its meaning and is never used again; the schema's `version` grows when a field goes or
           changes its meaning, not when one is added.
FINDING-2  `key` is the same as long as the same thing is wrong with the same object, whatever the sizes, times and
           words around it: a baseline and a comparison of two audits go by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from pvbinder.insight.remedies import Remedy
from pvbinder.model.objects import Claim, Node, Pod, StorageClass, Volume

FindingLevel = Literal["error", "warning", "information"]
LEVELS: Final[tuple[FindingLevel, ...]] = ("error", "warning", "information")  # the worst first
VERSION: Final = 1


class AuditSubject(Struct, frozen=True, order=True):
    """The object that something is wrong with; `namespace` is ``""`` for one of the whole cluster."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Name it as a person does: ``PersistentVolumeClaim shop/orders``."""
        return f"{self.kind} {self.key}"

    @property
    def key(self) -> str:
        """Its name, after its namespace if it is in one."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Evidence(Struct, frozen=True):
    """One observation: both values where two are compared."""

    what: str
    found: str
    wanted: str = ""


class Finding(Struct, frozen=True, rename="camel", kw_only=True):
    """One thing that is wrong, or that somebody may want to know (FINDING-1)."""

    code: str
    level: FindingLevel
    subject: AuditSubject
    summary: str  # one sentence about the subject, without its name
    evidence: tuple[Evidence, ...] = ()
    rules: tuple[str, ...] = ()
    way_out: tuple[Remedy, ...] = ()
    others: tuple[AuditSubject, ...] = ()  # the other objects that have part in it
    about: str = ""  # tells two findings of one code about one object apart
    silenced: str = ""  # the reason why nobody is to be bothered with it

    @property
    def key(self) -> str:
        """The same for the same thing wrong with the same object (FINDING-2)."""
        parts = (self.code, self.subject.kind, self.subject.key, self.about)
        return " ".join(filter(None, parts))


def of_claim(claim: Claim) -> AuditSubject:
    """Return `claim` as a subject."""
    return AuditSubject("PersistentVolumeClaim", claim.namespace, claim.name)


def of_volume(volume: Volume) -> AuditSubject:
    """Return `volume` as a subject."""
    return AuditSubject("PersistentVolume", "", volume.name)


def of_class(storage_class: StorageClass) -> AuditSubject:
    """Return `storage_class` as a subject."""
    return AuditSubject("StorageClass", "", storage_class.name)


def of_node(node: Node) -> AuditSubject:
    """Return `node` as a subject."""
    return AuditSubject("Node", "", node.name)


def of_pod(pod: Pod) -> AuditSubject:
    """Return `pod` as a subject."""
    return AuditSubject("Pod", pod.namespace, pod.name)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return `findings` in the order in which they are told: by level, code and object."""
    return tuple(sorted(findings, key=lambda each: (LEVELS.index(each.level), each.code, each.subject, each.about)))


def is_at_least(level: FindingLevel, threshold: FindingLevel) -> bool:
    """Tell whether `level` is as bad as `threshold`, or worse."""
    return LEVELS.index(level) <= LEVELS.index(threshold)
