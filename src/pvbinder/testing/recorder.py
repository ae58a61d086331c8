"""What happened in a test's cluster: the requests that it answered, and what its controllers decided.

RECORDER-1  Every request is there in the order of its end, those of the controllers and those of others.
RECORDER-2  Memory is bounded: of each sort the latest `KEPT_MAX` are kept.

It is written on the cluster's thread and read on the test's: both only add to a deque, or copy it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pvbinder.logs import Line
from pvbinder.model.printable import printable

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
            rule = str(line.fields.get("rule", ""))
            if rule or line.level in ("WARNING", "ERROR"):
                fields = tuple((key, str(value)) for key, value in line.fields.items() if key != "rule")
                yield Decided(line.time.timestamp() - self._began, line.message, rule, fields)
