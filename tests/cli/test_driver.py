"""`pvbinder driver` as a process: start, end, and mistakes in words."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pvbinder.cli.main import run
from pvbinder.csi.driver import Driver
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

READY_SECONDS = 60


def arguments(tmp_path: Path, **others: str) -> list[str]:
    given = {"endpoint": f"unix://{tmp_path}/csi.sock", "root": str(tmp_path / "root"), "node-id": "node-1", **others}
    return ["driver", *(part for name, value in given.items() for part in (f"--{name}", value))]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_drivercommand_1_it_serves_until_it_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "pvbinder.cli.main", *arguments(tmp_path, capacity="1Gi", publish="link")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                while not lines or "driver is ready" not in lines[-1]:
                    assert selector.select(READY_SECONDS)
                    lines.append(process.stdout.readline())
                    assert lines[-1], lines
            async with Driver(f"unix://{tmp_path}/csi.sock") as driver:
                capacity = await driver.call(methods.GET_CAPACITY, csi.GetCapacityRequest())
                assert capacity.available_capacity == 1 << 30
            process.send_signal(number)
            rest = process.communicate(timeout=READY_SECONDS)[0]
        finally:
            process.kill()
    assert process.returncode == 0
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert not (tmp_path / "csi.sock").exists()


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"endpoint": "tcp://localhost:1"}, "unix:///"),
        ({"endpoint": "csi.sock"}, "unix:///"),
        ({"endpoint": "unix:///" + "x" * 200}, "too long"),
        ({"node-id": "a b"}, "node"),
        ({"capacity": "much"}, "--capacity"),
        ({"capacity": "0"}, "--capacity"),
        ({"capacity": "-1Gi"}, "--capacity"),
        ({"capacity": "1e30"}, "--capacity"),
        ({"publish": "copy"}, "--publish"),
        ({"root": "/dev/null"}, "/dev/null"),
        ({"root": "/proc/pvbinder"}, "/proc"),
        ({"endpoint": "unix:///nowhere/at/all/csi.sock"}, "/nowhere"),
    ],
)
def test_drivercommand_2_a_mistake_is_told_in_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], others: dict[str, str], words: str
) -> None:
    assert run(arguments(tmp_path, **others)) == 2
    told = capfd.readouterr().err
    assert "error: " in told
    assert words in told
    assert "Traceback" not in told


def test_drivercommand_2_what_is_in_the_way_is_left(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "letters").write_text("precious")
    (tmp_path / "csi.sock").write_text("precious")
    assert run(arguments(tmp_path)) == 2
    assert run(arguments(tmp_path, root=str(tmp_path / "new"))) == 2
    told = capfd.readouterr().err
    assert "other things" in told
    assert "no socket" in told
    assert (tmp_path / "root" / "letters").read_text() == (tmp_path / "csi.sock").read_text() == "precious"


@pytest.mark.slow
def test_nothing_else_waits_for_grpc() -> None:
    code = (
        "import sys; from pvbinder.cli.main import run; run(['--help']); run(['driver', '--help']); "
        "import pvbinder.cli.up, pvbinder.plane.control_plane, pvbinder.cli.control; "
        "sys.exit(any(name.split('.')[0] in ('grpc', 'google') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
