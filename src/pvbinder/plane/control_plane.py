"""The control plane as a whole: the embedded server, and the controllers beside it.

PLANE-1  When the context is entered the server answers, the kubeconfig is written, and the controllers have filled
         their caches: objects that are applied next are acted on at once.
PLANE-2  When a part breaks, everything stops and the reason is raised; nothing goes on by half.
PLANE-3  When it is left, the controllers have stopped before the server does.
PLANE-4  Bare, nothing appears that nobody made: no node or class, no claims for pods, and nobody plays the scheduler,
         the kubelet or a controller of workloads and nodes, unless ``--controllers`` names them.
PLANE-5  What is loaded is there before the controllers start: they see it whole.
PLANE-6  Pods run as service accounts where the controller runs that makes them (serviceaccount), as on a cluster.
PLANE-7  A driver that is named with ``--csi-driver`` provisions, and so does the local one, which is there unless
         ``--bare``; while nothing needs a driver and none is named, gRPC isn't even imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from pvbinder.controllers.context import Controller, ControllerContext, Credentials, wall_clock
from pvbinder.controllers.csi.built_in import LocalPlace
from pvbinder.controllers.csi.declaration import LOCAL, declare_built_in, declare_served
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.csi.options import ProvisionerOptions, SidecarOptions
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import (
    CONTROLLERS,
    SERVICE_ACCOUNTS,
    ControllerDeclaration,
    choose_controllers,
    with_small_cluster,
)
from pvbinder.kube.client import Client
from pvbinder.kube.discovery import discover
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.transport import Transport
from pvbinder.metrics.controllers import ControllerSource
from pvbinder.metrics.endpoint import PATH as METRICS_PATH
from pvbinder.metrics.endpoint import metrics_page
from pvbinder.metrics.metrics import Metrics
from pvbinder.metrics.server import ServerSource
from pvbinder.model.json import Json
from pvbinder.plane.driver_place import local_place, node_drivers
from pvbinder.plane.options import PlaneOptions
from pvbinder.plane.ports import KUBECONFIG, choose_port
from pvbinder.plane.starter import create_csi_driver, create_starter_objects, is_made_by_host_path
from pvbinder.plane.users import KUBELET, NAMESPACE, bind_csi, bind_kubelet, user_of
from pvbinder.server.api.dispatch import Interceptor
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.files.mounts import unmount_below
from pvbinder.server.files.scratch import sweep
from pvbinder.server.identity.authentication import AUTHENTICATED, MASTERS, read_token_file
from pvbinder.server.requests import UserInfo
from pvbinder.sources.reading import read_sources
from pvbinder.volumes.pod_directories import PodDirectories

MAKE_CLAIMS = {"ephemeral-volume-controller"}
ADMIN = UserInfo("kubernetes-admin", groups=(MASTERS, AUTHENTICATED))
SIDECAR = SidecarOptions(provisioner=ProvisionerOptions(namespace=NAMESPACE, immediate_topology=False))
SERVER = UserInfo("system:apiserver", groups=(MASTERS, AUTHENTICATED))  # itself, whom no policy of admission refuses
READER = UserInfo("system:kube-controller-manager", groups=(AUTHENTICATED,))  # lists and watches for all


@dataclass(frozen=True, slots=True)
class Plane:
    """A running control plane: where it is, a line to it as its administrator, and its controllers."""

    url: str
    kubeconfig: Path
    transport: Transport
    manager: Manager
    server: EmbeddedServer


@asynccontextmanager
async def control_plane(
    options: PlaneOptions,
    *,
    objects: Sequence[tuple[str, Json]] = (),
    now: Callable[[], datetime] = wall_clock,
    interceptor: Interceptor | None = None,
) -> AsyncIterator[Plane]:
    """Start what `options` ask for; it runs until the context is left.

    Beside the files of `options.load` it begins with `objects`, each with the name of its source. `now` is the clock of
    the server and the controllers, `interceptor` stands before every request (`server.api.dispatch`).
    """
    found = [*read_sources(options.load, options.load_options), *objects]  # before there is anything to be left behind
    if options.data_dir is None:
        await asyncio.to_thread(sweep)
    known = _known_controllers(bare=options.bare)
    chosen = {one.name for one in choose_controllers(options.controllers.controllers, known)}
    metrics = Metrics()  # the controllers join in when it runs
    server = EmbeddedServer(
        options.data_dir,
        host=options.host,
        port=choose_port(options),
        tokens=read_token_file(options.token_auth_file) if options.token_auth_file is not None else {},
        authorization=options.authorization_mode,
        load=found if options.load or objects else None,
        pages={METRICS_PATH: partial(metrics_page, metrics)},
        bare=options.bare,
        service_accounts=SERVICE_ACCOUNTS in chosen,
        in_memory=options.in_memory,
        now=now,
        interceptor=interceptor,
    )
    del found  # it is large, and this frame stays until the end
    async with server, AsyncExitStack() as stack:
        metrics.add(ServerSource(server))
        transport = InProcessTransport(server.dispatcher, ADMIN)
        client = Client(InProcessTransport(server.dispatcher, SERVER))  # of what it begins with
        has_local = LOCAL in chosen
        drivers = node_drivers(server.data_dir, options.csi_drivers, has_local=has_local)
        place = stack.enter_context(local_place(server.data_dir)) if has_local else None
        controllers = options.controllers
        async with asyncio.TaskGroup() as first:  # the disk is synced once for all that is written together
            if KUBELET in chosen:
                first.create_task(bind_kubelet(client))
            if has_local or options.csi_drivers:
                first.create_task(bind_csi(client))
                drivers.listen(partial(create_csi_driver, client))
            if not options.bare:
                await create_starter_objects(
                    client,
                    host_path=controllers.enable_hostpath_provisioner,
                    local=has_local,
                    default_class=options.default_class,
                )
        if options.default_class and await is_made_by_host_path(client):
            controllers = replace(controllers, enable_hostpath_provisioner=True)
        stack.push_async_callback(asyncio.to_thread, unmount_below, server.data_dir)
        kubeconfig = options.kubeconfig or server.data_dir / KUBECONFIG
        named = _named_drivers(options.csi_drivers, drivers)
        manager = Manager(
            InProcessTransport(server.dispatcher, READER),
            with_drivers(controllers, named),
            known=(*_with_drivers_here(known, drivers, place, PodDirectories(server.data_dir)), *named),
            transport_as=lambda name: InProcessTransport(server.dispatcher, user_of(name)),
            served=tuple(served.resource for served in (await discover(client)).kinds),
            credentials=Credentials(server.identity.authority.read_text(), server.secret_tokens.make),
            now=now,
        )
        metrics.add(ControllerSource(manager))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(manager.run(), name="controllers")
            await manager.wait_ready()
            server.write_kubeconfig(kubeconfig)
            drivers.open()
            try:
                yield Plane(server.url, kubeconfig, transport, manager, server)
            finally:
                running.cancel()


def _named_drivers(addresses: tuple[str, ...], drivers: NodeDrivers) -> tuple[ControllerDeclaration, ...]:
    """Return what serves each driver that was named, with all roles of a sidecar."""
    return tuple(declare_served(address, SIDECAR, drivers, number) for number, address in enumerate(addresses))


def _with_drivers_here(
    known: tuple[ControllerDeclaration, ...],
    drivers: NodeDrivers,
    place: LocalPlace | None,
    directories: PodDirectories,
) -> tuple[ControllerDeclaration, ...]:
    """Return the controllers with a kubelet in small that knows the drivers, and with the local one's `place`."""

    def kubelet(context: ControllerContext) -> Controller:
        from pvbinder.controllers.kubelet import Kubelet

        return Kubelet(context, drivers=drivers, directories=directories)

    def with_drivers_here(one: ControllerDeclaration) -> ControllerDeclaration:
        if one.name == KUBELET:
            return replace(one, make=kubelet)
        return declare_built_in(place, SIDECAR, drivers) if one.name == LOCAL and place is not None else one

    return tuple(map(with_drivers_here, known))


def _known_controllers(*, bare: bool) -> tuple[ControllerDeclaration, ...]:
    """Return the controllers, with those on by default that belong to how we begin (PLANE-4)."""
    local = ControllerDeclaration(LOCAL, user="", make=_nowhere, on_by_default=not bare)
    if not bare:
        return (*with_small_cluster(), local)
    quiet = (replace(one, on_by_default=one.on_by_default and one.name not in MAKE_CLAIMS) for one in CONTROLLERS)
    return (*quiet, local)


def _nowhere(_: ControllerContext) -> Controller:
    raise AssertionError("it is made only where it has a place")


def with_drivers(options: ControllerOptions, served: tuple[ControllerDeclaration, ...]) -> ControllerOptions:
    """Return `options` with the drivers chosen, whatever ``--controllers`` says of the others: they were named."""
    return replace(options, controllers=",".join((options.controllers, *(one.name for one in served))))
