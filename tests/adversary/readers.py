"""Readers that take nothing, or a byte at a time, and endless senders: the server's memory for all is bounded.

Three attacks. `unread-watchers`: watches from an old revision, and fresh ones that large writes are sent to; with a
token. `slow-readers`: large lists, taken by the byte; with a token. `anonymous-bodies`: bodies of almost the allowed
size, on many connections and streams, without credentials. A bystander asks all the time.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from tests.adversary.attack import BARE, Attack, Figures
from tests.adversary.bystander import authorization, bystander, token_of
from tests.adversary.flooder import anonymous
from tests.adversary.frames import DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, WINDOW_UPDATE, frame, head
from tools.plane import RunningPlane, access, running

MAPS = "/api/v1/namespaces/default/configmaps"
LARGE_BYTES = 400_000
BODY_BYTES = 2_900_000  # a little less than is allowed


class Writer:
    """The administrator, who makes large objects."""

    def __init__(self, plane: RunningPlane) -> None:
        url, context = access(plane.kubeconfig)
        parts = urlsplit(url)
        self._connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=60)
        self._headers = {**authorization(plane), "Content-Type": "application/json"}

    def write(self, name: str, number: int, size: int = LARGE_BYTES) -> None:
        """Create a config map, or give it another value."""
        body = {"metadata": {"name": name}, "data": {"number": str(number), "large": "x" * size}}
        said = b""
        for method, path in (("PUT", f"{MAPS}/{name}"), ("POST", MAPS)):
            self._connection.request(method, path, json.dumps(body), self._headers)
            answer = self._connection.getresponse()
            said = answer.read()
            if answer.status in (200, 201):
                return
        raise AssertionError(f"{name} was refused: {said[:300]!r}")

    def close(self) -> None:
        self._connection.close()


def _small(connection: ssl.SSLSocket) -> ssl.SSLSocket:
    """Leave no room in this machine's kernel for the server's answers."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return connection


def ask(plane: RunningPlane, target: str) -> ssl.SSLSocket:
    """Ask with a token over HTTP/1.1, and leave the answer where it is."""
    connection = _small(anonymous(plane, "http/1.1"))
    said = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of(plane)}\r\n\r\n"
    connection.sendall(said.encode())
    return connection


def ask_on_streams(plane: RunningPlane, target: str, streams: int) -> ssl.SSLSocket:
    """Ask over one connection of HTTP/2, as often, with room for all the answers, and read none."""
    connection = _small(anonymous(plane, "h2"))
    fields = head("GET", target, ("authorization", f"Bearer {token_of(plane)}"))
    window = struct.pack(">I", 2**31 - 1 - 65535)
    connection.sendall(
        PREFACE
        + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31 - 1))
        + frame(WINDOW_UPDATE, 0, 0, window)
        + b"".join(frame(HEADERS, END_HEADERS | 1, 1 + 2 * number, fields) for number in range(streams))
    )
    return connection


def unread_watchers(directory: Path, seconds: float, random: Random) -> Figures:
    """Watch from an old revision and read nothing; then make writes that all watchers are to be sent."""
    with running(directory / "data", BARE) as plane, ExitStack() as stack:
        writer = Writer(plane)
        stack.callback(writer.close)
        for number in range(70):
            writer.write(f"old-{number % 7}", number)
        old = f"{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion=500"
        with bystander(plane) as other:
            watches = 0
            for _ in range(20):
                stack.enter_context(ask(plane, old))
                stack.enter_context(ask_on_streams(plane, old, 10))
                watches += 11
            until = time.monotonic() + seconds / 2
            while time.monotonic() < until:
                time.sleep(0.2)
            fresh = f"{MAPS}?watch=1"
            for _ in range(3):
                stack.enter_context(ask_on_streams(plane, fresh, 100))
                watches += 100
            until, number, wrote = time.monotonic() + seconds / 2, 0, 0
            while time.monotonic() < until or wrote < 20:
                wrote += 1
                writer.write(f"new-{random.randrange(4)}", number := number + 1)
        return {"watches": watches, "large_writes": 70 + wrote, **other.check()}


def slow_readers(directory: Path, seconds: float, random: Random) -> Figures:
    """Ask for large lists and take them by the byte."""
    with running(directory / "data", BARE) as plane, ExitStack() as stack:
        writer = Writer(plane)
        stack.callback(writer.close)
        for number in range(30):
            writer.write(f"large-{number}", number)
        with bystander(plane) as other:
            readers = []
            for number in range(40):
                form = random.choice(["", "&resourceVersion=0", f"&labelSelector=a!%3D{number}", "&pretty=true"])
                target = f"{MAPS}?limit={random.randint(25, 30)}{form}"
                readers.append(stack.enter_context(ask(plane, target)))
                if number % 4 == 0:
                    stack.enter_context(ask_on_streams(plane, target, 10))
            until, read = time.monotonic() + seconds, 0
            while time.monotonic() < until:
                for reader in readers:
                    reader.settimeout(0.01)
                    with suppress(OSError):
                        read += len(reader.recv(1))
                time.sleep(0.1)
        return {"readers": len(readers) + 100, "bytes_read": read, **other.check()}


def _half_a_body(plane: RunningPlane) -> ssl.SSLSocket:
    connection = anonymous(plane, "http/1.1")
    connection.settimeout(0.3)
    connection.sendall(
        b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 3000000\r\n\r\n"
    )
    with suppress(OSError):
        connection.sendall(b'{"data":{"a":"' + b"x" * BODY_BYTES)
    return connection


def _half_bodies(plane: RunningPlane, streams: int) -> ssl.SSLSocket:
    connection = anonymous(plane, "h2")
    connection.settimeout(0.3)
    fields = head("POST", MAPS, ("content-type", "application/json"))
    piece = b"x" * 16_000
    with suppress(OSError):
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        for number in range(streams):
            connection.sendall(frame(HEADERS, END_HEADERS, 1 + 2 * number, fields))
        for _ in range(60):  # the bytes of one flow-control window
            connection.sendall(b"".join(frame(DATA, 0, 1 + 2 * number, piece) for number in range(streams)))
    return connection


def anonymous_bodies(directory: Path, seconds: float, random: Random) -> Figures:
    """Send bodies that don't end, without any credentials, and wait."""
    with running(directory / "data", BARE) as plane, ExitStack() as stack, bystander(plane) as other:
        ways: list[Callable[[], ssl.SSLSocket]] = [
            lambda: _half_a_body(plane),
            lambda: _half_a_body(plane),
            lambda: _half_bodies(plane, 30),
        ]
        until, held, refused = time.monotonic() + seconds, 0, 0
        while time.monotonic() < until and held + refused < 300:
            try:
                stack.enter_context(random.choice(ways)())
                held += 1
            except OSError:
                refused += 1
        time.sleep(max(0.0, min(1.0, until - time.monotonic())))
        other.stop()
        return {"connections": held, "refused": refused, **other.check()}


ATTACKS = (
    Attack("unread-watchers", unread_watchers, 4),
    Attack("slow-readers", slow_readers, 3),
    Attack("anonymous-bodies", anonymous_bodies, 4),
)
