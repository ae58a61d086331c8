"""`kill -9` while the server writes, starts, stops and recovers: every write that was acknowledged is there afterwards.

Some clients write all the time, each to objects of its own. After the next start the list must have each acknowledged
write; it may have the others or not.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from tests.adversary.attack import BARE, Attack, Figures
from tests.adversary.bystander import authorization
from tools.plane import RunningPlane, access, running

CLIENTS = 8
KILLS_MIN = 5  # under load, however slow the machine is
WAIT_SECONDS = 60
NAMESPACE = "/api/v1/namespaces/default"
PVBINDER = [sys.executable, "-m", "pvbinder.cli.main"]


@dataclass(slots=True)
class Client:
    """Creates, changes and deletes objects of its own, and keeps count of what was acknowledged."""

    number: int
    random: Random
    values: dict[str, str] = field(default_factory=dict)  # acknowledged
    unknown: dict[str, set[str | None]] = field(default_factory=dict)  # possible states after an unanswered write
    acknowledged: int = 0
    counter: int = 0

    def write_until_it_dies(self, plane: RunningPlane, stop: threading.Event) -> None:
        """Write until the server is gone."""
        url, context = access(plane.kubeconfig)
        parts = urlsplit(url)
        headers = {**authorization(plane), "Content-Type": "application/json"}
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=20)
        try:
            while not stop.is_set():
                self._write(connection, headers)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def _write(self, connection: http.client.HTTPSConnection, headers: dict[str, str]) -> None:
        self.counter += 1
        name, value = f"c{self.number}-{self.random.randrange(40)}", str(self.counter)
        if name in self.unknown:
            return
        path, known = f"{NAMESPACE}/configmaps", self.values.get(name)
        body = json.dumps({"metadata": {"name": name}, "data": {"value": value}})
        outcome: str | None = value
        if known is None:
            request = ("POST", path, body)
        elif self.random.random() < 0.2:
            request, outcome = ("DELETE", f"{path}/{name}", ""), None
        else:
            request = ("PUT", f"{path}/{name}", body)
        self.unknown[name] = {known, outcome}
        connection.request(*request, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (200, 201), answer.status
        del self.unknown[name]
        self.acknowledged += 1
        if outcome is None:
            del self.values[name]
        else:
            self.values[name] = outcome

    def check(self, found: dict[str, str]) -> None:
        """Compare with the list, which also decides about unanswered writes."""
        mine = {name: value for name, value in found.items() if name.startswith(f"c{self.number}-")}
        for name, possible in self.unknown.items():
            assert mine.get(name) in possible, f"{name} is {mine.get(name)}, and can only be one of {possible}"
            self.values.pop(name, None)
            if name in mine:
                self.values[name] = mine[name]
        self.unknown.clear()
        lost = {name: (value, mine.get(name)) for name, value in self.values.items() if mine.get(name) != value}
        assert not lost, f"acknowledged, and otherwise after a kill: {lost}"
        assert mine == self.values, f"deleted, and back: {mine.keys() - self.values.keys()}"


def listed(plane: RunningPlane) -> dict[str, str]:
    """Return the value of each config map that a client has made."""
    url, context = access(plane.kubeconfig)
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=60)
    try:
        connection.request("GET", f"{NAMESPACE}/configmaps", headers=authorization(plane))
        items = json.loads(connection.getresponse().read())["items"]
    finally:
        connection.close()
    return {item["metadata"]["name"]: item["data"]["value"] for item in items if "value" in item.get("data", {})}


def kill_during(command: list[str], after_seconds: float) -> bool:
    """Start a command and kill it after so long; False if it had ended by then."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(WAIT_SECONDS)
        return True
    return False


def run(directory: Path, seconds: float, random: Random) -> Figures:
    """Kill again and again."""
    data = directory / "data"
    clients = [Client(number, Random(random.random())) for number in range(CLIENTS)]
    figures = {"kills_under_load": 0, "kills_at_start": 0, "kills_at_stop": 0, "kills_in_recovery": 0}
    until = time.monotonic() + seconds
    while time.monotonic() < until or not all(figures.values()) or figures["kills_under_load"] < KILLS_MIN:
        with running(data, BARE) as plane:
            found = listed(plane)
            for client in clients:
                client.check(found)
            stop = threading.Event()
            threads = [threading.Thread(target=each.write_until_it_dies, args=(plane, stop)) for each in clients]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0.1, 0.5))
            if random.random() < 0.2 or not figures["kills_at_stop"]:
                stop.set()
                plane.process.terminate()
                time.sleep(random.uniform(0.0, 0.2))
                figures["kills_at_stop"] += 1
            else:
                figures["kills_under_load"] += 1
            plane.process.kill()
            plane.process.wait(WAIT_SECONDS)
            for thread in threads:
                thread.join(WAIT_SECONDS)
        if random.random() < 0.3 or not figures["kills_at_start"]:
            start = [*PVBINDER, "up", "--data-dir", str(data), "--port", "0", *BARE]
            figures["kills_at_start"] += kill_during(start, random.uniform(0.2, 1.0))
        if random.random() < 0.1 or not figures["kills_in_recovery"]:
            figures["kills_in_recovery"] += recovery_is_killed(data, directory / "copy", random)
    return {"acknowledged": sum(client.acknowledged for client in clients), **figures}


def recovery_is_killed(data: Path, copy: Path, random: Random) -> int:
    """Damage a copy, kill its recovery a few times, let it end; return how often it was killed.

    What is there in the end is what comes back without any kill.
    """
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    with (copy / "store.db").open("r+b") as file:  # the header: every row can still be read with another one
        file.write(b"\xff" * 64)
    undisturbed = copy.with_name("undisturbed")
    shutil.rmtree(undisturbed, ignore_errors=True)
    shutil.copytree(copy, undisturbed)
    recover = [*PVBINDER, "recover", "--data-dir"]
    kills = sum(kill_during([*recover, str(copy)], random.uniform(0.15, 0.6)) for _ in range(3))
    ends = {}
    for place in (copy, undisturbed):
        done = subprocess.run([*recover, str(place)], capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        ends[place] = _values(place)
    assert ends[copy] == ends[undisturbed], "a recovery that was killed and repeated has other objects"
    assert not (copy / "recovering").exists()
    return kills


def _values(place: Path) -> dict[str, str]:
    with running(place, BARE) as plane:
        return listed(plane)


ATTACKS = (Attack("kills", run, 6),)
