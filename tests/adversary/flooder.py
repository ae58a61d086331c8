"""Floods from connections without credentials, which cost their sender nothing; a bystander must hardly notice.

Every flood of `frames` comes for a while from a few connections, which are made anew when the server ends them.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from tests.adversary.attack import BARE, Attack, Figures, peak_memory_mib
from tests.adversary.bystander import bystander, in_threads
from tests.adversary.frames import FLOODS, Flood
from tools.plane import RunningPlane, access, running

CONNECTIONS = 2
LOG_LINES_MAX = 50  # for each flood


def anonymous(plane: RunningPlane, protocol: str) -> ssl.SSLSocket:
    """Connect without credentials."""
    url = urlsplit(access(plane.kubeconfig)[0])
    context = ssl.create_default_context(cafile=str(plane.kubeconfig.parent / "pki" / "ca.crt"))
    context.set_alpn_protocols([protocol])
    raw = socket.create_connection((url.hostname, url.port), timeout=10)
    try:
        return context.wrap_socket(raw, server_hostname=url.hostname)
    except BaseException:
        raw.close()
        raise


def send(plane: RunningPlane, flood: Flood, stop: threading.Event) -> None:
    """Send a flood on one connection until the server ends it, or `stop`."""
    with anonymous(plane, flood.protocol) as connection:
        connection.settimeout(1.0)
        connection.sendall(flood.beginning)
        number = 0
        while not stop.is_set():
            connection.sendall(flood.pieces(number))
            number += 1
            if flood.reads:
                connection.setblocking(False)
                with suppress(ssl.SSLWantReadError):
                    while connection.recv(65536):
                        pass
                connection.settimeout(1.0)


def run(directory: Path, seconds: float, random: Random) -> Figures:
    """Send each flood for its part of the time, in an order by chance."""
    names = random.sample(sorted(FLOODS), len(FLOODS))
    worst, worst_seconds, most_lines = "", 0.0, 0
    with running(directory / "data", BARE) as plane:
        for name in names:
            try:
                ahead_seconds, lines = under(plane, FLOODS[name], seconds / len(names))
            except AssertionError as error:
                error.add_note(f"under {name}")
                raise
            if ahead_seconds > worst_seconds:
                worst, worst_seconds = name, ahead_seconds
            most_lines = max(most_lines, lines)
        memory = peak_memory_mib(plane)
    return {
        "floods": len(names),
        "processor_seconds_ahead": worst_seconds,
        "of": worst,
        "lines_logged": most_lines,
        "memory_mib": memory,
    }


def under(plane: RunningPlane, flood: Flood, seconds: float) -> tuple[float, int]:
    """Send one flood; return how long a bystander's GET waited for the processor, and the lines in the log."""
    stop, before = threading.Event(), len(plane.log().splitlines())
    with bystander(plane) as other, in_threads(CONNECTIONS, partial(send, plane, flood, stop), stop):
        time.sleep(seconds)
    other.check()
    lines = len(plane.log().splitlines()) - before
    assert lines < LOG_LINES_MAX, f"{lines} lines in the log"
    return other.longest_processor_seconds, lines


ATTACKS = (Attack("flooder", run, 14),)
