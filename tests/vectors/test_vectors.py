"""The unit vectors, each a test; and the runner itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.vectors.binder_cases import compare_with_reference
from tests.vectors.runner import BadVectorsError, Case, find_suite, load, run_case, run_directory, run_suite
from tests.virtual_time import VirtualTimeLoop

DATA = Path(__file__).parent / "data"
CASES = {f"{name}/{case['id']}": case for name, cases in load(DATA) for case in cases}
WITH_REFERENCE = {name: case for name, case in CASES.items() if case.get("reference") and case.get("mode") == "sync"}

LATER: dict[str, str] = {}  # suites that nothing runs yet, and why
PRESENT = {name: case for name, case in CASES.items() if case["suite"] not in LATER}


def test_a_suite_is_listed_for_later_only_while_nothing_runs_it() -> None:
    assert [suite for suite in LATER if find_suite(suite) is not None] == []


@pytest.mark.parametrize("case", PRESENT.values(), ids=PRESENT.keys())
def test_vector(case: Case) -> None:
    run = find_suite(case["suite"])
    assert run is not None, f"nothing runs the suite {case['suite']}"
    assert run_case(run, case) == []


@pytest.mark.parametrize("name", WITH_REFERENCE.keys())
def test_events_requests_and_plugin_calls_are_those_of_the_reference(name: str) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        problems = runner.run(compare_with_reference(WITH_REFERENCE[name]))
    assert problems == []


def test_an_unknown_suite_is_said_so_and_counts_as_failed() -> None:
    report = run_suite("no-such-suite", [{"suite": "no-such-suite", "id": "1", "call": "x"}])
    assert report.unknown
    assert report.failures == {"1": ["nothing here runs this suite"]}


def test_a_directory_is_run_whatever_suites_it_holds(tmp_path: Path) -> None:
    (tmp_path / "volume-mode.json").write_text(json.dumps([CASES["volume-mode/" + _first_id("volume-mode")]]))
    (tmp_path / "new-one.json").write_text(json.dumps([{"suite": "new-one", "id": "a", "call": "b"}]))
    lines: list[str] = []

    assert not run_directory(tmp_path, lines.append)
    assert lines == ["new-one: unknown suite, 1 cases not run", "volume-mode: 1/1", "1 passed, 1 failed"]


def test_a_wrong_expectation_fails(tmp_path: Path) -> None:
    case = CASES["binder/1-1"] | {"expected": CASES["binder/1-2"]["expected"]}
    (tmp_path / "binder.json").write_text(json.dumps([case]))
    lines: list[str] = []

    assert not run_directory(tmp_path, lines.append)
    assert lines[-1] == "0 passed, 1 failed"


@pytest.mark.parametrize("text", ["{}", "[1]", "[", '[{"id": "1"}]'], ids=["object", "numbers", "broken", "no call"])
def test_a_file_that_holds_no_cases_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(BadVectorsError):
        list(load(tmp_path))


def _first_id(suite: str) -> str:
    return next(str(case["id"]) for case in CASES.values() if case["suite"] == suite)
