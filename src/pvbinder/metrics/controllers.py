"""The past and pending work of a manager's controllers, and their line to the server.

MT-2 to MT-8, EV-6, EX-13; volumes and claims are counted in `objects`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Protocol, runtime_checkable

from pvbinder.controllers.binder_controller import BinderController
from pvbinder.controllers.csi.measures import CapacityStatistics, CsiMeasures
from pvbinder.controllers.ephemeral_volumes import EphemeralVolumeController
from pvbinder.controllers.manager import Manager, ManagerStatistics
from pvbinder.controllers.measures import Measures
from pvbinder.kube.client import ClientStatistics
from pvbinder.kube.election import Election
from pvbinder.kube.queue import QueueStatistics
from pvbinder.metrics import families as f
from pvbinder.metrics.families import Sample
from pvbinder.metrics.objects import ObjectCounts
from pvbinder.model.histogram import Durations

EVENT_RESULTS = ("created", "patched", "dropped", "suppressed", "refused", "given_up")


@runtime_checkable
class HasMeasures(Protocol):
    """A controller that measures how long operations take."""

    measures: Measures


@runtime_checkable
class HasCsiMeasures(Protocol):
    """A sidecar of a CSI driver."""

    csi_measures: CsiMeasures

    def capacities(self) -> Iterator[CapacityStatistics]:
        """The state of CSIStorageCapacity objects, where they are kept."""
        ...


class ControllerSource:
    """All that runs in one manager."""

    def __init__(self, manager: Manager, elections: Iterable[Election] = ()) -> None:
        """`elections` are those of the process, besides those of its controllers."""
        self._manager = manager
        self._own_elections = tuple(elections)

    def _elections(self) -> Iterator[Election]:
        yield from self._own_elections
        yield from self._manager.elections()

    async def samples(self) -> AsyncIterator[Sample]:
        """Give the metrics of every controller that runs."""
        statistics = self._manager.statistics()
        for sample in (*_lines(statistics), *_queues(statistics.queues.values())):
            yield sample
        for election in self._elections():
            yield f.LEADER(election.is_leading, election.name)
        in_flight: list[int] = []  # operations on snapshots, of each driver
        for controller in self._manager.controllers.values():
            if isinstance(controller, HasMeasures):
                for sample in _measured(controller.measures):
                    yield sample
            for sidecar in sidecars_of(controller):
                in_flight.append(sidecar.csi_measures.snapshots.in_flight)
                for sample in _sidecar(sidecar):
                    yield sample
            if isinstance(controller, BinderController):
                for sample in _binder(controller):
                    yield sample
                caches = controller.binder.caches
                counts = ObjectCounts(caches.volumes, caches.claims, controller.calls.catalogue.plugin_name_of)
                async for sample in counts.samples():
                    yield sample
            if isinstance(controller, EphemeralVolumeController):
                ephemeral = controller.statistics()
                yield f.EPHEMERAL_CREATES(ephemeral.creates)
                yield f.EPHEMERAL_CREATE_FAILURES(ephemeral.create_failures)
        if in_flight:
            yield f.SNAPSHOT_OPERATIONS_RUNNING(sum(in_flight))


def _lines(statistics: ManagerStatistics) -> Iterator[Sample]:
    """The line to the API server: requests, caches, events."""
    for name in statistics.controllers:
        yield f.CONTROLLERS(1, name)
    for user, client in statistics.requests.items():
        yield from _requests(user, client)
    yield f.WRITES_IN_FLIGHT(sum(client.writes_in_flight for client in statistics.requests.values()))
    if (gate := statistics.gate) is not None:
        yield f.WRITE_WINDOW(gate.limit)
        yield f.WRITES_WAITING(gate.waiting)
        yield f.WINDOW_CUTS(gate.cuts, "refused")
        yield f.WINDOW_CUTS(gate.slowdowns, "slow")
    durations: dict[str, Durations] = {}
    for client in statistics.requests.values():
        for verb, counted in client.durations.items():
            durations[verb] = durations[verb] + counted if verb in durations else counted
    for verb, counted in durations.items():
        yield f.LATENCY(counted, verb)
    for resource, informer in statistics.informers.items():
        yield f.INFORMER_OBJECTS(informer.objects, resource)
        yield f.INFORMER_EVENTS(informer.events, resource)
        yield f.INFORMER_LISTS(informer.lists, resource)
        yield f.INFORMER_FAILURES(informer.failures, resource)
        yield f.INFORMER_UNREADABLE(informer.unreadable, resource)
    for component, recorder in statistics.recorders.items():
        for result in EVENT_RESULTS:
            yield f.EVENTS(getattr(recorder, result), component, result)


def _requests(user: str, client: ClientStatistics) -> Iterator[Sample]:
    for (verb, resource), count in client.requests.items():
        yield f.REQUESTS(count, user, verb, resource)
    for code, count in client.statuses.items():
        yield f.ANSWERS(count, user, str(code))
    yield f.REPETITIONS(client.repetitions, user)


def _queues(queues: Iterable[QueueStatistics]) -> Iterator[Sample]:
    for queue in queues:
        name = queue.name
        yield f.QUEUE_DEPTH(queue.depth, name)
        yield f.QUEUE_ADDS(queue.adds, name)
        yield f.QUEUE_WAITED(queue.waited, name)
        yield f.QUEUE_WORKED(queue.worked, name)
        yield f.QUEUE_UNFINISHED(queue.unfinished_seconds, name)
        yield f.QUEUE_LONGEST(queue.longest_seconds, name)
        yield f.QUEUE_RETRIES(queue.retries, name)
        yield f.QUEUE_DELAYED(queue.delayed, name)
        yield f.QUEUE_IN_WORK(queue.in_work, name)
        yield f.QUEUE_FAILURES(queue.failures, name)


def _measured(measures: Measures) -> Iterator[Sample]:
    for (plugin, operation), durations in measures.operations.items():
        yield f.OPERATIONS(durations, plugin, operation)
    for (plugin, operation, status), durations in measures.calls.items():
        yield f.PLUGIN_CALLS(durations, plugin, operation, status, "false")


def sidecars_of(controller: object) -> Iterator[HasCsiMeasures]:
    """The sidecar that a controller is, or has."""
    inner = getattr(controller, "sidecar", None)
    if isinstance(controller, HasCsiMeasures):
        yield controller
    elif inner is not None:
        yield from sidecars_of(inner)


def _sidecar(sidecar: HasCsiMeasures) -> Iterator[Sample]:
    measures = sidecar.csi_measures
    for (method, code), durations in measures.calls.items():
        yield f.CSI_CALLS(durations, measures.driver, method, code)
    for (storage_class, source), durations in measures.provisions.items():
        yield f.PROVISIONED(durations.count, storage_class, source)
        yield f.PROVISION_SECONDS(durations, storage_class, source)
    for (storage_class, source), count in measures.failed_provisions.items():
        yield f.PROVISION_FAILED(count, storage_class, source)
    for storage_class, durations in measures.deletes.items():
        yield f.DELETED(durations.count, storage_class)
        yield f.DELETE_SECONDS(durations, storage_class)
    for storage_class, count in measures.failed_deletes.items():
        yield f.DELETE_FAILED(count, storage_class)
    for (operation, kind, outcome), durations in measures.snapshots.ended.items():
        yield f.SNAPSHOT_OPERATIONS(durations, measures.driver, operation, kind, outcome)
    for kept in sidecar.capacities():
        yield f.CAPACITIES_GOAL(kept.goal)
        yield f.CAPACITIES_CURRENT(kept.current)
        yield f.CAPACITIES_OBSOLETE(kept.obsolete)


def _binder(controller: BinderController) -> Iterator[Sample]:
    binder = controller.binder.statistics()
    yield f.BINDS(binder.binds)
    yield f.WAITING_CLAIMS(binder.waiting_claims)
    for what, decisions in (("claim", binder.claim_decisions), ("volume", binder.volume_decisions)):
        for (outcome, rule), count in decisions.items():
            yield f.DECISIONS(count, what, outcome, rule)
    for (plugin, operation), count in binder.operation_errors.items():
        yield f.OPERATION_ERRORS(count, plugin, operation)
        yield f.OPERATION_ERRORS_TWIN(count, plugin, operation)
    yield f.CLASS_ASSIGNMENTS(binder.class_assignments)
    yield f.CLASS_ASSIGNMENT_ERRORS(binder.class_assignment_errors)
    operations = controller.operations.statistics()
    yield f.OPERATIONS_RUNNING(operations.running)
    yield f.OPERATIONS_BACKING_OFF(operations.backing_off)
    yield f.OPERATIONS_STARTED(operations.started)
    yield f.OPERATIONS_FAILED(operations.failed)
    calls = controller.calls.statistics()
    for plugin, count in calls.running.items():
        yield f.CALLS_RUNNING(count, plugin)
    for plugin, count in calls.late.items():
        yield f.CALLS_LATE(count, plugin)
    yield f.PLUGINS_REFUSED(len(controller.calls.catalogue.refused))
