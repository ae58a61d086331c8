"""The driver as a process of its own (LOCALPROCESS-1 to LOCALPROCESS-5)."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.csi.local.calls import NODE, volume_request

from pvbinder.csi.driver import Driver
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.local.process import DriverNotStartedError, driver_process
from pvbinder.csi.wire import methods

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 30
PARENT = """
import asyncio, sys
from pathlib import Path
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.local.process import driver_process

async def main():
    async with driver_process(LocalDriver(sys.argv[1], Path(sys.argv[2]), "node-1", how="link")) as process:
        print(process.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def local(tmp_path: Path) -> LocalDriver:
    return LocalDriver(f"unix://{tmp_path}/csi.sock", tmp_path / "root", NODE, how="link")


async def test_localprocess_1_it_is_served_or_says_what_is_in_the_way(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = local(tmp_path)
    async with asyncio.timeout(DEADLINE_SECONDS), driver_process(options), Driver(options.endpoint) as driver:
        made = (await driver.call(methods.CREATE_VOLUME, volume_request())).volume
        assert (options.root / "volumes" / made.volume_id / "data").is_dir()
        with pytest.raises(DriverNotStartedError, match="another driver uses") as caught:
            async with driver_process(options):
                raise AssertionError
        assert caught.value.hint == "stop it, or name another directory"
    assert not (tmp_path / "csi.sock").exists()
    assert capfd.readouterr().err == ""  # nothing is configured here, so only warnings would be shown


async def test_localprocess_1_a_process_that_ends_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvbinder.csi.local.process.MODULE", "pvbinder.csi.local.no_such_module")
    with pytest.raises(DriverNotStartedError, match="its process ended with exit code 1 before it was served"):
        async with asyncio.timeout(DEADLINE_SECONDS), driver_process(local(tmp_path)):
            raise AssertionError


def test_localprocess_2_it_ends_with_one_that_is_killed(tmp_path: Path) -> None:
    options = local(tmp_path)
    command = [sys.executable, "-c", PARENT, options.endpoint, str(options.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        driver = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.send_signal(signal.SIGKILL)
            assert select.select([driver], [], [], DEADLINE_SECONDS)[0] == [driver]
        finally:
            os.close(driver)
    assert not (tmp_path / "csi.sock").exists()  # it had time for a clean end


async def test_localprocess_3_a_ctrl_c_goes_past_it(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), driver_process(local(tmp_path)) as process:
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)


async def test_localprocess_4_its_end_is_seen(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), driver_process(local(tmp_path)) as process:
        os.kill(process.pid, signal.SIGKILL)
        assert await process.ended() == "was ended by signal 9"


async def test_localprocess_5_its_lines_are_as_ours_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ours = logging.getLogger("pvbinder")
    before = ours.level
    ours.setLevel(logging.INFO)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS), driver_process(local(tmp_path)):
            pass
    finally:
        ours.setLevel(before)
    assert f" INFO  driver has read its root root={tmp_path}/root node={NODE} " in capfd.readouterr().err
