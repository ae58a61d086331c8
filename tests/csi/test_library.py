"""gRPC keeps quiet when programs are started."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, os
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

async def main():
    async with Driver("unix:///nowhere.sock", timeout_seconds=0.05) as driver:
        call = asyncio.create_task(driver.call(methods.PROBE, csi.ProbeRequest()))
        await asyncio.sleep(0)
        for _ in range(5):
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
            await asyncio.sleep(0)
        try:
            await call
        except CallFailed:
            pass

asyncio.run(main())
print(os.environ.get("GRPC_ENABLE_FORK_SUPPORT"))
"""


def test_library_1_programs_are_started_without_a_word() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == "None\n"
