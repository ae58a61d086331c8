"""Data directories that a disk has changed: served right or refused, never served wrong.

A server is written to, stopped, started, written to, and killed. Each damage then goes into a copy of its directory: a
bit or a byte is changed, a file is cut, emptied, gone, or of another server, pages are swapped, are of an earlier time,
are zeros or noise. Opened, it must have exactly the acknowledged objects, or be refused. A refused directory is
recovered: then each object must be in one of its earlier states, the directory must open, and the report may say that
nothing is missing only if that is true.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from click.testing import CliRunner
from tests.adversary.attack import BARE, Attack, Figures
from tests.adversary.bystander import authorization
from tools.plane import RunningPlane, access, running

from pvbinder.cli.main import cli
from pvbinder.model.errors import PvbinderError
from pvbinder.server.store.database import DamagedDataError, Database, DataDirectoryError

PAGE_BYTES = 4096
MAPS = "/api/v1/namespaces/default/configmaps"
STORES_MIN = 40  # however slow the machine is
FILES = ("store.db", "store.db", "store.db-wal", "store.db-wal", "store.db-shm", "last-good.db", "ceiling")


@dataclass(slots=True)
class Written:
    """The acknowledged states of each object, and the last state of each that still exists."""

    states: dict[str, list[str]] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    acknowledged: int = 0

    def write(self, plane: RunningPlane, random: Random, count: int) -> None:
        """Create, change and delete config maps, one after the other."""
        url, context = access(plane.kubeconfig)
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=60)
        headers = {**authorization(plane), "Content-Type": "application/json"}
        try:
            for _ in range(count):
                name, value = f"m{random.randrange(60)}", "v" * random.randrange(3000) + str(random.random())
                body = json.dumps({"metadata": {"name": name}, "data": {"value": value}})
                if name not in self.last:
                    connection.request("POST", MAPS, body, headers)
                elif random.random() < 0.25:
                    connection.request("DELETE", f"{MAPS}/{name}", headers=headers)
                    value = ""
                else:
                    connection.request("PUT", f"{MAPS}/{name}", body, headers)
                answer = connection.getresponse()
                answer.read()
                assert answer.status in (200, 201), answer.status
                self.acknowledged += 1
                if value:
                    self.states.setdefault(name, []).append(value)
                    self.last[name] = value
                else:
                    del self.last[name]
        finally:
            connection.close()


@dataclass(slots=True)
class Copies:
    """The data directory at several times, and that of another server."""

    early: Path
    late: Path  # after a clean stop
    killed: Path  # after a kill: the log has the last writes
    other: Path
    at_stop: dict[str, str]
    written: Written


def make_copies(directory: Path, random: Random) -> Copies:
    """Run servers, and copy their data directories."""
    places = {name: directory / name for name in ("early", "late", "killed", "other")}
    data, written = directory / "data", Written()
    with running(data, BARE) as plane:
        written.write(plane, random, 120)
    shutil.copytree(data, places["early"])
    with running(data, BARE) as plane:
        written.write(plane, random, 60)
    shutil.copytree(data, places["late"])
    at_stop = dict(written.last)
    with running(data, BARE) as plane:
        written.write(plane, random, 60)
        plane.process.kill()
        plane.process.wait(30)
    shutil.copytree(data, places["killed"])
    with running(places["other"], BARE) as plane:
        Written().write(plane, random, 60)
        plane.process.kill()
        plane.process.wait(30)
    return Copies(**places, at_stop=at_stop, written=written)


# ------------------------------------------------------------------------------------------------ damages

Damage = Callable[[Path, Copies, Random], None]


def _flip(path: Path, _: Copies, random: Random) -> None:
    _overwrite(
        path, random.randrange(max(1, path.stat().st_size)), lambda byte: bytes([byte[0] ^ 1 << random.randrange(8)])
    )


def _cut(path: Path, _: Copies, random: Random) -> None:
    os.truncate(path, random.randrange(path.stat().st_size + 1))


def _empty(path: Path, _: Copies, __: Random) -> None:
    os.truncate(path, 0)


def _remove(path: Path, _: Copies, __: Random) -> None:
    path.unlink()


def _swap_pages(path: Path, _: Copies, random: Random) -> None:
    pages = path.stat().st_size // PAGE_BYTES
    if pages > 1:
        first, second = random.sample(range(pages), 2)
        text = path.read_bytes()
        kept = text[first * PAGE_BYTES : (first + 1) * PAGE_BYTES]
        _put(path, first, text[second * PAGE_BYTES : (second + 1) * PAGE_BYTES])
        _put(path, second, kept)


def _earlier_page(path: Path, copies: Copies, random: Random) -> None:
    _page_of(path, copies.early / path.name, random)


def _page_of_another(path: Path, copies: Copies, random: Random) -> None:
    _page_of(path, copies.other / path.name, random)


def _page_of(path: Path, source: Path, random: Random) -> None:
    if source.exists() and source.stat().st_size >= PAGE_BYTES:
        text = source.read_bytes()
        number = random.randrange(min(len(text), max(PAGE_BYTES, path.stat().st_size)) // PAGE_BYTES)
        _put(path, number, text[number * PAGE_BYTES : (number + 1) * PAGE_BYTES])


def _zeros(path: Path, _: Copies, random: Random) -> None:
    size = path.stat().st_size
    at = random.randrange(max(1, size // 512)) * 512
    _write(path, at, b"\0" * min(512 * random.choice([1, 8, 40]), max(1, size - at)))


def _noise(path: Path, _: Copies, random: Random) -> None:
    size = path.stat().st_size
    at = random.randrange(max(1, size // 512)) * 512
    _write(path, at, random.randbytes(min(512 * random.choice([1, 8]), max(1, size - at))))


def _file_of_another(path: Path, copies: Copies, _: Random) -> None:
    source = copies.other / path.name
    if source.exists():
        shutil.copyfile(source, path)


def _longer(path: Path, _: Copies, random: Random) -> None:
    with path.open("ab") as file:
        file.write(random.randbytes(random.choice([1, 100, 5000])))


DAMAGES: dict[str, Damage] = {
    "a bit": _flip,
    "cut": _cut,
    "emptied": _empty,
    "gone": _remove,
    "pages swapped": _swap_pages,
    "an earlier page": _earlier_page,
    "a page of another": _page_of_another,
    "zeros": _zeros,
    "noise": _noise,
    "the file of another": _file_of_another,
    "longer": _longer,
}


def _overwrite(path: Path, at: int, change: Callable[[bytes], bytes]) -> None:
    text = path.read_bytes()
    if text:
        _write(path, at, change(text[at : at + 1]))


def _put(path: Path, page: int, text: bytes) -> None:
    _write(path, page * PAGE_BYTES, text)


def _write(path: Path, at: int, text: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(text)


# ------------------------------------------------------------------------------------------------ verdicts


def contents(directory: Path) -> dict[str, str]:
    """Open a data directory, and return the values of its config maps; raises `DataDirectoryError`."""
    database = Database(directory)
    try:
        return {
            json.loads(stored.data)["metadata"]["name"]: json.loads(stored.data)["data"]["value"]
            for kind, key, stored in database.load()
            if kind == "configmaps" and key.startswith("default/")
        }
    finally:
        database.close()


def judge(directory: Path, expected: dict[str, str], written: Written, *, has_copy: bool) -> str:
    """Open a damaged directory and say how that ended; AssertionError if it was wrong.

    With a sound copy of the last good state (`has_copy`) it must be recoverable.
    """
    try:
        found = contents(directory)
    except DamagedDataError:
        result = _recovered(directory, expected, written)
        assert "not" not in result or not has_copy, f"there is a sound copy, and it is {result}"
        return result.partition(":")[0]
    except DataDirectoryError:
        return "refused"
    assert found == expected, f"served wrongly: {_differences(found, expected)}"
    return "served right"


def _recovered(directory: Path, expected: dict[str, str], written: Written) -> str:
    result = CliRunner().invoke(cli, ["recover", "--data-dir", str(directory)])
    if isinstance(result.exception, PvbinderError):  # which the command shows, and ends with 2
        return f"not recoverable: {result.exception}"
    assert result.exit_code in (0, 1), result.exc_info
    found = contents(directory)
    invented = [name for name, value in found.items() if value not in written.states.get(name, ())]
    assert not invented, f"recovered what never was: {invented}"
    if found != expected:
        assert "Nothing is missing" not in result.output, f"{_differences(found, expected)}\n{result.output}"
        return "recovered in part"
    return "recovered whole"


def _differences(found: dict[str, str], expected: dict[str, str]) -> str:
    missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    other = sorted(name for name in found.keys() & expected.keys() if found[name] != expected[name])
    return f"missing {missing}, deleted and back {more}, older {other}"


def run(directory: Path, seconds: float, random: Random) -> Figures:
    """Damage copies, one after the other."""
    copies = make_copies(directory, random)
    results: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until or sum(results.values()) < STORES_MIN:
        source, expected = random.choice([(copies.late, copies.at_stop), (copies.killed, copies.written.last)])
        place = directory / "damaged"
        shutil.copytree(source, place)
        damaged = []
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            name, file = random.choice(sorted(DAMAGES)), place / random.choice(FILES)
            if file.exists():
                DAMAGES[name](file, copies, random)
                damaged.append(f"{file.name}: {name}")
        try:
            has_copy = not any("last-good.db" in said for said in damaged)
            results[judge(place, expected, copies.written, has_copy=has_copy)] += 1
        except Exception as error:
            error.add_note(f"{source.name} with {', '.join(damaged)}")
            raise
        shutil.rmtree(place)
    return {"stores": sum(results.values()), "acknowledged": copies.written.acknowledged, **results}


ATTACKS = (Attack("damaged-stores", run, 5),)
