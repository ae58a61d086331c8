"""Log lines as events: a constant message, then what it is about as ``key=value``.

    log = logs.get(__name__)
    log.info("volume bound", pvc="shop/orders", pv="disk-7", rule="SC-U3")

    2026-03-01T10:00:00.123Z INFO  volume bound pvc=shop/orders pv=disk-7 rule=SC-U3

LOGS-1  One line per record, whatever is in its values: text is quoted when it would be ambiguous, control characters
        are written out (they can't begin a line or colour a terminal), and as JSON it is one object a line.
LOGS-2  Fields may have any name; those of records made with the standard library's ``extra=`` are shown too.
LOGS-3  A line that isn't shown costs next to nothing: disabled levels return at once.
LOGS-4  No other module uses the standard library's logging: what it needs is here, also what quiets a library.
LOGS-5  Whoever overhears the lines changes nothing about what is shown.
LOGS-6  The lines of one turn of the event loop are written together, at its end; a warning or an error, and a line
        outside of a loop, is written at once, after those before it. At the end of the process nothing is left
        unwritten; only what kills it in the middle of a turn takes that turn's lines along.

It is the standard library's logging underneath, so handlers, levels and capture work as everywhere. It lives beside the
floors because all of them but `model` and `rules` (which never log) write lines; only an entry point calls `configure`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TextIO

from pvbinder.model.printable import printable, printable_json

Format = Literal["text", "json"]

VERBOSITY_OF_DECISIONS = 3
VERBOSITY_OF_LIBRARIES = 6

_NAME = __name__.partition(".")[0]
_FIELDS = "pvbinder_fields"
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", _FIELDS}


class Log:
    """A named source of log lines whose fields are keyword arguments."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, message: str, /, **fields: object) -> None:
        """Write about a decision, also "nothing to do"."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        """Write about something that we changed in the cluster, or a start or stop."""
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        """Write that we cope, but that it costs something."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        """Write that someone must act."""
        self._write(logging.ERROR, message, fields)

    def exception(self, message: str, /, **fields: object) -> None:
        """Write about a defect, with the traceback of the exception being handled."""
        self._write(logging.ERROR, message, fields, with_traceback=True)

    @property
    def shows_debug(self) -> bool:
        """Whether lines about decisions are shown; ask before making a costly field."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def _write(self, level: int, message: str, fields: dict[str, object], *, with_traceback: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", message, extra={_FIELDS: fields}, exc_info=with_traceback, stacklevel=3)


def get(name: str) -> Log:
    """Return the log of module `name` (pass ``__name__``)."""
    return Log(logging.getLogger(name))


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of a record in the order in which they were passed, however it was made (LOGS-2)."""
    fields: dict[str, object] = dict(getattr(record, _FIELDS, {}))
    fields |= {key: value for key, value in vars(record).items() if key not in _OWN_ATTRIBUTES}
    return fields


@dataclass(frozen=True, slots=True)
class Line:
    """A line as somebody hears it: when it was written, its level's name, its message and its fields."""

    time: datetime
    level: str
    message: str
    fields: Mapping[str, object]


@contextmanager
def heard(hear: Callable[[Line], None]) -> Iterator[None]:
    """Have every line from INFO on told to `hear`, in the thread that writes it, and written nowhere else meanwhile."""
    logger = logging.getLogger(_NAME)
    listener = _Listener(hear)
    before = logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@contextmanager
def overheard(hear: Callable[[Line], None]) -> Iterator[None]:
    """Have every line from INFO on told to `hear`, in the thread that writes it, and written as before, too."""
    logger = logging.getLogger(__name__.partition(".")[0])
    before = logger.level
    shown = logger.getEffectiveLevel()
    handlers = logging.getLogger().handlers if shown > logging.INFO else []
    quieted = [handler for handler in handlers if handler.level < shown]
    levels = [handler.level for handler in quieted]
    listener = _Listener(hear)
    listener.setLevel(logging.INFO)
    for handler in quieted:
        handler.setLevel(shown)  # what wasn't shown still isn't
    logger.addHandler(listener)
    logger.setLevel(min(shown, logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)
        for handler, level in zip(quieted, levels, strict=True):
            handler.setLevel(level)


class _Listener(logging.Handler):
    def __init__(self, hear: Callable[[Line], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of a line."""
        time = datetime.fromtimestamp(record.created, UTC)
        self._hear(Line(time, record.levelname, record.getMessage(), fields_of(record)))


class _TurnHandler(logging.StreamHandler[TextIO]):
    """Writes lines turn by turn: the system call is most of what a line costs (LOGS-6)."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._due: object = None  # the loop that will write them

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, and write it at the end of the turn or at once."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING or not self._defer():
                self.flush()
        except Exception:  # noqa: BLE001 (as in the library: a line that can't be written stops nobody)
            self.handleError(record)

    def flush(self) -> None:
        """Write the lines that are there."""
        self.acquire()
        try:
            lines, self._lines, self._due = self._lines, [], None
            if lines:
                self.stream.write("".join(lines))
            super().flush()
        finally:
            self.release()

    def _defer(self) -> bool:
        """Have the loop of this thread write the lines; False if there is none."""
        import asyncio  # commands that need no loop start faster without

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._due is not loop:
            loop.call_soon(self._write_due)
            self._due = loop
        return True

    def _write_due(self) -> None:
        try:
            self.flush()
        except Exception:  # noqa: BLE001 (as in the library: a line that can't be written stops nobody)
            self.handleError(logging.makeLogRecord({"msg": "the lines of a turn"}))


class TextFormatter(logging.Formatter):
    """``TIME LEVEL message key=value …``"""

    def format(self, record: logging.LogRecord) -> str:
        """Make the line (LOGS-1); a traceback follows it, each line indented."""
        parts = [_time_of(record), f"{record.levelname:<5}", printable(record.getMessage())]
        parts += [f"{printable(key)}={_shown(value)}" for key, value in fields_of(record).items()]
        line = " ".join(parts)
        if record.exc_info:
            rows = self.formatException(record.exc_info).split("\n")
            line += "\n" + "\n".join(f"    {printable(row)}" for row in rows)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message`` and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Make the line (LOGS-1); a field called like one of ours gets the prefix ``field_``."""
        entry: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key, value in fields_of(record).items():
            entry[f"field_{key}" if key in entry else key] = value
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return printable_json(json.dumps(entry, default=str, ensure_ascii=False))


def configure(*, verbosity: int = 0, format: Format = "text", stream: TextIO | None = None) -> logging.Handler:  # noqa: A002
    """Send the process's log lines to `stream` (stderr); an entry point calls it, once.

    ``-v 0`` shows what was changed in the cluster and what needs somebody (INFO and above), ``-v 3`` decisions too,
    ``-v 6`` also what the libraries below us say. Returns the handler, for who must take it away again.
    """
    # we never show from which line, thread and process a record comes, and finding that out is a quarter of its cost
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = _TurnHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbosity >= VERBOSITY_OF_LIBRARIES else logging.WARNING)
    logging.getLogger(_NAME).setLevel(logging.DEBUG if verbosity >= VERBOSITY_OF_DECISIONS else logging.INFO)
    return handler


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is shown, and how: what a process of ours is told, whose lines are to be among ours."""

    format: Format
    level: str
    libraries_level: str


def settings() -> LogSettings:
    """Return what is shown now, whoever overhears more; where nothing was configured, warnings as text."""
    root = logging.getLogger()
    formats: set[Format] = {"json" if isinstance(one.formatter, JsonFormatter) else "text" for one in root.handlers}
    least = min((one.level for one in root.handlers), default=logging.NOTSET)
    levels = [logging.getLevelName(max(least, logging.getLogger(name).getEffectiveLevel())) for name in (_NAME, "")]
    return LogSettings("json" if formats == {"json"} else "text", *levels)


def configure_as(told: LogSettings) -> None:
    """Send the process's log lines to stderr, as another process of ours does."""
    configure(format=told.format)
    logging.getLogger(_NAME).setLevel(told.level)
    logging.getLogger().setLevel(told.libraries_level)


def only_warnings() -> None:
    """Show only what somebody must know (WARNING and above)."""
    logging.getLogger(_NAME).setLevel(logging.WARNING)


def silent(name: str) -> logging.Logger:
    """Return a logger that shows nothing, for a library that wants one."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.CRITICAL + 1)
    return logger


def leave_out(name: str, *messages: str) -> None:
    """Leave out the lines of a library's logger that have one of these messages."""
    logging.getLogger(name).addFilter(_Without(messages))


@dataclass(frozen=True)
class _Without:
    """A filter; equal ones are added to a logger once."""

    messages: tuple[str, ...]

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg not in self.messages


def _time_of(record: logging.LogRecord) -> str:
    seconds, fraction = divmod(record.created, 1)
    return f"{_second_of(int(seconds))}.{int(fraction * 1000):03}Z"


@lru_cache(maxsize=4)
def _second_of(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = printable(f"{value:.6g}" if isinstance(value, float) else str(value))
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=') else text
