"""The links to the page: printed when it begins, and again for each Enter on the terminal, or SIGUSR1.

LINKS-1  A link that was used or has expired is renewed by pressing Enter where pvbinder runs in the foreground; where
         there is no terminal, by SIGUSR1.
LINKS-2  A process in the background never reads the terminal: it would be stopped for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LOOK_AGAIN_SECONDS: Final = 1.0  # whether we are in the foreground
_READ_BYTES: Final = 4096


@contextmanager
def renewing(renew: Callable[[], None], descriptor: int | None = None) -> Iterator[None]:
    """Call `renew` for each Enter on the terminal of `descriptor` (standard input), and for each SIGUSR1."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, renew)
    terminal = _Terminal(renew, _standard_input() if descriptor is None else descriptor)
    try:
        terminal.listen()
        yield
    finally:
        terminal.close()
        loop.remove_signal_handler(signal.SIGUSR1)


class _Terminal:
    """What is typed on a terminal, if it is one."""

    def __init__(self, renew: Callable[[], None], descriptor: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._renew = renew
        self._descriptor = descriptor
        self._is_listening = False
        self._later: asyncio.TimerHandle | None = None

    def listen(self) -> None:
        """Begin to listen, if there is a terminal."""
        if self._descriptor >= 0 and os.isatty(self._descriptor):
            self._loop.add_reader(self._descriptor, self._read)
            self._is_listening = True

    def close(self) -> None:
        """Listen no more."""
        if self._later is not None:
            self._later.cancel()
        self._pause()

    def _pause(self) -> None:
        if self._is_listening:
            self._loop.remove_reader(self._descriptor)
            self._is_listening = False

    def _read(self) -> None:
        try:
            if os.tcgetpgrp(self._descriptor) != os.getpgrp():  # LINKS-2: what was typed is for somebody else
                self._pause()
                self._later = self._loop.call_later(LOOK_AGAIN_SECONDS, self.listen)
                return
            typed = os.read(self._descriptor, _READ_BYTES)
        except OSError:
            self._pause()
            return
        if not typed:  # Ctrl-D
            self._pause()
        elif b"\n" in typed:
            self._renew()


def _standard_input() -> int:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return -1
