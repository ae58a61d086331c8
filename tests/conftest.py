"""What holds for all tests: those that need kubectl say so when it isn't there, and all try the same each time.

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked ``kubectl``, with the reason, where kubectl is not installed."""
    if shutil.which("kubectl") is None:
        for item in items:
            if item.get_closest_marker("kubectl"):
                item.add_marker(pytest.mark.skip(reason="kubectl is not installed"))
