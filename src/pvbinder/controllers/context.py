"""The parts that a controller is made from, and the protocol that it follows.

A controller is constructed from a `ControllerContext`; in its constructor it asks for all informers and recorders that
it needs, and starts nothing. `run()` then works until cancelled; the manager runs informers and recorders beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Client, KubernetesObject
from pvbinder.kube.election import Election, Fence
from pvbinder.kube.events import EventRecorder
from pvbinder.kube.informer import Informer
from pvbinder.kube.informers import Informers
from pvbinder.kube.queue import QueueStatistics
from pvbinder.model.json import Json
from pvbinder.model.resources import Resource


def wall_clock() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


class Controller(Protocol):
    """A loop that brings one thing about."""

    async def run(self) -> None:
        """Work until cancelled."""
        ...


@runtime_checkable
class HasQueues(Protocol):
    """A controller whose queues can be looked into."""

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of each of its queues."""
        ...


@runtime_checkable
class HasElections(Protocol):
    """A controller that works only while it has the lead."""

    def elections(self) -> Iterator[Election]:
        """Those that it takes part in."""
        ...


@runtime_checkable
class HandsOver(Protocol):
    """A controller with work of its own besides its queues', which it can bring to an end."""

    async def hand_over(self) -> None:
        """Begin nothing new, and return when what was begun is finished."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """Possessions of the API server's operator, which no request gives.

    `root_certificate` is what the server is trusted by, in PEM; `token_of` makes the token of an account for a secret.
    """

    root_certificate: str
    token_of: Callable[[Json, Json], str]


@dataclass(slots=True)
class ControllerContext:
    """The parts that all controllers of a process share, and those that each has of its own.

    `client` writes as this controller, `informers` are everybody's. `served` are the kinds that the server tells of in
    discovery, for controllers that treat all kinds alike. `also_kept` are caches that some controller keeps for itself,
    as second witnesses for others (`namespaces`). Only a controller that is declared to need `credentials` gets them.
    The writes of `client` pass `fence`: whoever holds elections of its own runs them there. `now` is the clock of all
    times that controllers write or compare; waiting goes by the loop's own (`pvbinder.virtual_time`).
    """

    client: Client
    informers: Informers
    options: ControllerOptions = field(default_factory=ControllerOptions)
    served: tuple[Resource, ...] = ()
    make_recorder: Callable[[Client, str], EventRecorder] = EventRecorder
    recorders: list[EventRecorder] = field(default_factory=list)
    also_kept: dict[Resource, Informer[KubernetesObject]] = field(default_factory=dict)
    credentials: Credentials | None = None
    fence: Fence = field(default_factory=Fence)
    now: Callable[[], datetime] = wall_clock

    def recorder(self, component: str) -> EventRecorder:
        """Make the recorder of events that come from `component`."""
        recorder = self.make_recorder(self.client, component)
        self.recorders.append(recorder)
        return recorder
