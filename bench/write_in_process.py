"""What a write costs the loop when it comes from the same process: a claim's POST, and a PUT of it, part by part.

The controllers write like this: no socket, no TLS, the same dispatcher. The whole is measured by itself; the parts in a
second run, in which each function of `PARTS` takes its own time, without that of those inside it. What is left over is
the way between them. The commit is on disk before the answer, in a thread of its own; sixteen writes share one here.

    python -m bench.write_in_process [CLAIMS]
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

from bench.figure import report

from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.transport import Request
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.identity.authentication import MASTERS
from pvbinder.server.requests import UserInfo

CLAIMS = 4_000
AT_ONCE = 16  # writes that wait for a commit together, as the binder has many keys at once
BUDGET_US = 300
CLAIMS_PATH = "/api/v1/namespaces/default/persistentvolumeclaims"
_REST = "pvbinder.server.api.rest.write_request"
PARTS = {  # where the function is looked up, by what it does
    "read the body": (_REST, "decode_body"),
    "defaults": ("pvbinder.server.objects.kind", "ServedKind.complete"),
    "managed fields": (_REST, "record_update"),
    "admission, changes": ("pvbinder.server.api.admission", "admit"),
    "admission, looks": ("pvbinder.server.api.admission", "validate"),
    "validate the new": (_REST, "WriteRequest._check_new"),
    "validate the change": (_REST, "WriteRequest._check_change"),
    "bytes and revision": ("pvbinder.server.store.store", "Store.put"),
    "who asks, may they": ("pvbinder.server.api.dispatch", "Dispatcher._admit"),
    "what is stored, decoded": ("pvbinder.server.kinds.storage", "Storage.decode"),
}


class Parts:
    """The time of the thread that each part took itself, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []  # what the parts that are running have inside them

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, its time counted as that of the part `name`."""

        def run(*args: Any, **options: Any) -> Any:
            self._inside.append(0.0)
            started = time.thread_time()
            try:
                return function(*args, **options)
            finally:
                took = time.thread_time() - started
                self.seconds[name] += took - self._inside.pop()
                if self._inside:
                    self._inside[-1] += took

        return run


@contextmanager
def measured(parts: Parts) -> Iterator[None]:
    """Have the functions of `PARTS` take their time."""
    with ExitStack() as stack:
        for name, (module, path) in PARTS.items():
            owner: Any = import_module(module)
            *way, attribute = path.split(".")
            for step in way:
                owner = getattr(owner, step)
            stack.enter_context(patch.object(owner, attribute, parts.timed(name, getattr(owner, attribute))))
        yield


def claim(number: int) -> dict[str, Any]:
    """Return a claim as a user writes it."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"claim-{number:05}", "namespace": "default", "labels": {"app": "shop"}},
        "spec": spec,
    }


class Writer:
    """Writes claims to one server, and takes the loop's time for it."""

    def __init__(self, server: EmbeddedServer, count: int) -> None:
        self._transport = InProcessTransport(server.dispatcher, UserInfo("bench", groups=(MASTERS,)))
        self._count = count
        self._bodies: list[dict[str, Any]] = [claim(number) for number in range(count)]

    async def create(self) -> float:
        """Create all claims; return the processor time of the loop's thread for each, in µs."""
        return await self._all("POST", lambda _: CLAIMS_PATH, 201)

    async def change(self) -> float:
        """Change an annotation of each claim."""
        for body in self._bodies:
            metadata = body["metadata"]
            metadata["annotations"] = {"turn": metadata["resourceVersion"]}
        return await self._all("PUT", lambda number: f"{CLAIMS_PATH}/claim-{number:05}", 200)

    async def _all(self, method: str, path: Callable[[int], str], status: int) -> float:
        requests = [
            Request(method, path(number), body=json.dumps(body).encode()) for number, body in enumerate(self._bodies)
        ]
        answers = []
        started = time.thread_time()
        for start in range(0, self._count, AT_ONCE):
            answers += await asyncio.gather(*map(self._transport.send, requests[start : start + AT_ONCE]))
        took = time.thread_time() - started
        assert {answer.status for answer in answers} == {status}, answers[0]
        self._bodies = [json.loads(answer.body) for answer in answers]
        return took / self._count * 1e6


async def run(count: int, parts: tuple[Parts, Parts] | None = None) -> tuple[float, float]:
    """Create and change claims on a new server; with `parts`, those of the creations and those of the changes."""
    async with EmbeddedServer(listen=False) as server:
        writer = Writer(server, count)
        with measured(parts[0]) if parts else ExitStack():
            created = await writer.create()
        with measured(parts[1]) if parts else ExitStack():
            changed = await writer.change()
    return created, changed


def main() -> None:
    """Print two figures, each with the µs of its parts."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CLAIMS
    wholes = asyncio.run(run(count))
    parts = (Parts(), Parts())
    asyncio.run(run(count, parts))
    for figure, whole, part in zip(("POST of a claim", "PUT of a claim"), wholes, parts, strict=True):
        shown = {name: round(seconds / count * 1e6, 1) for name, seconds in sorted(part.seconds.items())}
        shown["the way between"] = round(whole - sum(shown.values()), 1)
        report(f"{figure}, in process", whole, "µs of the loop", budget=BUDGET_US, better="lower", n=count, parts=shown)


if __name__ == "__main__":
    main()
