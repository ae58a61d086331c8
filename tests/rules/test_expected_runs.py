"""How long a person would expect a pod to run (EXPECTED-1 to EXPECTED-5)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pvbinder.model.json import Json
from pvbinder.rules.expected_runs import SECONDS_MAX, SOON, expected_run

ALWAYS = None


def run_of(*containers: Json, owner: str = "") -> timedelta | None:
    owners = [{"kind": owner, "name": "it", "uid": "u", "controller": True}] if owner else []
    return expected_run({"metadata": {"ownerReferences": owners}, "spec": {"containers": list(containers)}})


def shell(script: str) -> Json:
    return {"name": "c", "command": ["sh", "-c", script]}


RUNS: dict[str, Json] = {
    "no command": {"name": "c", "image": "nginx"},
    "ports": {"name": "c", "command": ["/server"], "ports": [{"containerPort": 80}]},
    "a probe": {"name": "c", "command": ["/server"], "readinessProbe": {"exec": {"command": ["true"]}}},
    "pause": {"name": "c", "command": ["/pause"]},
    "sleep infinity": {"name": "c", "command": ["sleep", "infinity"]},
    "sleep inf, by path": {"name": "c", "command": ["/bin/sleep", "inf"]},
    "sleep as an argument": {"name": "c", "command": ["sleep"], "args": ["infinity"]},
    "tail -f": {"name": "c", "command": ["tail", "-f", "/dev/null"]},
    "tail with other options": shell("tail -n 1 -F /var/log/all"),
    "while true": shell("while true; do date; sleep 5; done"),
    "while :": shell("while :; do sleep 1; done"),
    "while [ 1 ]": shell("while [ 1 ] ; do sleep 1; done"),
    "until false": shell("until false; do sleep 1; done"),
    "for ((;;))": shell("for ((;;)); do sleep 1; done"),
    "a loop of Python": {"name": "c", "command": ["python3", "-c", "import time\nwhile True: time.sleep(1)"]},
    "a loop in more lines": shell("echo start\nwhile true\ndo\n  sleep 10\ndone\n"),
    "a shell to type into": {"name": "c", "command": ["/bin/bash"], "stdin": True, "tty": True},
    "a small server": {"name": "c", "command": ["python3", "-m", "http.server"]},
    "nginx in the foreground": {"name": "c", "command": ["nginx", "-g", "daemon off;"]},
}


@pytest.mark.parametrize("container", RUNS.values(), ids=RUNS.keys())
def test_expected_1_what_a_person_expects_to_run_runs(container: Json) -> None:
    assert run_of(container) is ALWAYS


SLEEPS = {  # the container: seconds
    "a number": ({"name": "c", "command": ["sleep", "3600"]}, 3600),
    "with a unit": (shell("sleep 1.5m"), 90),
    "hours": (shell("exec sleep 2h"), 7200),
    "by its path": (shell("/bin/sleep 30"), 30),
    "several": (shell("echo a; sleep 5 && echo b; sleep 10s"), 15),
    "Python": ({"name": "c", "command": ["python3", "-c", "import time; time.sleep(20)"]}, 20),
}


@pytest.mark.parametrize(("container", "seconds"), SLEEPS.values(), ids=SLEEPS.keys())
def test_expected_2_a_sleep_ends_after_its_time(container: Json, seconds: float) -> None:
    assert run_of(container) == timedelta(seconds=seconds)


SCRIPTS: dict[str, Json] = {
    "echo": shell("echo hello"),
    "writes a file": shell("echo hello > /data/file && sync"),
    "the recycler": shell('test -e /scrub && rm -rf /scrub/..?* /scrub/.[!.]* /scrub/*  && test -z "$(ls -A /scrub)"'),
    "a loop that ends": shell("for i in 1 2 3; do echo $i; done"),
    "a condition that ends": shell("while ! nslookup db; do echo waiting; done"),
    "a fast answer": {"name": "c", "command": ["true"]},
    "a shell that nobody types into": {"name": "c", "command": ["/bin/sh"]},
    "no time": {"name": "c", "command": ["sleep", "0"]},
    "a tail that ends": shell("tail -n 10 /var/log/all"),
}


@pytest.mark.parametrize("container", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_expected_3_a_script_ends_soon(container: Json) -> None:
    assert run_of(container) == SOON


def test_expected_3_a_pod_runs_as_long_as_its_longest_container() -> None:
    assert run_of(shell("echo"), shell("sleep 7")) == timedelta(seconds=7)
    assert run_of(shell("sleep 7"), {"name": "c", "image": "nginx"}) is ALWAYS


def test_expected_4_a_pod_of_a_job_is_there_to_end() -> None:
    ports = {"name": "c", "command": ["/work"], "ports": [{"containerPort": 80}]}
    assert run_of({"name": "c", "image": "worker"}, owner="Job") == SOON
    assert run_of(ports, owner="Job") == SOON
    assert run_of(shell("sleep 30"), owner="Job") == timedelta(seconds=30)
    assert run_of(shell("while true; do sleep 1; done"), owner="Job") is ALWAYS
    assert run_of({"name": "c", "image": "nginx"}, owner="ReplicaSet") is ALWAYS


ODD = [
    "sleep 99999999999999999999d",
    "sleep 1e9",
    "sleep -1",
    "sleep٣",
    "sleep",
    "sleep $N",
    "asleep 5",
    "sleep 5x",
    "\0",
]


@pytest.mark.parametrize("script", ODD)
def test_expected_5_text_that_only_looks_like_a_command_never_fails(script: str) -> None:
    run = run_of(shell(script))

    assert run is not None
    assert SOON <= run <= timedelta(seconds=SECONDS_MAX)
    assert expected_run({}) == SOON
