"""A socket that a test forgets is reported in this test, whoever collects the garbage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import socket

def test_that_forgets():
    cycle = [socket.socket()]
    cycle.append(cycle)

def test_after_it():
    pass
"""


@pytest.mark.slow
def test_the_test_that_forgot_a_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(TESTS)
    options = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == 1, done.stdout
    assert "ERROR test_two.py::test_that_forgets" in done.stdout
    assert "Exception ignored in: <socket.socket" in done.stdout
    assert "2 passed, 1 error" in done.stdout
