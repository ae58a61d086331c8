"""The recorded scenarios, all that a single machine can play, against `pvbinder up --bare` as a process, over TLS."""

from __future__ import annotations

import subprocess
import sys

import pytest

PARALLEL = "16"
DEADLINE_SECONDS = 400
RESYNC = ["--sync-period", "2s"]
RUNS = {  # what is special about a run: (flags of the control plane, what is replayed and its flags)
    "all": ([*RESYNC, "--enable-hostpath-provisioner"], ["scenarios", "--parallel", PARALLEL]),
    "provisioning is off": (
        [*RESYNC, "--enable-dynamic-provisioning=false"],
        ["scenarios", "--have", "no-provisioning", "--only", "provision-disabled"],
    ),
    "with a scheduler": (
        [*RESYNC, "--enable-hostpath-provisioner", "--controllers", "*,-ephemeral-volume,-serviceaccount,scheduler"],
        ["scenarios", "--have", "scheduler", "--only", "*-real-scheduler-*"],
    ),
    "with a CSI driver": (RESYNC, ["csi", "--parallel", PARALLEL, "--only", "csi-*"]),
    "the controllers are stopped and started": (
        ["--controllers", "namespace,garbagecollector"],
        ["processes", "--only", "restart-*"],
    ),
}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("flags", "chosen"), RUNS.values(), ids=RUNS.keys())
def test_what_kubernetes_did_is_what_we_do(flags: list[str], chosen: list[str]) -> None:
    up = [sys.executable, "-m", "pvbinder.cli.main", "up", "--ephemeral", "--bare", *flags]
    replay = [sys.executable, "-m", "tests.conformance", *chosen]
    finished = subprocess.run(
        [*up, "--", *replay], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " 0 failed" in finished.stdout
    assert "\n0 passed" not in finished.stdout
