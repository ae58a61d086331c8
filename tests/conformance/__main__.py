"""Replay what was recorded from Kubernetes against the server in KUBECONFIG, and list what doesn't pass yet.

    pvbinder up --ephemeral --bare --sync-period 2s -- python -m tests.conformance scenarios [--only GLOB]
    pvbinder up --ephemeral --bare --controllers=namespace,garbagecollector \\
        -- python -m tests.conformance processes [--only GLOB]
    pvbinder up --ephemeral --bare --sync-period 2s -- python -m tests.conformance csi --only 'csi-*'
    pvbinder up --ephemeral --bare --controllers= -- python -m tests.conformance http|kubectl [--only GLOB] [-q]
    pvbinder up --ephemeral --bare -- python -m tests.conformance controllers [--only GLOB] [-q]

`scenarios` are played with the controllers in the process of `pvbinder up`, `processes` are the same with them in one
of their own, `pvbinder controller`: only then they can be stopped and started, which some scenarios ask for. `csi`
has a driver and `pvbinder csi` beside them.

The recordings and the programs that replay them are data in the folders beside this file, taken as they are. What is
passed on after the first word are their options. The exit status is theirs: 0 if everything passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = {
    "scenarios": [HERE / "volumes" / "replay.py"],
    "processes": [HERE / "volumes" / "replay.py"],
    "csi": [HERE / "volumes" / "replay.py"],
    "http": [HERE / "apiserver" / "replay_http.py", HERE / "apiserver" / "cases"],
    "controllers": [HERE / "apiserver" / "replay_http.py", HERE / "apiserver" / "controllers" / "cases"],
    "kubectl": [HERE / "apiserver" / "replay_kubectl.py", HERE / "apiserver" / "kubectl"],
}


def replay(what: str, arguments: list[str]) -> int:
    """Run one of the programs."""
    program, *folders = PROGRAMS[what]
    with controllers_for(what) as flags:
        options = ["--kubeconfig", os.environ["KUBECONFIG"], *flags, *arguments]
        command = [sys.executable, str(program), *options, *map(str, folders)]
        if what == "csi":
            command = [sys.executable, "-m", "tests.conformance.csi", *command, "--have", "csi"]
        return run(what, command)


@contextmanager
def controllers_for(what: str) -> Iterator[list[str]]:
    """Start the controllers if they are to be a process of their own, and say how the replay stops and starts them."""
    if what != "processes":
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.conformance.controllers", folder]
        subprocess.run([*command, "start"], check=True)
        try:
            yield ["--controller-command", " ".join(command)]
        finally:
            subprocess.run([*command, "stop"], check=True)


def run(what: str, command: list[str]) -> int:
    """Run a program, let its output through, and close with the names of what didn't pass."""
    failed: list[str] = []
    skipped: list[str] = []
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            verdict, _, rest = line.rstrip("\n").partition(" ")
            if verdict == "FAIL":
                failed.append(rest.split()[0])
            elif verdict == "SKIP":
                skipped.append(rest)
            last = line
    print_list("skipped:", skipped)
    print_list(f"{what} that don't pass yet:", failed)
    print(last, end="")
    return process.returncode


def print_list(title: str, names: list[str]) -> None:
    """Print the names under their title, if there are any."""
    if names:
        print("\n".join([title, *(f"  {name}" for name in sorted(names))]))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PROGRAMS or "KUBECONFIG" not in os.environ:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(replay(sys.argv[1], sys.argv[2:]))
