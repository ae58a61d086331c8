"""The parts of an admission plugin: two optional functions, one that changes and one that only looks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from msgspec import Struct

from pvbinder.model.resources import Resource
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.totals import Amounts, Measure
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo


class Reader(Protocol):
    """The stored objects, as admission may see them (`StoredObjects`); what it returns is never changed."""

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        """Return the object, or None if there is none."""
        ...

    def list(self, resource: Resource, namespace: str | None = None) -> Iterable[Json]:
        """Return the objects of `namespace`, or of all namespaces; writes under way may be missing."""
        ...

    def latest(self, resource: Resource, namespace: str | None = None) -> Iterable[Json]:
        """Return the objects with all writes under way counted, which costs more than `list`."""
        ...

    def count(self, resource: Resource, namespace: str | None = None) -> int:
        """Return how many objects there are, writes under way counted; it costs little."""
        ...

    def total(self, resource: Resource, namespace: str, measure: Measure) -> Amounts:
        """Return what the objects amount to together, writes under way counted; it costs little once prepared."""
        ...

    async def prepare_total(self, resource: Resource, namespace: str, measure: Measure) -> None:
        """Prepare `total`, letting others have their turn meanwhile."""
        ...


# What the policies of the cluster say of a write (`server.api.admission.policies`): it raises what refuses it, or puts
# the question off.
_Review: TypeAlias = Callable[[Json | None, Json | None], None]


def _nothing(_attributes: Attributes) -> bool:
    """Let the user do nothing else: what is asked without an authoriser is denied."""
    return False


class AdmissionAttributes(Struct, frozen=True):
    """The write and its user; `namespace` and `subresource` are empty where there is none."""

    kind: ServedKind
    namespace: str
    name: str  # may be empty for a create with a generateName that has not been filled in
    user: UserInfo
    subresource: str = ""
    disabled: frozenset[str] = frozenset()  # plugins that this server leaves out
    review: _Review | None = None  # by the policies of the cluster, where there are some
    may: Callable[[Attributes], bool] = _nothing  # whether the user may do something else, too

    @property
    def resource(self) -> Resource:
        """The resource that is written."""
        return self.kind.resource


# It is called before the others, and has time: what it prepares costs the write itself no time any more.
AdmissionPreparation: TypeAlias = Callable[[Reader, AdmissionAttributes], Awaitable[None]]
# It is given the new object and the stored one (None for a create), and raises ApiError to refuse the write.
AdmissionFunction: TypeAlias = Callable[[Reader, AdmissionAttributes, Json, Json | None], None]


@dataclass(frozen=True, slots=True)
class Plugin:
    """One rule of admission.

    `resources` are the ones it looks at; None means all. `admits` changes objects before validation, `validates` looks
    at them after it. The stored object is None for a create; `on_update` says whether updates are of interest at
    all, and `on_subresources` whether writes to subresources are.
    """

    name: str
    resources: tuple[Resource, ...] | None
    admits: AdmissionFunction | None = None
    validates: AdmissionFunction | None = None
    prepares: AdmissionPreparation | None = None
    on_create: bool = True
    on_update: bool = False
    on_subresources: bool = False
