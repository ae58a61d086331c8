"""What the fixture `k8s` costs somebody's tests: until the first one begins, for each one, and for putting all back.

Processor time of the whole process of pytest, less that of the same tests without the fixture.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figure import median_of, report

from pvbinder.testing import pv, pvc
from pvbinder.testing.k8s import K8s
from pvbinder.testing.own import OwnCluster

REPETITIONS = 5
TESTS = 100
TURNS = 20
PAIRS = 5  # volumes and claims that a test leaves behind

CONFTEST = """
import os, time
from pathlib import Path

def pytest_unconfigure(config):
    Path(os.environ["AT_THE_END"]).write_text(str(time.process_time()))
"""
TEST = """
import os, time
from pathlib import Path
import pytest

@pytest.mark.parametrize("turn", range({tests}))
def test_nothing({fixture}turn):
    if turn == 0:
        Path(os.environ["AT_THE_FIRST"]).write_text(str(time.process_time()))
    elif turn == 1:
        Path(os.environ["AT_THE_SECOND"]).write_text(str(time.process_time()))
"""


def run(folder: Path, fixture: str) -> tuple[float, float]:
    """Return the processor seconds until the first test begins, and those a test after it, all of pytest included."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TEST.format(tests=TESTS, fixture=fixture))
    marks = {name: str(folder / name) for name in ("AT_THE_FIRST", "AT_THE_SECOND", "AT_THE_END")}
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), str(folder)]
    subprocess.run(command, env={**os.environ, **marks}, stdout=subprocess.DEVNULL, check=True)
    first, second, end = (float(Path(marks[name]).read_text()) for name in marks)
    return first, (end - second) / (TESTS - 1)


def put_back_seconds() -> float:
    """Return the processor seconds of putting back what a test left: bound pairs of volumes and claims."""
    cluster = OwnCluster()
    with tempfile.TemporaryDirectory() as name:
        spent = 0.0
        for turn in range(TURNS):
            namespace = f"turn-{turn}"
            cluster.thread.do(cluster.begin(namespace))
            k8s = K8s(cluster, namespace, Path(name), Path(name))
            claims = [k8s.apply(pvc(f"claim-{number}", size="1Gi")) for number in range(PAIRS)]
            k8s.apply_all(*(pv(f"disk-{number}", size="1Gi") for number in range(PAIRS)))
            for claim in claims:
                claim.wait_bound()
            started = time.process_time()
            cluster.thread.do(cluster.end(namespace, ()))
            spent += time.process_time() - started
    cluster.close()
    return spent / TURNS


def main() -> None:
    """Print the figures."""
    firsts, tests = [], []
    for _ in range(REPETITIONS):
        with tempfile.TemporaryDirectory() as name:
            with_fixture, bare = run(Path(name), "k8s, "), run(Path(name), "")
        firsts.append(with_fixture[0] - bare[0])
        tests.append(1000 * (with_fixture[1] - bare[1]))
    for figure, values, unit, budget in (
        ("first test with k8s, processor time besides pytest's", firsts, "s", 0.8),
        ("a test with k8s, processor time besides its own", tests, "ms", 20),
    ):
        shown = [round(value, 4) for value in values]
        report(figure, sorted(values)[len(values) // 2], unit, budget=budget, better="lower", n=TESTS, values=shown)
    milliseconds, shown_ones = median_of(REPETITIONS, lambda: 1000 * put_back_seconds())
    report(
        f"putting back {PAIRS} bound pairs and a namespace, processor time",
        milliseconds,
        "ms",
        budget=20,
        better="lower",
        n=TURNS,
        values=shown_ones,
    )


if __name__ == "__main__":
    main()
