"""The control plane of ``pvbinder up`` as a whole: the embedded server, and the controllers beside it.

PLANE-1  When the context is entered the server answers, the kubeconfig is written, and the controllers have filled
         their caches: what is applied next is acted on at once.
PLANE-2  When a part breaks, everything stops and the reason is raised; nothing goes on by half.
PLANE-3  When it is left, the controllers have stopped before the server does.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from pvbinder.cli.options import UpOptions, port_of_last_time
from pvbinder.cli.starter import create_starter_objects
from pvbinder.kube.client import Client
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.transport import Transport
from pvbinder.server.authentication import AUTHENTICATED, MASTERS
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

KUBECONFIG = "kubeconfig"
USUAL_PORT = 6443
ADMIN = UserInfo("kubernetes-admin", groups=(MASTERS, AUTHENTICATED))


@dataclass(frozen=True, slots=True)
class Plane:
    """A running control plane: where it is, and a line to it as its administrator."""

    url: str
    kubeconfig: Path
    transport: Transport


@asynccontextmanager
async def control_plane(options: UpOptions) -> AsyncIterator[Plane]:
    """Start what `options` ask for; it runs until the context is left."""
    server = EmbeddedServer(options.data_dir, host=options.host, port=_port(options))
    async with server:
        transport = InProcessTransport(server.dispatcher, ADMIN)
        if not options.bare:
            await create_starter_objects(Client(transport))
        kubeconfig = options.kubeconfig or server.data_dir / KUBECONFIG
        server.write_kubeconfig(kubeconfig)
        yield Plane(server.url, kubeconfig, transport)


def _port(options: UpOptions) -> int:
    """Return the port to listen on: as asked, else that of last time, else the usual one, else any free one (0)."""
    if options.port is not None:
        return options.port
    if options.data_dir is None:
        return 0
    last = port_of_last_time(options.kubeconfig or options.data_dir / KUBECONFIG)
    return next((port for port in (last, USUAL_PORT) if port and _is_free(options.host, port)), 0)


def _is_free(host: str, port: int) -> bool:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError:
        return False
    return True
