"""The command after ``--``: run it with a KUBECONFIG of its own, hand signals on, return what it returns.

CHILD-1  The exit code is the command's; 128 + N if signal N ended it, 127 if there is no such command, 126 if it can't
         be executed: the code that a shell returns.
CHILD-2  SIGTERM, SIGHUP, SIGINT and SIGQUIT reach the command once. A terminal sends its Ctrl-C to the whole foreground
         group, so to the command too: then nothing is handed on.
CHILD-3  If this task is cancelled the command gets SIGTERM, and SIGKILL if it stays for longer than `GRACE_SECONDS`.

It shares our stdin, stdout and stderr. Call it from the main thread's loop: it sets signal handlers.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from pvbinder.cli.output import complain

GRACE_SECONDS = 5.0
HANDED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)

EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127


async def run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `command` with `environment` in place of ours and return its exit code (CHILD-1)."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except FileNotFoundError as error:
        # A script whose interpreter is missing raises the same error; shells return 127 then, too.
        complain(f"{command[0]}: {_why(error, 'command not found')}")
        return EXIT_NOT_FOUND
    except OSError as error:
        complain(f"{command[0]}: {_why(error, 'can not be executed')}")
        return EXIT_NOT_EXECUTABLE
    with _handing_on(process):
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            raise
    return code if code >= 0 else 128 - code


@contextmanager
def _handing_on(process: asyncio.subprocess.Process) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def hand_on(number: signal.Signals) -> None:
        if number in _FROM_TERMINAL and _in_foreground():
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)

    for number in HANDED_ON:
        loop.add_signal_handler(number, hand_on, number)
    try:
        yield
    finally:
        for number in HANDED_ON:
            loop.remove_signal_handler(number)


def _in_foreground() -> bool:
    """Say whether a terminal's Ctrl-C would reach our whole group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _why(error: OSError, otherwise: str) -> str:
    return error.strerror.lower() if error.strerror and not isinstance(error, FileNotFoundError) else otherwise
