"""The port that a control plane listens on: the same from one start to the next, where that can be."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Final

from pvbinder.files import read_file
from pvbinder.kube.config import FILE_BYTES_MAX
from pvbinder.model.errors import PvbinderError
from pvbinder.plane.options import PlaneOptions
from pvbinder.server.objects.schema.yaml_text import parse_yaml

KUBECONFIG: Final = "kubeconfig"  # in the data directory
USUAL_PORT: Final = 6443


def choose_port(options: PlaneOptions) -> int:
    """Return the port to listen on: the requested one, else the last one, else the usual one, else any free one (0)."""
    if options.port is not None:
        return options.port
    if options.data_dir is None:
        return 0
    last = port_of_last_time(options.kubeconfig or options.data_dir / KUBECONFIG)
    return next((port for port in (last, USUAL_PORT) if port and _is_free(options.host, port)), 0)


def port_of_last_time(kubeconfig: Path) -> int | None:
    """Return the port that the kubeconfig of an earlier start names, so that copies of it stay valid."""
    try:
        found = parse_yaml(read_file(kubeconfig, bytes_max=FILE_BYTES_MAX)).value
        return int(found["clusters"][0]["cluster"]["server"].rpartition(":")[2])
    except (PvbinderError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _is_free(host: str, port: int) -> bool:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError:
        return False
    return True
