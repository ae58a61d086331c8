"""A control plane of its own process, over TLS, for the clients that the world uses."""

from __future__ import annotations

import gc
import json
import warnings
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The clients leave sockets of watches that were broken off to the garbage collector: that is theirs to mend."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(
                pytest.mark.filterwarnings("ignore:Exception ignored in. <s:pytest.PytestUnraisableExceptionWarning")
            )


@pytest.fixture(autouse=True)
def sockets_left_open() -> Iterator[None]:
    """Let the garbage collector come now, so that it finds those sockets here and not in somebody else's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
