"""The command after the dashes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from pvbinder.cli.child import run_command

ENVIRONMENT = {"PATH": os.environ["PATH"], "KUBECONFIG": "/somewhere/kubeconfig"}

CODES = {
    "success": (["true"], 0),
    "its own code": (["sh", "-c", "exit 7"], 7),
    "a signal": (["sh", "-c", "kill -KILL $$"], 137),
    "no such command": (["no-such-command-anywhere"], 127),
    "a directory": (["/"], 126),
}


@pytest.mark.parametrize(("command", "code"), CODES.values(), ids=CODES.keys())
async def test_child_1_returns_what_a_shell_would(command: list[str], code: int) -> None:
    assert await run_command(command, ENVIRONMENT) == code


async def test_child_1_a_file_that_may_not_be_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("no program")

    assert await run_command([str(tmp_path / "notes")], ENVIRONMENT) == 126
    assert "permission denied" in capsys.readouterr().err


async def test_it_has_the_kubeconfig(capfd: pytest.CaptureFixture[str]) -> None:
    await run_command(["sh", "-c", "echo $KUBECONFIG"], ENVIRONMENT)

    assert capfd.readouterr().out == "/somewhere/kubeconfig\n"


# Writes one line when its handlers stand, one more for each signal, and ends at the second.
COUNTS_SIGNALS = """
import os, signal, sys
got = []
def on_signal(number, frame):
    got.append(signal.Signals(number).name)
    print(got[-1], flush=True)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
    signal.signal(number, on_signal)
print("ready", flush=True)
while len(got) < 2:
    signal.pause()
sys.exit(40 + len(got))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT], ids=lambda n: n.name)
async def test_child_2_signals_reach_the_command_once(number: signal.Signals, tmp_path: Path) -> None:
    runs_the_child = (
        "import asyncio, os, sys\n"
        "from pvbinder.cli.child import run_command\n"
        "sys.exit(asyncio.run(run_command(sys.argv[1:], dict(os.environ))))\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", runs_the_child, sys.executable, "-c", COUNTS_SIGNALS,
        stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert parent.stdout is not None
    async with asyncio.timeout(20):
        assert await parent.stdout.readline() == b"ready\n"
        for _ in range(2):
            parent.send_signal(number)
            assert (await parent.stdout.readline()).decode().strip() == number.name
        assert await parent.wait() == 42


async def test_child_3_it_is_ended_with_us(tmp_path: Path) -> None:
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    os.mkfifo(ready)
    command = ["bash", "-c", f"trap 'touch {ended}; kill %1; exit' TERM; sleep 60 & echo > {ready}; wait"]
    async with asyncio.timeout(20):
        running = asyncio.create_task(run_command(command, ENVIRONMENT))
        await asyncio.to_thread(ready.read_text)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert ended.exists()
