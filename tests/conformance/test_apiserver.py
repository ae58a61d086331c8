"""The recorded HTTP cases and kubectl transcripts, all of them, against `pvbinder up --bare` as a process, over TLS."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from tests.conformance.__main__ import HERE

DEADLINE_SECONDS = 400
RECORDED_WITH = re.compile(r"v1\.32\.")  # "another version prints some things differently": its README

pytestmark = pytest.mark.slow


def replay(what: str, *flags: str) -> str:
    """Replay one kind of recording against a server of its own, and return what was printed."""
    up = [sys.executable, "-m", "pvbinder.cli.main", "up", "--ephemeral", "--bare", *flags]
    command = [*up, "--", sys.executable, "-m", "tests.conformance", what]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_requests_are_answered_as_kubernetes_answers_them() -> None:
    count = len(list((HERE / "apiserver" / "cases").glob("*.yaml")))
    assert f"\n{count} passed, 0 failed" in replay("http", "--controllers=")


def test_accounts_and_aggregated_roles_are_kept_as_kubernetes_keeps_them() -> None:
    count = len(list((HERE / "apiserver" / "controllers" / "cases").glob("*.yaml")))
    assert f"\n{count} passed, 0 failed" in replay("controllers")


@pytest.mark.kubectl
def test_kubectl_prints_what_it_prints_with_kubernetes() -> None:
    version = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=True).stdout
    if not RECORDED_WITH.search(version):
        pytest.skip(f"recorded with kubectl 1.32, this is {version.split(chr(10))[0]}")
    count = len(list((HERE / "apiserver" / "kubectl").glob("*.yaml")))
    assert f"\n{count} passed, 0 failed" in replay("kubectl", "--controllers=")
