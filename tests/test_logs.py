"""The promises of log lines (LOGS-1 to LOGS-6)."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pvbinder import logs


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("pvbinder")
    before = (list(root.handlers), root.level, ours.level)
    yield
    root.handlers[:], root.level, ours.level = before
    logging.getLogger("pvbinder").manager._clear_cache()  # type: ignore[attr-defined]


VALUES: dict[str, tuple[object, str]] = {
    "a key": ("shop/orders", "pvc=shop/orders"),
    "with a blank": ("two words", 'pvc="two words"'),
    "with a quote": ('say "no"', 'pvc="say \\"no\\""'),
    "empty": ("", 'pvc=""'),
    "two lines": ("one\ntwo", "pvc=one\\ntwo"),
    "a colour": ("\x1b[31mred", "pvc=\\x1b[31mred"),
    "true": (True, "pvc=true"),
    "a number": (7, "pvc=7"),
    "a fraction": (0.1 + 0.2, "pvc=0.3"),
    "none": (None, "pvc=None"),
    "other letters": ("größe", "pvc=größe"),
}


@pytest.mark.parametrize(("value", "shown"), VALUES.values(), ids=VALUES.keys())
def test_logs_1_one_line_whatever_is_in_it(value: object, shown: str) -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)

    logs.get("pvbinder.test").info("volume bound", pvc=value)

    [line] = stream.getvalue().splitlines()
    assert line.split(" ", 1)[1] == f"INFO  volume bound {shown}"


def test_logs_1_json_is_one_object_a_line() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, format="json")

    logs.get("pvbinder.test").warning("slow\nwrite", pvc="shop/orders", level="mine", took_ms=11)

    [line] = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "pvbinder.test",
        "message": "slow\nwrite",
        "pvc": "shop/orders",
        "field_level": "mine",
        "took_ms": 11,
    }


def test_logs_2_any_name_and_either_way() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)

    logs.get("pvbinder.test").info("a", name="disk-1", args=1, message="m")
    logging.getLogger("pvbinder.test").info("b", extra={"pv": "disk-1"})

    first, second = stream.getvalue().splitlines()
    assert first.endswith("a name=disk-1 args=1 message=m")
    assert second.endswith("b pv=disk-1")


LEVELS = {  # verbosity: levels shown of ours, of others
    "as it comes": (0, ["info", "warning"], ["warning"]),
    "decisions too": (3, ["debug", "info", "warning"], ["warning"]),
    "everything": (6, ["debug", "info", "warning"], ["debug", "info", "warning"]),
}


@pytest.mark.parametrize(("verbosity", "ours", "theirs"), LEVELS.values(), ids=LEVELS.keys())
def test_logs_3_only_what_was_asked_for(verbosity: int, ours: list[str], theirs: list[str]) -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, verbosity=verbosity, format="json")

    for name in ("pvbinder.test", "aiohttp.access"):
        log = logs.get(name)
        log.debug("x")
        log.info("x")
        log.warning("x")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["level"] for line in lines if line["logger"] == "pvbinder.test"] == ours
    assert [line["level"] for line in lines if line["logger"] == "aiohttp.access"] == theirs
    assert logs.get("pvbinder.test").shows_debug == ("debug" in ours)


def test_only_warnings() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.only_warnings()

    logs.get("pvbinder.test").info("x")
    logs.get("pvbinder.test").error("y")

    assert "y" in stream.getvalue()
    assert "x" not in stream.getvalue()


def test_logs_5_who_overhears_changes_nothing_about_what_is_shown() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.only_warnings()
    heard: list[logs.Line] = []
    log = logs.get("pvbinder.test")

    with logs.overheard(heard.append):
        log.debug("a decision")
        log.info("volume bound", pv="disk", rule="SC-U3")
        log.warning("trouble")
    log.info("later")
    log.warning("more trouble")

    assert [(line.level, line.message) for line in heard] == [("INFO", "volume bound"), ("WARNING", "trouble")]
    assert heard[0].fields == {"pv": "disk", "rule": "SC-U3"}
    shown = [line.split()[1] for line in stream.getvalue().splitlines()]
    assert shown == ["WARNING", "WARNING"]


def test_logs_5_decisions_are_shown_as_before_while_somebody_overhears() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, verbosity=3)
    heard: list[logs.Line] = []
    with logs.overheard(heard.append):
        logs.get("pvbinder.test").debug("a decision")
        logs.get("pvbinder.test").info("x")
    assert [line.message for line in heard] == ["x"]
    assert "a decision" in stream.getvalue()


def test_settings_are_handed_on() -> None:
    logs.configure(format="json", verbosity=3)
    told = logs.settings()
    assert told == logs.LogSettings("json", "DEBUG", "WARNING")
    logs.configure()
    logs.only_warnings()
    assert logs.settings() == logs.LogSettings("text", "WARNING", "WARNING")
    with logs.overheard(lambda _: None):  # LOGS-5
        assert logs.settings() == logs.LogSettings("text", "WARNING", "WARNING")
    logs.configure_as(told)
    assert logs.settings() == told


def test_a_defect_comes_with_its_traceback() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)

    try:
        raise KeyError("spec")
    except KeyError:
        logs.get("pvbinder.test").exception("defect", key="a")

    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("defect key=a")
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-1] == "    KeyError: 'spec'"


def test_logs_4_only_this_module_uses_the_standard_librarys_logging() -> None:
    top = Path(logs.__file__).parent
    users = {
        str(path.relative_to(top))
        for path in top.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "logging" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "logging")
    }
    assert users == {"logs.py"}, "a log line is written with `pvbinder.logs.get(__name__)`"


def test_logs_4_a_library_is_quieted_in_part_or_whole() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, verbosity=6)
    noisy = logging.getLogger("pvbinder.test.noisy")
    for _ in range(2):
        logs.leave_out("pvbinder.test.noisy", "gone")
    noisy.warning("gone")
    noisy.warning("here")
    logs.silent("pvbinder.test.mute").critical("never")

    assert len(noisy.filters) == 1
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["here"]


class Writes(io.StringIO):
    """A stream that notes each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return super().write(text)


async def test_logs_6_the_lines_of_a_turn_are_written_together_at_its_end() -> None:
    stream = Writes()
    logs.configure(stream=stream)
    log = logs.get("pvbinder.test")
    for number in range(3):
        log.info("volume bound", number=number)
    assert stream.written == []
    await asyncio.sleep(0)
    [text] = stream.written
    assert [line.rpartition("=")[2] for line in text.splitlines()] == ["0", "1", "2"]
    log.info("volume bound", number=3)
    await asyncio.sleep(0)
    assert len(stream.written) == 2


async def test_logs_6_a_warning_is_written_at_once_after_those_before_it() -> None:
    stream = Writes()
    logs.configure(stream=stream)
    log = logs.get("pvbinder.test")
    log.info("volume bound", number=1)
    log.warning("volumes take long to settle", number=2)
    assert [line.rpartition("=")[2] for line in stream.getvalue().splitlines()] == ["1", "2"]
    await asyncio.sleep(0)
    assert len(stream.written) == 1, "nothing is written twice"


def test_logs_6_nothing_is_left_unwritten_when_a_loop_ends_or_there_is_none() -> None:
    stream = Writes()
    handler = logs.configure(stream=stream)
    log = logs.get("pvbinder.test")

    async def say(number: int) -> None:
        log.info("volume bound", number=number)

    asyncio.run(say(1))
    with asyncio.Runner() as runner:
        runner.run(say(2))
    log.info("stopped", number=3)
    handler.flush()
    assert [line.rpartition("=")[2] for line in stream.getvalue().splitlines()] == ["1", "2", "3"]
    in_a_thread = threading.Thread(target=log.info, args=("volume bound",), kwargs={"number": 4})
    in_a_thread.start()
    in_a_thread.join()
    assert stream.getvalue().rstrip().endswith("4")
