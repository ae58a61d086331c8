"""The browser of tests: one of each module; where there is none, the tests that need it say so."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tools.browser import Browser, find


def wanted() -> str:
    """Return the path of a Chromium; without one skip, or fail where PVBINDER_BROWSER says that it is required."""
    found = find()
    if found is None:
        message = "there is no Chromium: apt-get install chromium, and these tests run"
        if os.environ.get("PVBINDER_BROWSER") == "required":
            pytest.fail(message)
        pytest.skip(message)
    return found


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Give a browser, or skip."""
    async with Browser(wanted()) as browser:
        yield browser
