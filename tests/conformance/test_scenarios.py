"""The recorded scenarios that must pass, against `pvbinder up --bare` as a process, over TLS."""

from __future__ import annotations

import subprocess
import sys

import pytest

GROUPS = ["static-*", "prebound-*", "lost-*", "protection-*"]
PARALLEL = "16"
DEADLINE_SECONDS = 400

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("group", GROUPS)
def test_what_kubernetes_did_is_what_we_do(group: str) -> None:
    up = [sys.executable, "-m", "pvbinder.cli.main", "up", "--ephemeral", "--bare", "--sync-period", "2s"]
    replay = [sys.executable, "-m", "tests.conformance", "scenarios", "--only", group, "--parallel", PARALLEL]
    finished = subprocess.run(
        [*up, "--", *replay], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " 0 failed" in finished.stdout
