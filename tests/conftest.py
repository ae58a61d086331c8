"""What holds for all tests: those that need kubectl say so when it isn't there."""

from __future__ import annotations

import shutil

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked ``kubectl``, with the reason, where kubectl is not installed."""
    if shutil.which("kubectl") is None:
        for item in items:
            if item.get_closest_marker("kubectl"):
                item.add_marker(pytest.mark.skip(reason="kubectl is not installed"))
