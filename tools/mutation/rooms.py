"""The rooms that are tried, each with the tests that shall notice a mistake in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "pvbinder"
WORK = ROOT / "mutants"

# tests that bound processor time: a mistake that costs time would be noticed only on a slow machine, or only there
BOUNDS_TIME = ("watchdog", "thread_time", "process_time")


@dataclass(frozen=True, slots=True)
class Room:
    """What is mutated (patterns below `src/pvbinder`), and where the tests are that shall notice."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    last: tuple[str, ...] = ()  # slow tests, which start the command: tried with what all others let pass

    def files(self) -> list[Path]:
        """Return the files that are mutated."""
        return sorted(path for pattern in self.sources for path in SOURCE.glob(pattern))

    def test_files(self) -> list[str]:
        """Return the files of tests as pytest names them, without those that bound processor time."""
        places = [ROOT / place for place in self.tests]
        paths = [path for place in places for path in (place.rglob("test_*.py") if place.is_dir() else [place])]
        return [
            str(path.relative_to(ROOT))
            for path in sorted(set(paths))
            if not any(word in path.read_text(encoding="utf-8") for word in BOUNDS_TIME)
        ]


RECORDED_CASES = ("tests/conformance/test_apiserver.py::test_requests_are_answered_as_kubernetes_answers_them",)

ROOMS = {
    "rules": Room(
        ("rules/**/*.py",),
        ("tests/rules", "tests/vectors", "tests/controllers/workloads", "tests/controllers/test_expander.py"),
    ),
    "model": Room(("model/**/*.py",), ("tests/model", "tests/rules", "tests/vectors")),
    "store": Room(("server/store/*.py",), ("tests/server/store", "tests/server/test_model.py")),
    "rest": Room(
        ("server/api/rest/*.py",),
        ("tests/server/api/rest", "tests/server/api/test_dispatch.py"),
        RECORDED_CASES,
    ),
    "authorization": Room(
        ("server/identity/authorization/*.py",),
        ("tests/server/identity/authorization", "tests/server/api/rest/test_reviews.py"),
        RECORDED_CASES,
    ),
    "kinds": Room(
        tuple(
            f"server/kinds/built_in/{name}.py"
            for name in ("persistent_volumes", "persistent_volume_claims", "storage_classes", "pod*")
        ),
        (
            "tests/server/kinds/built_in",
            "tests/server/api/rest/test_evictions.py",
            "tests/server/api/rest/test_bindings.py",
            "tests/server/api/rest/test_reach.py",
        ),
        RECORDED_CASES,
    ),
}
