"""Bounds on processor time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.processor import at_most, hold


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_more_than_the_bound_fails_with_both_figures() -> None:
    with (
        pytest.raises(AssertionError, match=r"^\d+ ms of processor, 10 ms at most: spinning"),
        at_most(0.01, "spinning"),
    ):
        spin(0.02)


def test_waiting_is_not_counted() -> None:
    with at_most(0.02):
        subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True)


def test_an_error_in_the_context_is_the_one_that_is_told() -> None:
    with pytest.raises(KeyError), at_most(0.0):
        raise KeyError


def test_the_largest_time_of_a_test_is_appended_to_a_file(tmp_path: Path) -> None:
    bounds = tmp_path / "bounds"
    code = "from tests.processor import hold; hold(0.1, 2); hold(0.5, 2); hold(0.4, 2)"
    env = {**os.environ, "PVBINDER_BOUNDS": str(bounds), "PYTEST_CURRENT_TEST": "tests/test_a.py::test_b[c] (call)"}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], check=True, env=env, cwd=Path(__file__).parents[1])
    assert bounds.read_text() == "0.250  500.0 of 2000 ms  tests/test_a.py::test_b[c]\n" * 2


def test_a_time_at_its_bound_holds() -> None:
    hold(1.0, 1.0)
