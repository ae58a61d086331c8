"""The page of `pvbinder page` and of `pvbinder up`, as processes."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from tests.insight.builders import claim, storage_class
from tools.plane import running

from pvbinder.cli.main import run

LINK = re.compile(r"http://127\.0\.0\.1:\d+/enter\?token=[\w-]{43}")
COMMAND = [sys.executable, "-m", "pvbinder.cli.main", "page"]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    file = tmp_path / "dump.yaml"
    file.write_text(yaml.safe_dump_all([claim(), storage_class()]))
    return file


def read_link(terminal: int, told: str = "") -> str:
    """Read what the terminal shows until there is a link."""
    while not (found := LINK.findall(told)) or not told.endswith("\n"):
        told += os.read(terminal, 4096).decode()
    return str(found[-1])


@pytest.mark.slow
def test_page_command_2_enter_gives_a_new_link_and_ctrl_c_ends_it(dump: Path) -> None:
    person, terminal = pty.openpty()
    own_terminal = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", own_terminal, *COMMAND[1:], "-f", str(dump)],
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        os.close(terminal)
        try:
            first = read_link(person)
            urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(first, timeout=30).close()
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(first, timeout=30)
            os.write(person, b"\n")
            second = read_link(person)
            while second == first:
                second = read_link(person)
            with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(second, timeout=30) as page:
                assert page.headers["Content-Type"].startswith("text/html")
            os.write(person, b"\x03")
            assert process.wait(30) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
            os.close(person)


@pytest.mark.slow
def test_serve_4_the_page_comes_after_we_are_ready(tmp_path: Path) -> None:
    with running(tmp_path / "data", ["--bare"]) as plane:
        assert plane.process.stdout is not None
        assert not LINK.search(plane.first_line)
        assert "ready in" in plane.first_line
        told = ""
        while not (link := LINK.search(told)):
            told += plane.process.stdout.readline()
        assert "export KUBECONFIG" in told
        plane.process.send_signal(signal.SIGUSR1)
        while (second := LINK.search(plane.process.stdout.readline())) is None:
            pass
        assert second[0] != link[0]


def test_serve_4_who_serves_needs_nothing_of_the_page_before() -> None:
    code = "import sys, pvbinder.cli.serve; print([name for name in sys.modules if name.startswith('pvbinder.web')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["page", "-f", "DUMP", "--kubeconfig", "x"], "don't go with it"),
        (["page", "-f", "DUMP", "-n", "shop"], "-n chooses"),
        (["page", "-f", "nowhere.yaml"], "nowhere.yaml"),
        (["page", "--at-revision", "3"], "none is named"),
        (["up", "--no-page", "--page-port", "3"], "contradict"),
        (["page", "--port", "70000"], "--port"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], words: str, dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run([str(dump) if each == "DUMP" else each for each in arguments])
    assert code == 2
    assert words in capsys.readouterr().err
