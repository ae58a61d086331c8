"""What holds for all tests: those that need kubectl say so when it isn't there, and all try the same each time.

Every test has a time limit, so that one that hangs fails by its name: it is many times what the test needs on a busy
machine. `timeout` in pyproject.toml is for most of them; those marked ``slow`` have `SLOW_SECONDS_MAX`, a soak none.

A change is judged by the examples that its predecessor passed; ``PVBINDER_SEEDS=new`` looks for others.
"""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import settings

settings.register_profile("the same", derandomize=True, database=None)
if os.environ.get("PVBINDER_SEEDS") != "new":
    settings.load_profile("the same")


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
