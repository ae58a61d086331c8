"""``pvbinder up`` from start to stop: ready banner, live view or command, and a clean end.

SERVE-1  SIGINT, SIGTERM, SIGHUP end it cleanly: the listener closes, the controllers stop, the store is closed. Exit
         code 0 once it was ready, 128 + N before that. A second signal ends it at once.
SERVE-2  With a command stdout is the command's alone; we say nothing, unless something needs somebody or ``-v`` asks.
SERVE-3  Everything that belongs to an ephemeral start is gone when it ends, whichever way it does; after a ``kill -9``,
         when the next one starts.
SERVE-4  The page is loaded and served after it was said that we are ready: nobody waits for it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pvbinder import __version__, logs
from pvbinder.cli import STARTED, loops
from pvbinder.cli.apply import Manifests, apply, take_manifests
from pvbinder.cli.board import Board
from pvbinder.cli.child import run_command
from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.links import renewing
from pvbinder.cli.live import console_for_people, view_for, watch_live
from pvbinder.cli.options import UpOptions
from pvbinder.cli.output import say
from pvbinder.cli.signals import Stop, listening
from pvbinder.kube.client import Client
from pvbinder.model.printable import printable
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.plane.recorder import Interception

if TYPE_CHECKING:
    from pvbinder.web.page import LivePage

# How many new objects the garbage collector waits for (Python's default is 700). Requests leave next to no cycles
# behind, but each makes hundreds of objects; at the default, looking at them took 4 and 22 % of
# the processor in two noisy runs.
COLLECTION_OBJECTS_MIN = 20_000

log = logs.get(__name__)


def serve(options: UpOptions) -> int:
    """Run the control plane as asked and return the exit code."""
    if options.apply and shutil.which("kubectl") is None:
        raise WrongUsageError(
            "--apply needs kubectl, and there is none on PATH",
            hint="install it (https://kubernetes.io/docs/tasks/tools/), or start without --apply",
        )
    manifests = take_manifests(options.apply)
    logs.configure(verbosity=options.verbosity, format=options.log_format)
    gc.set_threshold(COLLECTION_OBJECTS_MIN, *gc.get_threshold()[1:])
    if (options.command or options.watch) and options.verbosity == 0:
        logs.only_warnings()
    try:
        return loops.run(_main(options, manifests))
    except _StoppedEarly as stopped:
        return 128 + stopped.number


class _StoppedEarly(Exception):  # noqa: N818  (says what happened)
    def __init__(self, number: int) -> None:
        self.number = number


async def _main(options: UpOptions, manifests: Sequence[Manifests]) -> int:
    task = asyncio.current_task()
    assert task is not None
    with listening(task) as stop:
        try:
            interception = Interception()
            async with control_plane(options, interceptor=interception.intercept) as plane:
                took_seconds = time.perf_counter() - STARTED
                stop.is_ready = True
                gc.freeze()  # objects made so far stay
                async with AsyncExitStack() as stack:
                    beside = _Beside(plane, options, stack, interception)
                    if options.command:
                        return await _run_command(plane, options, manifests, beside)
                    await _stay(plane, options, manifests, stop, took_seconds, beside)
        except asyncio.CancelledError:
            if stop.number and not stop.is_ready:
                raise _StoppedEarly(stop.number) from None
            raise
    kept = f"; everything is kept in {options.data_dir}" if options.data_dir is not None else ""
    say(f"\n{printable(f'stopped{kept}')}", is_progress=True)
    return 0


async def _run_command(plane: Plane, options: UpOptions, manifests: Sequence[Manifests], beside: _Beside) -> int:
    page = await beside.page()
    if page is not None:
        say(f"the page: {page.link()}", is_progress=True)
    for each in manifests:
        say((await apply(plane.kubeconfig, each)).rstrip(), is_progress=True)
    return await run_command(options.command, {**os.environ, "KUBECONFIG": str(plane.kubeconfig)})


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is served beside the control plane: the page, if there is to be one (SERVE-4)."""

    plane: Plane
    options: UpOptions
    stack: AsyncExitStack
    interception: Interception

    async def page(self) -> LivePage | None:
        """Serve the page."""
        if self.options.page_port is None:
            return None
        from pvbinder.web.page import LivePage
        from pvbinder.web.plane import noting, source_of

        page = await self.stack.enter_async_context(LivePage(source_of(self.plane), port=self.options.page_port))
        self.stack.enter_context(noting(page.journal, self.interception))
        return page

    async def links(self, show: Callable[[str], None] | None = None) -> list[str]:
        """Serve the page; return the link to it, or nothing. Each Enter puts a new one in its place, and shows it."""
        page = await self.page()
        if page is None:
            return []
        links = [page.link()]

        def renew() -> None:
            links[0] = page.link()
            if show is not None:
                show(links[0])

        self.stack.enter_context(renewing(renew))
        return links


def _about_link(links: Sequence[str]) -> Sequence[str]:
    return ["Or open this link in a browser; it works once, and Enter gives another one:", "", f"  {links[0]}"]


def _with_link(go_on: Callable[[Board], Sequence[str]], links: Sequence[str]) -> Callable[[Board], Sequence[str]]:
    return (lambda board: [*go_on(board), "", *_about_link(links)]) if links else go_on


async def _stay(
    plane: Plane, options: UpOptions, manifests: Sequence[Manifests], stop: Stop, took_seconds: float, beside: _Beside
) -> None:
    title = f"pvbinder {__version__} at {plane.url}, ready in {took_seconds:.1f} s"
    go_on = _how_to_go_on(plane, options)
    if options.watch:
        links = await beside.links()
        go_on = _with_link(go_on, links)
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(_watch(plane, manifests, title, go_on), name="live view")
            await stop.wished.wait()
            showing.cancel()
        return
    say(printable(title))
    say("\n".join(["", "Go on in another terminal:", *map(printable, go_on(Board(time.monotonic)))]))
    links = await beside.links(lambda link: say(f"  {link}"))
    if links:
        say("\n".join(["", *_about_link(links)]))
    for each in manifests:
        say("\n" + (await apply(plane.kubeconfig, each)).rstrip())
    await stop.wished.wait()


async def _watch(
    plane: Plane, manifests: Sequence[Manifests], title: str, go_on: Callable[[Board], Sequence[str]]
) -> None:
    started = time.perf_counter()
    board = Board(lambda: time.perf_counter() - started)
    applied = asyncio.Event()

    def settled(board: Board) -> Sequence[str]:
        return ["Things have settled. Go on in another terminal:", *go_on(board)]

    console = console_for_people()
    with view_for(console, board, title=title, go_on=settled, may_settle=applied) as view:
        async with asyncio.TaskGroup() as group:
            group.create_task(watch_live(Client(plane.transport), board, view), name="live view")
            for each in manifests:
                await apply(plane.kubeconfig, each)
            applied.set()


def _how_to_go_on(plane: Plane, options: UpOptions) -> Callable[[Board], Sequence[str]]:
    keeps = (
        f"Ctrl-C stops it; what is stored in {options.data_dir} is there again next time."
        if options.data_dir is not None
        else "Ctrl-C stops it, and everything in it is gone then."
    )

    def lines(board: Board) -> Sequence[str]:
        commands = [f"export KUBECONFIG={shlex.quote(str(plane.kubeconfig))}", "kubectl get pv,pvc -A"]
        if (victim := _bound_claim(board)) is not None:
            namespace, name, volume = victim
            where = "" if namespace == "default" else f" -n {namespace}"
            commands.append(f"kubectl delete pvc {name}{where}    # and see {volume} become Released")
        return ["", *(f"  {command}" for command in commands), "", keeps]

    return lines


def _bound_claim(board: Board) -> tuple[str, str, str] | None:
    """Return a claim whose deletion would be worth watching: namespace, name, and the volume that is kept then."""
    for claim in sorted(board.claims.values(), key=lambda claim: claim.key):
        volume = board.volumes.get(claim.volume_name)
        if claim.phase == "Bound" and volume is not None and volume.reclaim_policy == "Retain":
            return claim.namespace, claim.name, volume.name
    return None
