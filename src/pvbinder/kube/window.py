"""How many writes may be in flight: decided from what the server answered, and how fast. Pure; time is passed in.

WINDOW-1  It grows by `STEP` for each window's worth of answers, while somebody waits for a place and the server keeps
          up: the time for a write is hardly longer than it used to be.
WINDOW-2  A server that has become twice as slow, or takes longer than `LATENCY_SECONDS_MAX`, gets a fifth less, down to
          `LEAST_WHEN_SLOW`.
WINDOW-3  A refusal (429, 503) and a lost answer halve it, down to one; refusals of writes that were in flight at the
          time count as the same one.
WINDOW-4  After ``Retry-After`` nothing is sent until that time has come, or a minute has passed.

"The time for a write" is that between two answers, not that of one: with twice as many in flight, each takes twice as
long at a server that is busy all the time, and nothing is wrong with it. Its usual value follows slowly, so that a
server which stays slow is asked more again after a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST: Final = 32
LEAST: Final = 1.0
LEAST_WHEN_SLOW: Final = 16.0
MOST: Final = 192.0  # connections are 256
STEP: Final = 4.0
ANSWERS_LEAST: Final = 8  # of a window's worth
LATENCY_SECONDS_MAX: Final = 2.0
RETRY_AFTER_SECONDS_MAX: Final = 60.0
KEEPS_UP: Final = 1.25  # times the usual time for a write
SLOW: Final = 2.0
MEMORY: Final = 0.1  # share of a new value in the usual one


@dataclass(slots=True)
class _Counted:
    """What was seen since the window was looked at last."""

    began: float
    answers: int = 0
    latency: float = 0.0
    somebody_waited: bool = False


class WriteWindow:
    """The number of writes that may be in flight; tell it of each answer."""

    def __init__(self) -> None:
        self._limit = float(FIRST)
        self._usual: float | None = None  # seconds for a write
        self._counted: _Counted | None = None
        self._last_cut = float("-inf")
        self._closed_until = float("-inf")
        self.cuts = 0  # after refusals and lost answers
        self.slowdowns = 0  # because the server had become slow

    @property
    def limit(self) -> int:
        """The number of writes that may be in flight now, if it isn't closed."""
        return int(self._limit)

    def closed_for(self, now: float) -> float:
        """Return the seconds for which nothing may be sent (WINDOW-4)."""
        return max(0.0, self._closed_until - now)

    def answered(self, now: float, latency: float, *, in_flight: int, somebody_waits: bool) -> None:
        """A write, one of `in_flight`, was answered after `latency` seconds (WINDOW-1, WINDOW-2)."""
        counted = self._counted
        if counted is None:
            counted = self._counted = _Counted(now - latency)
        counted.answers += 1
        counted.latency += latency
        counted.somebody_waited |= somebody_waits
        if counted.answers < max(self._limit, ANSWERS_LEAST):
            return
        self._counted = None
        if not counted.somebody_waited:
            return  # whoever writes now and then learns nothing of how much is possible
        mean_latency = counted.latency / counted.answers
        self._adapt(mean_latency, mean_latency / max(in_flight, 1))

    def _adapt(self, latency: float, time_for_a_write: float) -> None:
        usual = self._usual
        if usual is None:
            usual = self._usual = time_for_a_write
        else:
            self._usual = usual + (time_for_a_write - usual) * MEMORY
        if time_for_a_write > SLOW * usual or latency > LATENCY_SECONDS_MAX:
            if self._limit > LEAST_WHEN_SLOW:
                self._limit = max(LEAST_WHEN_SLOW, self._limit * 0.8)
                self.slowdowns += 1
        elif time_for_a_write <= KEEPS_UP * usual:
            self._limit = min(MOST, self._limit + STEP)

    def refused(self, now: float, started: float, retry_after: float | None = None) -> None:
        """A write that had `started` was refused for the server's load, or lost its answer (WINDOW-3, WINDOW-4)."""
        if retry_after is not None:
            self._closed_until = max(self._closed_until, now + min(retry_after, RETRY_AFTER_SECONDS_MAX))
        if started > self._last_cut:
            self._last_cut = now
            self._limit = max(LEAST, self._limit / 2)
            self._counted = None
            self.cuts += 1
