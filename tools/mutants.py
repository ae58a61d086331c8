"""Tell how many small mistakes the tests would notice: `make mutants` (`SAMPLE=300 ROOMS="rules store"` for some).

Mutmut makes each mistake (a mutant: `<` for `<=`, `and` for `or`, another text), and runs the tests that reach its
function. A mutant is *killed* when one of them fails. One that *survived*, or has *no test*, is printed with its
difference: it needs a test, or nobody can tell it from the original, and docs/mutants.md says why.

Each room is tried with the tests named for it in `ROOMS`, in a copy under `mutants/`, which is made anew unless
`--keep` is given. A sample is chosen by its seed, the same number from each room, so that a run can be repeated.
Tests that bound processor time are left out: reaching a mutant costs time of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / "mutants"
COPIED = (
    "tests",
    "tools",
    "docs",
    "examples",
    "bench",
    "changelog.d",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "Makefile",
)
LINE_BYTES_MAX = 120

OUTCOME_BY_EXIT = {
    0: "survived",
    1: "killed",
    3: "killed",
    5: "no test",
    33: "no test",
    34: "skipped",
    None: "not tried",
}
PYTEST_OPTIONS = ["-p", "no:cacheprovider", "-m", "not slow and not kubectl and not soak"]
BOUNDS_TIME = ("watchdog", "thread_time", "process_time")
OUTCOMES = ("killed", "timeout", "survived", "no test")

_GENERATE = """
import os
from mutmut import __main__ as mutmut
os.makedirs("mutants", exist_ok=True)
mutmut.set_mutant_under_test("mutant_generation")
mutmut.copy_src_dir()
mutmut.copy_also_copy_files()
mutmut.create_mutants(1)
"""
MUTMUT = str(Path(sys.executable).with_name("mutmut"))


@dataclass(frozen=True, slots=True)
class Room:
    """What is mutated (patterns below `src/pvbinder`), and the tests that shall notice."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "rules": Room(
        ("rules/*.py",),
        ("tests/rules", "tests/vectors", "tests/controllers/workloads", "tests/controllers/test_expander.py"),
    ),
    "model": Room(("model/*.py",), ("tests/model", "tests/rules", "tests/vectors")),
    "store": Room(("server/store/*.py",), ("tests/server/store", "tests/server/test_model.py")),
    "rest": Room(
        ("server/api/rest/*.py",), ("tests/server/api/rest", "tests/server/api/test_dispatch.py", "tests/conformance")
    ),
    "authorization": Room(
        ("server/identity/authorization/*.py",),
        ("tests/server/identity/authorization", "tests/server/api/rest/test_reviews.py"),
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
        ),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"one of {', '.join(ROOMS)}; all without one")
    parser.add_argument(
        "--sample", type=int, help="try that many mutants, the same number from each room; all without it"
    )
    parser.add_argument("--seed", type=int, default=1, help="which ones: the same seed chooses the same sample")
    parser.add_argument("--children", type=int, default=1, help="mutants tried at the same time")
    parser.add_argument("--keep", action="store_true", help="go on with the copies of the last run")
    asked = parser.parse_args()
    if wrong := set(asked.rooms) - set(ROOMS):
        parser.error(f"no such room: {', '.join(sorted(wrong))} (there are {', '.join(ROOMS)})")
    names = asked.rooms or list(ROOMS)
    share = None if asked.sample is None else max(1, asked.sample // len(names))
    tried = {name: _try_room(name, share, asked.seed, asked.children, asked.keep) for name in names}
    _print_table(tried)
    return 0


def _try_room(name: str, share: int | None, seed: int, children: int, keep: bool) -> Counter[str]:
    """Make a room's mutants, try the sample, and print those that nothing noticed."""
    place = WORK / name
    if not keep:
        shutil.rmtree(place, ignore_errors=True)
    _set_up(place, ROOMS[name])
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    with (place / "log").open("w", encoding="utf-8") as log:
        subprocess.run(
            [sys.executable, "-c", _GENERATE], cwd=place, env=environment, check=True, stdout=log, stderr=log
        )
        mutants = sorted(_exits(place))
        chosen = mutants if share is None else random.Random(seed).sample(mutants, min(share, len(mutants)))
        print(f"{name}: {len(chosen)} of {len(mutants)} mutants ({place / 'log'})", flush=True)
        run = [MUTMUT, "run", "--max-children", str(children), *([] if share is None else chosen)]
        done = subprocess.run(run, cwd=place, env=environment, stdout=log, stderr=log)
    if done.returncode:
        sys.exit(f"{name}: mutmut ended with {done.returncode}; the end of {place / 'log'} says why")
    exits = _exits(place)
    counts: Counter[str] = Counter()
    for mutant in sorted(chosen):
        outcome = OUTCOME_BY_EXIT.get(exits[mutant], "timeout")
        if outcome in ("survived", "no test") and is_noticed_from_the_start(place, ROOMS[name], mutant):
            outcome = "killed"
        counts[outcome] += 1
        if outcome in ("survived", "no test"):
            shown = subprocess.run([MUTMUT, "show", mutant], cwd=place, env=environment, capture_output=True, text=True)
            changed = [
                line for line in shown.stdout.splitlines() if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")
            ]
            print(f"\n{outcome}: {mutant}", *(line[:LINE_BYTES_MAX] for line in changed), sep="\n  ", flush=True)
    return counts


def is_noticed_from_the_start(place: Path, room: Room, mutant: str) -> bool:
    """Run the room's tests in a new process: mutmut has imported them, with the tables in them, before the mutant."""
    environment = os.environ | {"PYTHONPATH": "src", "MUTANT_UNDER_TEST": mutant, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", *PYTEST_OPTIONS, *room.tests, *_ignored(room)]
    done = subprocess.run(command, cwd=place / "mutants", env=environment, capture_output=True)
    return done.returncode != 0


def _set_up(place: Path, room: Room) -> None:
    """Lay out a project whose source and tests are ours, and whose `pyproject.toml` tells mutmut what to do."""
    place.mkdir(parents=True, exist_ok=True)
    for entry in ("src", *COPIED):
        if not (place / entry).is_symlink():
            (place / entry).symlink_to(ROOT / entry)
    options = {
        "source_paths": ["src"],
        "only_mutate": [f"src/pvbinder/{pattern}" for pattern in room.sources],
        "also_copy": list(COPIED),
        "pytest_add_cli_args": PYTEST_OPTIONS,
        "pytest_add_cli_args_test_selection": [*room.tests, *_ignored(room)],
        "timeout_multiplier": 10.0,
        "timeout_constant": 3.0,
        "use_git_change_detection": False,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8").replace('dynamic = ["version"]', 'version = "0"')
    (place / "pyproject.toml").write_text("\n".join([text, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def _ignored(room: Room) -> list[str]:
    """Leave out the files whose tests bound processor time."""
    return [
        f"--ignore={path.relative_to(ROOT)}"
        for place in room.tests
        for path in sorted((ROOT / place).rglob("test_*.py"))
        if any(word in path.read_text(encoding="utf-8") for word in BOUNDS_TIME)
    ]


def _exits(place: Path) -> dict[str, int | None]:
    """How the tests of each mutant ended, None where they weren't run."""
    exits: dict[str, int | None] = {}
    for path in (place / "mutants").rglob("*.meta"):
        exits |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return exits


def _print_table(tried: dict[str, Counter[str]]) -> None:
    """Print a table for docs/mutants.md. What ran out of time was noticed, too."""
    print("\n| room | tried | " + " | ".join(OUTCOMES) + " | noticed |")
    print("|---" * (len(OUTCOMES) + 3) + "|")
    for name, counts in [*tried.items(), ("all", sum(tried.values(), Counter()))]:
        total = sum(counts[outcome] for outcome in OUTCOMES) or 1
        noticed = counts["killed"] + counts["timeout"]
        figures = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
        print(f"| {name} | {total} | {figures} | {100 * noticed / total:.1f} % |")


if __name__ == "__main__":
    sys.exit(main())
