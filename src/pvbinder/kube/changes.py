"""The changes that an informer tells its handlers: an object was added, updated or deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from pvbinder.kube.client import KubernetesObject

T = TypeVar("T", bound=KubernetesObject)
T_co = TypeVar("T_co", bound=KubernetesObject, covariant=True)


@dataclass(frozen=True, slots=True)
class Added(Generic[T_co]):
    """An object that was not there before."""

    object: T_co


@dataclass(frozen=True, slots=True)
class Updated(Generic[T_co]):
    """The same object (same UID), changed."""

    before: T_co
    object: T_co


@dataclass(frozen=True, slots=True)
class Deleted(Generic[T_co]):
    """An object that is gone; `object` is the last state that we know of."""

    object: T_co


Change: TypeAlias = Added[T] | Updated[T] | Deleted[T]
