"""What a driver has and what the cluster names, compared: who is missing on which side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct


class DriverEntry(Struct, frozen=True):
    """A volume or snapshot that a driver says it has; `bytes` is 0 where it doesn't say."""

    id: str
    bytes: int = 0
    problem: str = ""  # its condition, where the driver says that it is abnormal


class Named(Struct, frozen=True):
    """An object of the cluster that names a volume or snapshot of the driver."""

    object: str
    id: str
    is_going: bool = False  # it is being deleted, so the driver may have confirmed already


class Audit(Struct, frozen=True):
    """The differences; `unsettled` is what no object names while requests are open: it may be theirs."""

    stored: int
    named: int
    orphans: tuple[DriverEntry, ...] = ()
    unsettled: tuple[DriverEntry, ...] = ()
    missing: tuple[Named, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether both sides agree."""
        return not (self.orphans or self.unsettled or self.missing)


def compare(stored: Iterable[DriverEntry], named: Iterable[Named], requests_open: int) -> Audit:
    """Return the differences between a driver and a cluster.

    A request that is open may have made something already that no object names yet. Nothing tells whose an id is, so
    while there is such a request nothing counts as an orphan for certain.
    """
    there = {one.id: one for one in stored}
    objects = list(named)
    names = {one.id for one in objects}
    left = tuple(one for key, one in sorted(there.items()) if key not in names)
    return Audit(
        stored=len(there),
        named=len(objects),
        orphans=() if requests_open else left,
        unsettled=left if requests_open else (),
        missing=tuple(sorted((o for o in objects if o.id not in there and not o.is_going), key=lambda o: o.object)),
    )


def confirmed(audit: Audit, still_there: Mapping[str, DriverEntry]) -> Audit:
    """Return `audit` with those orphans only that the driver still has."""
    kept = tuple(one for one in audit.orphans if one.id in still_there)
    return Audit(audit.stored, audit.named, kept, audit.unsettled, audit.missing)
