"""The recorded scenarios, all that a single machine can play, against `pvbinder up --bare` as a process, over TLS."""

from __future__ import annotations

import subprocess
import sys

import pytest

PARALLEL = "16"
DEADLINE_SECONDS = 400
RUNS = {  # what is special about a run: (flags of the control plane, flags of the replay)
    "all": (["--enable-hostpath-provisioner"], ["--parallel", PARALLEL]),
    "provisioning is off": (
        ["--enable-dynamic-provisioning=false"],
        ["--have", "no-provisioning", "--only", "provision-disabled"],
    ),
}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("flags", "chosen"), RUNS.values(), ids=RUNS.keys())
def test_what_kubernetes_did_is_what_we_do(flags: list[str], chosen: list[str]) -> None:
    up = [sys.executable, "-m", "pvbinder.cli.main", "up", "--ephemeral", "--bare", "--sync-period", "2s", *flags]
    replay = [sys.executable, "-m", "tests.conformance", "scenarios", *chosen]
    finished = subprocess.run(
        [*up, "--", *replay], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " 0 failed" in finished.stdout
