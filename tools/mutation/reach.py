"""Which test runs which line, recorded file by file of the tests with coverage.py, and kept under `mutants/reach`.

A recording is made anew when its file of tests, or a file of the package that its tests reach, is another.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct
from tools.mutation.rooms import ROOT, SOURCE, WORK
from tools.mutation.trial import OPTIONS, Reports, in_child

RECORDING_SECONDS_MAX = 900
SLOW_BUT_ALONE = "tests/server/store/"  # what is slow there waits for the disk, and starts no command


class Recording(Struct):
    """What the tests of one file reach. A test that didn't pass is not in it."""

    digest: str  # of the file of tests, and which of them are recorded
    sources: dict[str, str]  # the digest of each file that they reach
    seconds: dict[str, float]  # how long each test took
    lines: dict[str, dict[str, list[int]]]  # by test, then by file of the package
    at_import: dict[str, list[int]]  # lines that run when the file of tests is imported, which makes its tables


class Reach:
    """The recordings of a room's tests."""

    def __init__(self, test_files: Iterable[str]) -> None:
        self.recordings = {name: _recording(name) for name in test_files}
        self.seconds = {test: each for item in self.recordings.values() for test, each in item.seconds.items()}
        self._by_line: dict[tuple[str, bool], dict[int, list[str]]] = {}

    def tests_of(self, file: str, *, in_tables: bool = True) -> dict[int, list[str]]:
        """Return the tests that run each line of a file of the package, `in_tables` of theirs, too."""
        if (file, in_tables) not in self._by_line:
            found: dict[int, list[str]] = defaultdict(list)
            for recording in self.recordings.values():
                tables = set(recording.at_import.get(file, ())) if in_tables else set()
                for test, files in recording.lines.items():
                    for line in tables.union(files.get(file, ())):
                        found[line].append(test)
            self._by_line[file, in_tables] = dict(found)
        return self._by_line[file, in_tables]

    def files(self) -> set[str]:
        """Return the files of the package that any test reaches."""
        return {file for recording in self.recordings.values() for file in recording.sources}


def _recording(test_file: str) -> Recording:
    kept = WORK / "reach" / f"{test_file.replace('/', '+')}.json"
    if kept.exists():
        recording = msgspec.json.decode(kept.read_bytes(), type=Recording)
        if recording.digest == _digest(ROOT / test_file) + _marks(test_file) and all(
            _digest(SOURCE / file) == digest for file, digest in recording.sources.items()
        ):
            return recording
    print(f"recording {test_file}", flush=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    answer, log = in_child(lambda: _record(test_file), RECORDING_SECONDS_MAX)
    if answer is None:
        print(f"{test_file} was not recorded, and its tests notice nothing:\n{log}", flush=True)
        return Recording("", {}, {}, {}, {})
    kept.write_bytes(answer)
    return msgspec.json.decode(answer, type=Recording)


def _record(test_file: str) -> bytes:
    from coverage import Coverage  # only `make mutants` installs it

    coverage = Coverage(data_file=None, config_file=False, source=[str(SOURCE)], messages=False)
    reports = Reports()
    coverage.start()
    pytest.main([*OPTIONS, "-m", _marks(test_file), test_file], plugins=[reports, _Contexts(coverage)])
    coverage.stop()
    data = coverage.get_data()
    lines: dict[str, dict[str, list[int]]] = {test: {} for test in reports.seconds}
    at_import: dict[str, list[int]] = {}
    for path in data.measured_files():
        file = str(Path(path).relative_to(SOURCE))
        for line, tests in data.contexts_by_lineno(path).items():
            for test in tests:
                if test in lines:
                    lines[test].setdefault(file, []).append(line)
                elif not test:
                    at_import.setdefault(file, []).append(line)
    files = {file for each in (*lines.values(), at_import) for file in each}
    sources = {file: _digest(SOURCE / file) for file in sorted(files)}
    return msgspec.json.encode(
        Recording(_digest(ROOT / test_file) + _marks(test_file), sources, reports.seconds, lines, at_import)
    )


def _marks(test_file: str) -> str:
    return "not kubectl and not soak" + ("" if test_file.startswith(SLOW_BUT_ALONE) else " and not slow")


class _Contexts:
    """Pytest's plugin that tells coverage.py which test is running."""

    def __init__(self, coverage: object) -> None:
        self._coverage = coverage

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._coverage.switch_context(nodeid)  # type: ignore[attr-defined]  # its types aren't installed for checks


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
