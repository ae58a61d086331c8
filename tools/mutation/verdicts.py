"""What becomes of a mutant: which tests are to notice it, and whether one did.

VERDICT-1  The tests that run the line are tried, the nearest first: those of the file that is named for the module,
           then the quickest. What is run at import is tried with all tests that reach what it is for, then with all.
VERDICT-2  A test counts as noticing only if it passes by itself, in the same way, without the mistake; otherwise the
           mutant is *not judged*.
VERDICT-3  A test that ran into its time limit must do so twice.

Tests beyond `SECONDS_MAX` (as long as they took when they were recorded) are left out, which counts against us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct
from tools.mutation.mistakes import Mistake
from tools.mutation.reach import Reach
from tools.mutation.rooms import SOURCE
from tools.mutation.trial import Ran, run_tests

SECONDS_MAX = 45.0
FIRST_SECONDS_MAX = 4.0
FIRST_TESTS_MAX = 60
NOT_FOUND = 4  # pytest's exit code for a test that isn't there, and for an unknown option
NONE_COLLECTED = 5
SLOW_SECONDS = 100.0
SLOW_WORDS = ("Timeout (>", "DeadlineExceeded")


class Verdict(Struct, frozen=True):
    """How it went with one mutant."""

    outcome: str  # one of OUTCOMES
    mistake: Mistake
    test: str  # which noticed it first
    tests: int  # how many were to notice it
    left_out: int


OUTCOMES = ("killed", "timeout", "survived", "no test", "not judged")


@dataclass(slots=True)
class Judge:
    """Tries mutants, and remembers which tests pass without a mistake."""

    reach: Reach
    last: tuple[str, ...]  # slow tests
    _passes: dict[str, bool] = field(default_factory=dict)

    def judge(self, mistake: Mistake) -> Verdict:
        """Try a mutant."""
        ranked = self._ranked(mistake)
        nothing = "survived" if ranked else "no test"
        first, later, left_out = self._parts(ranked)
        outcome, test = nothing, ""
        for tests in (first, later, list(self.last)):
            if tests and outcome in ("survived", "no test"):
                outcome, test = self._try(tests, mistake)
                outcome = nothing if outcome == "survived" else outcome
        return Verdict(outcome, mistake, test, len(ranked), left_out)

    def _try(self, tests: list[str], mistake: Mistake) -> tuple[str, str]:
        ran = self._run(tests, mistake)
        if ran.exit_code in (NOT_FOUND, NONE_COLLECTED):  # the names of a table's rows come from the code
            ran = self._run(sorted({test.split("::")[0] for test in tests}), mistake)
        if ran.exit_code in (0, NONE_COLLECTED):
            return "survived", ""
        if ran.exit_code is None:
            again = self._run(tests, mistake)
            return ("timeout", "") if again.exit_code is None else ("not judged", "")
        if ran.failed is None:  # it can't be imported or collected, which works without the mistake
            return "killed", "the import"
        if any(word in ran.log for word in SLOW_WORDS) and self._run([ran.failed], mistake).exit_code == 0:
            return "not judged", ran.failed
        return ("killed" if self._passes_alone(ran.failed) else "not judged"), ran.failed

    def _run(self, tests: list[str], mistake: Mistake | None) -> Ran:
        return run_tests(tests, mistake, 60 + 8 * sum(self.reach.seconds.get(test, SLOW_SECONDS) for test in tests))

    def _passes_alone(self, test: str) -> bool:
        if test not in self._passes:
            self._passes[test] = self._run([test], None).exit_code == 0
        return self._passes[test]

    def _ranked(self, mistake: Mistake) -> list[str]:
        """Return the tests that can notice the mistake, the likeliest first (VERDICT-1)."""
        by_line = self.reach.tests_of(mistake.file)
        if mistake.is_at_import:  # and so run by every test: those that use it come first
            near = self._using(mistake)
            every: Iterable[str] = self.reach.seconds
        else:
            near = set(by_line.get(mistake.line, ()) or by_line.get(mistake.statement_line, ()))
            every = near
        name = Path(mistake.file).stem

        def rank(test: str) -> tuple[bool, bool, float, str]:
            return (test not in near, name not in Path(test.split("::")[0]).stem, self.reach.seconds[test], test)

        return sorted(near.union(every), key=rank)

    def _using(self, mistake: Mistake) -> set[str]:
        """Return the tests that run a line with a name that the mistake's statement gives."""
        words = set(mistake.names) | set(mistake.place.split(".")[-1:])
        named = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in sorted(words) if word) or "(?!)")
        found: set[str] = set()
        for file in self.reach.files() | {mistake.file}:
            by_line = self.reach.tests_of(file, in_tables=False)
            for number, line in enumerate((SOURCE / file).read_text(encoding="utf-8").splitlines(), 1):
                if number in by_line and named.search(line):
                    found.update(by_line[number])
        return found

    def _parts(self, ranked: list[str]) -> tuple[list[str], list[str], int]:
        """Return the tests that are run at first, those that are run if they pass, and how many are left out."""
        first: list[str] = []
        later: list[str] = []
        seconds = 0.0
        for test in ranked:
            seconds += self.reach.seconds[test]
            if not first or (seconds <= FIRST_SECONDS_MAX and len(first) < FIRST_TESTS_MAX):
                first.append(test)
            elif seconds <= SECONDS_MAX:
                later.append(test)
        return first, later, len(ranked) - len(first) - len(later)
