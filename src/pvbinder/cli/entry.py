"""Where the command `pvbinder` begins: before anything slow is imported, Ctrl-C means what it means later.

ENTRY-1  Ctrl-C at any moment of the start, imports included, ends the process with 130 and without a traceback.

The first hundredths of a second, in which Python itself starts, are out of our reach.
"""

from __future__ import annotations

import os
import signal
import sys

EXIT_INTERRUPTED = 130


def _leave(_number: int, _frame: object) -> None:
    os._exit(EXIT_INTERRUPTED)  # nothing is begun yet that would have to be ended


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, _leave)
    from pvbinder.cli.main import run_and_flush

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = run_and_flush(sys.argv[1:])
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left takes no time, and has nothing to lose
    sys.exit(code)
