"""The plugin as pytest loads it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pvbinder.testing.k8s import K8s

LIGHT = """
import sys
import pvbinder.testing.plugin
rooms = ("pvbinder.server", "pvbinder.kube", "pvbinder.plane", "aiohttp")
heavy = [name for name in sys.modules if name.startswith(rooms)]
assert not heavy, heavy
"""

FAILING = """
from pvbinder.testing import pv, pvc

def test_orders(k8s):
    k8s.apply(pv("disk"))
    k8s.apply(pvc("orders")).wait_bound(timeout=20)
    assert False
"""

ON_ANOTHER = """
import pytest
from pvbinder.testing import pv, pvc
from pvbinder.testing.cluster import OnlyOnOwnServerError

def test_orders(k8s):
    assert not k8s.is_own
    k8s.apply(pv("disk-of-another"))
    k8s.apply(pvc("orders")).wait_bound(timeout=20)
    for ask in (lambda: k8s.faults, lambda: k8s.requests, lambda: k8s.advance("1s")):
        with pytest.raises(OnlyOnOwnServerError):
            ask()
"""


def run(directory: Path, text: str, *arguments: str) -> str:
    (directory / "test_theirs.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=100)
    return done.stdout + done.stderr


def test_plugin_1_pytest_loads_next_to_nothing() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True, timeout=60)


@pytest.mark.slow
def test_plugin_3_a_failed_test_shows_what_was_decided(tmp_path: Path) -> None:
    told = run(tmp_path, FAILING)
    assert "1 failed" in told
    assert "what the controllers decided" in told
    assert "volume bound" in told
    assert "[SC-U3]" in told


@pytest.mark.slow
def test_plugin_2_the_tests_run_against_another_cluster(k8s: K8s, tmp_path: Path) -> None:
    told = run(tmp_path, ON_ANOTHER, "--pvbinder-kubeconfig", str(k8s.kubeconfig))
    assert "1 passed" in told, told
    assert "disk-of-another" not in [
        one.name for one in k8s.list_all("pv") if not one["metadata"].get("deletionTimestamp")
    ]
