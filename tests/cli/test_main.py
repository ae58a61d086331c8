"""The command `pvbinder` itself: its imports, its messages, its exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pvbinder import __version__
from pvbinder.cli import main
from pvbinder.cli.errors import WrongUsageError
from pvbinder.model.errors import PvbinderError
from pvbinder.server.store import DataDirectoryError


def test_main_1_help_imports_no_command() -> None:
    code = (
        "import sys\n"
        "from pvbinder.cli.main import run\n"
        "run(['--help'])\n"
        "heavy = {'aiohttp', 'asyncio', 'rich', 'msgspec', 'cryptography', 'sqlite3', 'yaml', 'pvbinder.cli.up'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert finished.stderr.strip() == "[]"
    assert "up" in finished.stdout


MISTAKES = {  # what is typed: (exit code, what stderr says)
    "no such command": (["bogus"], 2, "error: No such command 'bogus'.\n       see pvbinder --help\n"),
    "no such option": (["up", "--bogus"], 2, "       see pvbinder up --help\n"),
    "no number": (
        ["up", "--port", "http"],
        2,
        "error: Invalid value for '--port': 'http' is not a valid integer range",
    ),
    "no duration": (
        ["up", "--sync-period", "15"],
        2,
        "--pvclaimbinder-sync-period: '15' is not a duration such as 15s, 1m30s or 500ms",
    ),
    "an endless loop": (["up", "--sync-period", "0"], 2, "0 must be longer than nothing"),
    "a command without dashes": (["up", "kubectl"], 2, "a command to run goes after --"),
    "dashes without a command": (["up", "--"], 2, "there is no command after --"),
    "nowhere and somewhere": (["up", "--ephemeral", "--data-dir", "x"], 2, "contradict each other"),
    "a view beside a command": (["up", "--watch", "--", "true"], 2, "can't be combined with a command"),
    "a manifest that isn't there": (["up", "--apply", "/nowhere.yaml"], 2, "'/nowhere.yaml' does not exist"),
}


@pytest.mark.parametrize(("typed", "code", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_main_2_a_mistake_gets_words_and_no_traceback(
    typed: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(typed) == code

    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err


CODES: dict[str, tuple[Exception, int]] = {
    "wrong usage": (WrongUsageError("x"), 2),
    "a data directory that can't be used": (DataDirectoryError("x"), 2),
    "anything else of ours": (PvbinderError("x"), 3),
    "inside task groups": (ExceptionGroup("", [ExceptionGroup("", [WrongUsageError("x")])]), 2),
    "several at once": (ExceptionGroup("", [WrongUsageError("x"), PvbinderError("y")]), 3),
    "a bug": (RuntimeError("x"), 3),
}


@pytest.mark.parametrize(("error", "code"), CODES.values(), ids=CODES.keys())
def test_main_3_exit_codes(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.explain_failure(error) == code
    assert "error: " in capsys.readouterr().err


def test_a_bug_shows_its_traceback_and_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    main.explain_failure(RuntimeError("unthinkable"))

    err = capsys.readouterr().err
    assert "this is a bug in pvbinder" in err
    assert "RuntimeError: unthinkable" in err


def test_an_error_shows_its_way_out_below_itself(capsys: pytest.CaptureFixture[str]) -> None:
    main.explain_failure(PvbinderError("it broke", hint="mend it\nor buy a new one"))

    assert capsys.readouterr().err == "error: it broke\n       mend it\n       or buy a new one\n"


def test_without_arguments_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 0
    assert "Usage: pvbinder" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"pvbinder {__version__}\n"


def test_a_reader_that_stops_reading_is_no_error() -> None:
    command = f"{sys.executable} -m pvbinder.cli.main up --help | head -n 1; echo ${{PIPESTATUS[0]}}"
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert finished.stderr == ""
