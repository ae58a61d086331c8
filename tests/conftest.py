"""What holds for all tests: those that need kubectl say so when it isn't there, and all try the same each time.

Every test has a time limit, so that one that hangs fails by its name: it is many times what the test needs on a busy
machine. `timeout` in pyproject.toml is for most of them; those marked ``slow`` have `SLOW_SECONDS_MAX`, a soak none.

A change is judged by the examples that its predecessor passed; ``PVBINDER_SEEDS=new`` looks for others. No example has
a deadline: hypothesis measures the time on the clock, which is long on a busy machine.

Garbage doesn't outlive its test for long. The objects of the collected tests are frozen: a collection would look
through all of them, and Python makes so few that garbage fills the memory. After a test that ends with more open files
than it began with, garbage is collected at once: a socket that it forgot is reported in this test, not in a later one.

Compiled modules are kept, also where the environment says otherwise: hundreds of tests start the command, and each
start would compile all modules anew, for half a second of processor.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # of the processes that tests start, xdist's workers among them

settings.register_profile("new", deadline=None)
settings.register_profile("the same", deadline=None, derandomize=True, database=None)
settings.load_profile("new" if os.environ.get("PVBINDER_SEEDS") == "new" else "the same")


SLOW_SECONDS_MAX = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time; skip those marked ``kubectl``, with the reason, where kubectl is not installed."""
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(0))
        elif item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS_MAX))
    if shutil.which("kubectl") is None:
        for item in items:
            if item.get_closest_marker("kubectl"):
                item.add_marker(pytest.mark.skip(reason="kubectl is not installed"))


def pytest_collection_finish() -> None:
    """Leave the objects of all tests out of later collections."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def forgotten_files() -> Iterator[None]:
    """Report a socket or file that the test forgot here, not in whatever test has the next collection."""
    before = _open_files()
    yield
    if _open_files() > before:
        gc.collect()


def _open_files() -> int:
    return len(os.listdir(_DESCRIPTORS))  # noqa: PTH208  (it is for each test)


_DESCRIPTORS = "/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd"
