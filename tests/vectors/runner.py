"""Runs all suites of cases in a directory."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

from tests.virtual_time import VirtualTimeLoop

Case: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[[Case], Awaitable[list[str]]]

REQUIRED = ("suite", "id", "call")


class BadVectorsError(Exception):
    """A directory or file that holds no vectors."""


@dataclass
class SuiteReport:
    """What came of one suite."""

    name: str
    passed: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict)  # id of the case -> what is wrong
    unknown: bool = False

    @property
    def total(self) -> int:
        return self.passed + len(self.failures)


def load(directory: Path) -> Iterator[tuple[str, list[Case]]]:
    """Yield every suite in `directory` with its cases, by name."""
    if not directory.is_dir():
        raise BadVectorsError(f"{directory} is no directory")
    files = sorted(directory.glob("*.json"))
    if not files:
        raise BadVectorsError(f"{directory} holds no suite (*.json)")
    for file in files:
        try:
            cases = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadVectorsError(f"{file} can't be read: {error}") from error
        if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
            raise BadVectorsError(f"{file} is no list of cases")
        for place, case in enumerate(cases):
            missing = [name for name in REQUIRED if name not in case]
            if missing:
                raise BadVectorsError(f"{file}: case {place} has no {', '.join(missing)}")
        yield file.stem, cases


def find_suite(name: str) -> Run | None:
    """Return what runs the cases of the suite `name`, or None if nothing here knows it."""
    module_name = f"tests.vectors.suites.{name.replace('-', '_')}"
    if importlib.util.find_spec(module_name) is None:
        return None
    return cast(Run, importlib.import_module(module_name).run)


def run_case(run: Run, case: Case) -> list[str]:
    """Run one case on a loop of its own, on virtual time; a crash is a failure like any other."""
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(_as_coroutine(run, case))
    except Exception as error:  # after any error, the other cases go on
        return [f"{type(error).__name__}: {error}"]


async def _as_coroutine(run: Run, case: Case) -> list[str]:
    return await run(case)


def run_suite(name: str, cases: list[Case]) -> SuiteReport:
    """Run all cases of a suite."""
    report = SuiteReport(name)
    run = find_suite(name)
    if run is None:
        report.unknown = True
        report.failures = {case["id"]: ["nothing here runs this suite"] for case in cases}
        return report
    for case in cases:
        problems = run_case(run, case)
        if problems:
            report.failures[case["id"]] = problems
        else:
            report.passed += 1
    return report


def run_directory(directory: Path, tell: Callable[[str], None]) -> bool:
    """Run everything in `directory`, tell about it line by line, and return whether all of it passed."""
    passed = failed = 0
    for name, cases in load(directory):
        report = run_suite(name, cases)
        passed += report.passed
        failed += len(report.failures)
        if report.unknown:
            tell(f"{name}: unknown suite, {len(cases)} cases not run")
            continue
        tell(f"{name}: {report.passed}/{report.total}")
        for case_id, problems in report.failures.items():
            tell(f"  FAILED {case_id}")
            for problem in problems:
                tell(f"    {problem}")
    tell(f"{passed} passed, {failed} failed")
    return failed == 0
