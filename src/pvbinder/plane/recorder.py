"""What happened in a control plane of this process: the requests that it answered, and what its controllers decided.

RECORDER-1  Every request is there in the order of its end, those of the controllers and those of others.
RECORDER-2  Memory is bounded: of each sort the latest `KEPT_MAX` are kept.

A `Chronicle` is written on the cluster's thread and read on a test's: both only add to a deque, or copy it. The page
keeps the same values in an order of its own (`web.journal`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pvbinder.logs import Line
from pvbinder.model.printable import printable
from pvbinder.server.api.dispatch import Handler
from pvbinder.server.requests import ApiRequest, ApiResponse

KEPT_MAX: Final = 20_000
READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Made:
    """A request that was made, and the status of its answer; 0 if it got none."""

    method: str
    path: str
    user: str
    status: int

    @property
    def is_write(self) -> bool:
        """Tell whether it asked for a change."""
        return self.method not in READS

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.status} {self.method} {self.path} ({self.user or 'nobody'})"


@dataclass(frozen=True, slots=True)
class Decided:
    """Something that a controller decided, with the rule that it follows from ([docs/rules](../rules/index.md))."""

    seconds: float  # since the recording began
    message: str
    rule: str
    fields: tuple[tuple[str, str], ...]

    def about(self, name: str) -> bool:
        """Tell whether a field names `name`, or ``namespace/name``."""
        return any(text == name or text.endswith(f"/{name}") for _, text in self.fields)

    def __str__(self) -> str:
        """Return it as a line."""
        about = " ".join(f"{key}={text}" for key, text in self.fields)
        rule = f"  [{self.rule}]" if self.rule else ""
        return printable(f"{self.seconds:7.3f} s  {self.message} {about}{rule}")


class Chronicle:
    """Records from `begin` on."""

    def __init__(self) -> None:
        self._requests: deque[Made] = deque(maxlen=KEPT_MAX)
        self._lines: deque[Line] = deque(maxlen=KEPT_MAX)
        self._began = 0.0

    def begin(self, now: float) -> None:
        """Forget what was, and count the seconds from `now` (of the epoch) on."""
        self._requests.clear()
        self._lines.clear()
        self._began = now

    def hear(self, line: Line) -> None:
        """Take a line of the log."""
        self._lines.append(line)

    def note(self, made: Made) -> None:
        """Take a request that has ended."""
        self._requests.append(made)

    def requests(self) -> list[Made]:
        """Return the requests (RECORDER-1)."""
        return list(self._requests.copy())

    def decisions(self) -> list[Decided]:
        """Return what the controllers decided, and what they warned of."""
        return list(self._decisions())

    def _decisions(self) -> Iterator[Decided]:
        for line in self._lines.copy():
            found = decided_by(line, self._began)
            if found is not None:
                yield found


class Interception:
    """Stands before every request of a server, and tells whoever asks for it of the writes, once they are answered."""

    def __init__(self) -> None:
        self.hear: Callable[[Made], None] | None = None  # nobody, at first: a request then takes no longer

    def intercept(self, request: ApiRequest, handle: Handler) -> Awaitable[ApiResponse]:
        """Answer a request."""
        if self.hear is None or request.method in READS:
            return handle(request)
        return self._noted(request, handle, self.hear)

    async def _noted(self, request: ApiRequest, handle: Handler, hear: Callable[[Made], None]) -> ApiResponse:
        response = await handle(request)
        user = request.user.name if request.user is not None else ""
        hear(Made(request.method, request.path, user, response.status))
        return response


def decided_by(line: Line, began: float = 0.0) -> Decided | None:
    """Return the decision that a line of the log tells of, or what it warns of; None if it tells of neither."""
    rule = str(line.fields.get("rule", ""))
    if not rule and line.level not in ("WARNING", "ERROR"):
        return None
    fields = tuple((key, str(value)) for key, value in line.fields.items() if key != "rule")
    return Decided(line.time.timestamp() - began, line.message, rule, fields)
