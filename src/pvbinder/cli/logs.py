"""The log on stderr: one event a line, as text for people or as JSON for programs.

LOGS-1  A line is a constant message and ``key=value`` pairs: those that the caller passed as ``extra``.
LOGS-2  ``--log-format json`` has the same in one JSON object a line: time, level, logger, message, and the pairs.
LOGS-3  A control character in a value can't begin a new line or colour a terminal.

How much is shown: ``-v 0`` shows what was changed in the cluster and what needs somebody (INFO and above), ``-v 2`` shows
decisions too, ``-v 6`` also what the libraries below us say.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal, TextIO

LogFormat = Literal["text", "json"]

VERBOSITY_OF_DECISIONS = 2
VERBOSITY_OF_LIBRARIES = 6

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def pairs_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what the caller passed as ``extra``, in the order in which it was passed."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class TextLines(logging.Formatter):
    """``12:30:01.042 INFO volume bound pvc=shop/orders pv=disk-7`` (LOGS-1)."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, and below it the traceback if there is one."""
        when = datetime.fromtimestamp(record.created, UTC).astimezone()
        words = [f"{when:%H:%M:%S}.{when.microsecond // 1000:03d}", record.levelname, printable(record.getMessage())]
        words += [f"{key}={_value(value)}" for key, value in pairs_of(record).items()]
        line = " ".join(words)
        return line + "\n" + self.formatException(record.exc_info) if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object a line (LOGS-2)."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        when = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {key: value for key, value in pairs_of(record).items() if key not in fields}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


def set_up_logging(stream: TextIO, *, verbosity: int, log_format: LogFormat, quiet: bool = False) -> logging.Handler:
    """Send the log of this process to `stream` and return the handler, for who must take it away again.

    With `quiet` only what somebody must know is shown (WARNING and above), whatever the verbosity says below 2.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbosity >= VERBOSITY_OF_LIBRARIES else logging.WARNING)
    ours = logging.getLogger("pvbinder")
    if verbosity >= VERBOSITY_OF_DECISIONS:
        ours.setLevel(logging.DEBUG)
    else:
        ours.setLevel(logging.WARNING if quiet else logging.INFO)
    return handler


def printable(text: str) -> str:
    """Return `text` with its control characters written out (LOGS-3)."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _value(value: object) -> str:
    text = printable(str(value))
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=') else text
