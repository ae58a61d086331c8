"""``pvbinder controller`` from start to stop: the controllers as a process of their own, over HTTPS.

CONTROL-1  An API server that can't be reached, or isn't ready, is tried again until it answers, with a log line each
           time; so is one that goes away later (INFORMER-8). Health is answered meanwhile: alive, and not ready.
CONTROL-2  A server that doesn't know us at the start is an error that ends it: to try again would not help. One that
           knows us and won't let us is tried again: roles are made as long as a cluster comes up.
CONTROL-3  SIGINT, SIGTERM and SIGHUP end it cleanly, whether or not the server could be reached. Exit code 0.
CONTROL-4  Nothing is written but by the controllers, and they ask for nothing that only our own server has.
CONTROL-5  Only the controllers of persistent volumes are on by default: a cluster has all others of its own.
CONTROL-6  With an election nothing is done until this process is the leader; when it isn't any more, all stops at once,
           and the reason is raised. A process that waits for its turn has full caches, and is ready when it has them.
CONTROL-7  Told to stop, it finishes what is in work and begins nothing new, then lets its lease go: the next leader
           need not wait, and finds nothing half done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from pvbinder import __version__, logs
from pvbinder.chance import CHANCE
from pvbinder.cli import loops
from pvbinder.cli.endpoint import Answers, answering, checks
from pvbinder.cli.options import ControlOptions
from pvbinder.cli.signals import listening
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.registry import ControllerDeclaration, beside_a_cluster
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.config import ConnectionConfig, load
from pvbinder.kube.discovery import Discovered, discover
from pvbinder.kube.election import Election, Fence
from pvbinder.kube.errors import ApiFailure, ConfigError, ConnectionFailed
from pvbinder.kube.events import EventRecorder
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.pacing import pace_of
from pvbinder.kube.transport import Transport
from pvbinder.kube.write_gate import WriteGate
from pvbinder.metrics.controllers import ControllerSource
from pvbinder.metrics.metrics import Metrics

if TYPE_CHECKING:
    from pvbinder.cli.auditing import Auditing

FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 15.0
ANONYMOUS: Final = "system:anonymous"  # a client without credentials

log = logs.get(__name__)


def control(options: ControlOptions, known: tuple[ControllerDeclaration, ...] | None = None) -> int:
    """Run the controllers as asked, those that are `known` or the usual ones, and return the exit code."""
    logs.configure(verbosity=options.verbosity, format=options.log_format)
    for flag, why in options.passed_over:
        log.warning("flag changes nothing here", flag=flag, why=why)
    config = load(options.kubeconfig, options.context, server=options.server)
    return loops.run(_main(options, config, known or beside_a_cluster()))


async def _main(options: ControlOptions, config: ConnectionConfig, known: tuple[ControllerDeclaration, ...]) -> int:
    task = asyncio.current_task()
    assert task is not None
    with listening(task) as stop:
        stop.is_ready = True  # to stop means the same at any time (CONTROL-3)
        async with HttpTransport(config) as transport:
            # Made before the server answers: a controller that there is not is told at once.
            lead = _Lead(transport, options)
            pace = pace_of(options.kube_api_qps, options.kube_api_burst)
            waits = lead.run if lead.elections else None
            manager = Manager(
                transport,
                options.controllers,
                known=known,
                fence=lead.fence,
                pace=pace,
                lead=waits,
                gate=WriteGate(),
                streams=True,
            )
            live, ready = checks(manager, lead.elections)
            metrics = Metrics([ControllerSource(manager, lead.elections)])
            auditing = _auditing(options, transport)
            if auditing is not None:
                metrics.add(auditing)
            answers = Answers(metrics, live, ready, options.metrics_path)
            async with answering(options, answers, transport) as urls, asyncio.TaskGroup() as group:
                work = group.create_task(_work(transport, config, manager, urls), name="controllers")
                looking = group.create_task(auditing.run(), name="audits") if auditing is not None else None
                await stop.wished.wait()
                await manager.hand_over()
                work.cancel()
                if looking is not None:
                    looking.cancel()
    log.info("stopped")
    return 0


def _auditing(options: ControlOptions, transport: Transport) -> Auditing | None:
    """Return what audits the cluster as often as asked; None if it wasn't asked for."""
    if options.audit_interval_seconds is None:
        return None
    from pvbinder.cli.auditing import Auditing  # the finders: only for those who want them

    return Auditing(Client(transport), options.audit_interval_seconds)


class _Lead:
    """The election of the whole process, if there is one (CONTROL-6)."""

    def __init__(self, transport: Transport, options: ControlOptions) -> None:
        self.fence = Fence()
        self.elections: list[Election] = []
        if options.election is not None:
            name, times = options.election
            client = Client(transport, retries=Retries(attempts=1))
            self._recorder = EventRecorder(client, name)
            self.elections.append(Election(client, name, times, recorder=self._recorder))

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, when and as long as we are the leader."""
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._recorder.run(), name="events of the election")
            await self.fence.run(self.elections[0], work)
            telling.cancel()


async def _work(transport: Transport, config: ConnectionConfig, manager: Manager, urls: str) -> None:
    log.info("starting", version=__version__, server=config.server, metrics=urls or "none")
    await wait_for_server(Client(transport, retries=Retries(attempts=1)), config.server)

    async def tell_when_ready() -> None:
        await manager.wait_ready()
        log.info("ready", server=config.server, controllers=len(manager.controllers))

    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell_when_ready(), name="ready")
        await manager.run()
        telling.cancel()


async def wait_for_server(client: Client, server: str, *, chance: Callable[[], float] = CHANCE.random) -> Discovered:
    """Ask `server` what it serves until it answers (CONTROL-1), or raise `ConfigError` if it won't (CONTROL-2)."""
    wait_seconds = FIRST_WAIT_SECONDS
    while True:
        try:
            return await discover(client)
        except ConnectionFailed as error:
            failure: ConnectionFailed | ApiFailure = error
        except ApiFailure as error:
            if error.is_unauthorized:
                raise ConfigError(
                    f"{server} doesn't know who we are: {error.message}",
                    hint=error.hint,
                ) from error
            if error.is_forbidden and ANONYMOUS in error.message:
                raise ConfigError(
                    f"{server} takes us for nobody: {error.message}",
                    hint="the user of the kubeconfig's context has no token, certificate or plugin that gives one",
                ) from error
            failure = error
        pause_seconds = wait_seconds * (0.5 + chance() / 2)
        hint = {"hint": failure.hint} if failure.hint else {}
        log.warning("API server doesn't answer", err=failure.message, **hint, again_in_seconds=round(pause_seconds, 1))
        await asyncio.sleep(pause_seconds)
        wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
