"""`pvbinder explain` asks a real server, as whoever the kubeconfig says, and agrees with what kubectl shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools.plane import RunningPlane, running

TOP = Path(__file__).parents[2]
SECONDS = 60

pytestmark = pytest.mark.kubectl


def kubectl(plane: RunningPlane, *arguments: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}
    done = subprocess.run(
        ["kubectl", *arguments], env=environment, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return done.stdout


def explain(plane: RunningPlane, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "pvbinder.cli.main", "explain", *arguments]
    done = subprocess.run(
        [*command, "--kubeconfig", str(plane.kubeconfig)], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_claim_is_explained_from_a_server(tmp_path: Path) -> None:
    with running(tmp_path / "data", ["--bare"]) as plane:
        kubectl(plane, "apply", "-f", str(TOP / "examples" / "quickstart"))
        kubectl(plane, "wait", "pvc/reports", "--for=jsonpath={.status.phase}=Bound", f"--timeout={SECONDS}s")
        bound = explain(plane, "pvc", "reports")
        waiting = explain(plane, "pvc", "archive", "-o", "json")
        kubectl(plane, "create", "namespace", "shop")
        kubectl(plane, "create", "serviceaccount", "nobody")
        missing = explain(plane, "pvc", "archive", "-n", "shop")
        nowhere = explain(plane, "pvc", "archive", "-n", "shup")
        everything = explain(plane, "-A")
        volume = explain(plane, "pv", "disk-5")

    assert bound[0] == 0
    assert bound[1].startswith("default/reports is Bound: it has volume disk-5 with 5Gi   (SC-B4)\n")
    assert waiting[0] == 1
    found = json.loads(waiting[1])
    assert (found["reason"], found["phase"]) == ("NoVolumeFits", "Pending")
    assert [event["reason"] for event in found["events"]] == ["FailedBinding"]
    assert {volume["name"] for volume in found["volumes"]} == {"disk-1", "disk-5", "disk-20", "nfs-pv"}
    assert missing[0] == 2
    assert missing[2].startswith("error: there is no claim 'archive' in namespace shop")
    assert "there is default/archive: choose with -n" in missing[2]
    assert "there is no namespace 'shup'" in nowhere[2]
    assert everything[0] == 1
    assert everything[1].startswith("3 claims: 1 needs somebody, 2 are bound\n")
    assert volume[1].startswith("volume disk-5 is Bound: claim default/reports has it   (SV-8)\n")


def test_a_server_that_isnt_there_is_an_error_in_words(tmp_path: Path) -> None:
    with running(tmp_path / "data", ["--bare"]) as plane:
        pass
    code, _, error = explain(plane, "pvc", "reports")
    assert code == 3
    assert error.startswith("error: ")
    assert "Traceback" not in error
