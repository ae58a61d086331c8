"""Default classes and delayed binding.

Rules: docs/rules/binder.md#6-class-rules
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Pod, StorageClass
from pvbinder.rules import events
from pvbinder.rules.events import Event


class BindingModeError(PvbinderError):
    """A storage class doesn't say when its claims are bound (SC-U1)."""


class HasDefault(Protocol):
    """A class as far as DC-2 looks at it: whatever says that it is a default, since when there has been one."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def created(self) -> str:
        """When it was created, as metadata shows it."""
        ...

    @property
    def is_default(self) -> bool:
        """Whether it is marked as a default class."""
        ...


C = TypeVar("C", bound=HasDefault)


def default_class(classes: Iterable[C]) -> C | None:
    """Return the default class: the newest of those marked so, then the first name; None if there is none (DC-2).

    The controller asks with its views, admission with the fields of the stored JSON.
    """
    newest: C | None = None
    for candidate in classes:
        if candidate.is_default and (
            newest is None
            or candidate.created > newest.created
            or (candidate.created == newest.created and candidate.name < newest.name)
        ):
            newest = candidate
    return newest


def may_get_default_class(claim: Claim) -> bool:
    """Tell whether `claim` has no class at all; one set to ``""`` is a class (DC-1, DC-4)."""
    return not claim.has_class


def with_class(claim: Claim, storage_class: StorageClass) -> Json:
    """Return the document of `claim` with `storage_class` as its class (DC-3)."""
    document = claim.document()
    document["spec"]["storageClassName"] = storage_class.name
    return document


def is_delayed(storage_class: StorageClass | None) -> bool:
    """Tell whether claims of `storage_class` wait for their first consumer; no class, no wait (SC-U1).

    Raises `BindingModeError` for a class without a binding mode.
    """
    if storage_class is None:
        return False
    if storage_class.volume_binding_mode is None:
        raise BindingModeError(f'VolumeBindingMode not set for StorageClass "{storage_class.name}"')
    return storage_class.volume_binding_mode == "WaitForFirstConsumer"


def consumer_event(pods: Iterable[Pod]) -> Event:
    """Return what a delayed claim waits for, given the pods that refer to it (DB-2)."""
    waiting = sorted(pod.name for pod in pods if not pod.is_scheduled and not pod.is_terminated)
    return events.wait_for_pods(waiting) if waiting else events.WAIT_FOR_FIRST_CONSUMER
