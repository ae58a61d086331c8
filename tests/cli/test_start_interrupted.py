"""Signals at any moment of the start: no traceback, the right exit code, and nothing left behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SECONDS = 60.0

# Stops by itself when the module that is named is about to be imported, and so at a chosen moment of the start.
INTERRUPTED = """
import os, signal, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{number})
        return None
from pvbinder.cli import entry
sys.meta_path.insert(0, Watch())
sys.argv = ["pvbinder", "up", "--ephemeral", "--bare"]
entry.main()
"""
MOMENTS = [
    "pvbinder.cli.main",
    "click",
    "pvbinder.cli.up",
    "pvbinder.cli.serve",
    "pvbinder.plane.control_plane",
    "pvbinder.kube.client",
]


@pytest.mark.slow
@pytest.mark.parametrize("module", MOMENTS)
def test_entry_1_ctrl_c_while_it_imports_ends_without_a_traceback(module: str, tmp_path: Path) -> None:
    program = INTERRUPTED.format(module=module, number="SIGINT")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_whoever_is_ready_ends_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pvbinder.cli.main", "up", "--ephemeral", "--bare", "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(SECONDS)
        assert "ready" in process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "stopped" in errors
    assert not [each for each in tmp_path.iterdir() if each.name.startswith("pvbinder-")]
