"""docs/migrate.md, played on one API server: a controller that stands for the cluster's own, and two replicas of ours.

Claims come all the time. In the end each is bound to one volume, and each volume to one claim; while the gate is closed
the replicas write nothing.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.outside import DEADLINE_SECONDS, request
from tests.cli.test_controller import CLAIMS, VOLUMES, is_bound, make_pair, seen
from tools.plane import access, controlling, running

pytestmark = pytest.mark.slow  # it starts processes

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "migrate.md"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
ELECTED = ["--leader-elect", "--leader-elect-retry-period=100ms"]
PAUSE_SECONDS = 0.2


def gate() -> Any:
    """The lease of the page."""
    return yaml.safe_load(PAGE.read_text().partition("<<EOF_OF_LEASE\n")[2].partition("EOF_OF_LEASE")[0])


class Visitors:
    """Somebody who makes a claim, and a volume for it, all the time."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self.made = 0

    @contextmanager
    def come(self) -> Iterator[None]:
        """Make them until the block ends."""
        self._thread = threading.Thread(target=self._make)
        self._thread.start()
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """Make no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def more(self, count: int) -> str:
        """Wait until so many more have come, and name the last of them."""
        with self._changed:
            wanted = self.made + count
            self._changed.wait_for(lambda: self.made >= wanted)
            return f"claim-{wanted - 1}"

    def _make(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            make_pair(self._kubeconfig, f"claim-{self.made}")
            with self._changed:
                self.made += 1
                self._changed.notify_all()


def all_are_bound_once(kubeconfig: Path, count: int) -> None:
    """Wait until so many claims are bound; each has a volume of its own, and each volume says the same."""
    waiting = {f"claim-{number}" for number in range(count)}
    url, context = access(kubeconfig)
    with urllib.request.urlopen(f"{url}{CLAIMS}?watch=true", context=context, timeout=DEADLINE_SECONDS) as watch:
        while waiting:
            event = json.loads(watch.readline())
            if is_bound(event):
                waiting.discard(event["object"]["metadata"]["name"])
    claims = request(kubeconfig, CLAIMS)["items"]
    volumes = request(kubeconfig, VOLUMES)["items"]
    volume_of = {each["metadata"]["name"]: each["spec"]["volumeName"] for each in claims}
    assert len(set(volume_of.values())) == len(claims) == len(volumes) == count
    assert {each["spec"]["claimRef"]["name"]: each["metadata"]["name"] for each in volumes} == volume_of


def test_migration_there_and_back(tmp_path: Path) -> None:
    with running(tmp_path / "data", ["--bare", "--controllers="]) as plane, ExitStack() as stack:
        config = plane.kubeconfig
        visitors = Visitors(config)
        with controlling(config), visitors.come():
            seen(config, CLAIMS, visitors.more(3), is_bound)
            request(config, LEASES, "POST", gate())
            ours = [stack.enter_context(controlling(config, ELECTED, wait=False)) for _ in range(2)]
            for replica in ours:
                replica.wait_for("waiting for the lead")
            seen(config, CLAIMS, visitors.more(3), is_bound)
        assert not any("volume bound" in replica.log() for replica in ours)  # the gate is closed

        there = Visitors(config)
        there.made = visitors.made
        with there.come():
            there.more(2)  # nobody is there to bind them
            lease = request(config, f"{LEASES}/pvbinder-controller")
            assert lease["spec"]["holderIdentity"] == "migration"
            lease["spec"]["holderIdentity"] = ""  # as the page's patch does
            request(config, f"{LEASES}/pvbinder-controller", "PUT", lease)
            seen(config, CLAIMS, there.more(3), is_bound)
            stack.close()
            again = stack.enter_context(controlling(config))
            seen(config, CLAIMS, there.more(3), is_bound)
        all_are_bound_once(config, there.made)
        assert again.process.poll() is None


def test_two_by_mistake_bind_nothing_twice(tmp_path: Path) -> None:
    with running(tmp_path / "data", ["--bare", "--controllers="]) as plane:
        config = plane.kubeconfig
        visitors = Visitors(config)
        with controlling(config), controlling(config), visitors.come():
            visitors.more(12)
            visitors.end()
            all_are_bound_once(config, visitors.made)
