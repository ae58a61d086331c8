"""A control plane of its own process, over TLS, for the clients that the world uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.objects import BACKUPS
from tools.plane import RunningPlane, running


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A running `pvbinder up` with a custom kind, and without what a small cluster adds."""
    folder: Path = tmp_path_factory.mktemp("plane")
    (folder / "kinds.json").write_text(json.dumps(BACKUPS))
    with running(folder / "data", ["--bare", "--load", str(folder / "kinds.json")]) as plane:
        yield plane
