"""The event loop of the long-running commands: uvloop where it is installed (``pip install pvbinder[fast]``).

LOOP-1  Both loops behave the same for us; ``PVBINDER_LOOP=asyncio`` takes the standard one, ``uvloop`` insists on it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pvbinder.cli.errors import WrongUsageError

CHOICES = ("", "asyncio", "uvloop")

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on the loop that is to be used, as `asyncio.run` does."""
    try:
        factory = _factory()
    except WrongUsageError:
        main.close()
        raise
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    choice = os.environ.get("PVBINDER_LOOP", "")
    if choice not in CHOICES:
        raise WrongUsageError(f"PVBINDER_LOOP is {choice!r}", hint="it may be asyncio or uvloop, or not be set")
    if choice == "asyncio":
        return None
    try:
        import uvloop
    except ImportError as error:
        if choice == "uvloop":
            hint = "pip install pvbinder[fast], or don't set PVBINDER_LOOP"
            raise WrongUsageError("PVBINDER_LOOP is uvloop, which isn't installed", hint=hint) from error
        return None
    return uvloop.new_event_loop
