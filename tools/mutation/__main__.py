"""Tell how many small mistakes the tests would notice: `make mutants` (`SAMPLE=300 ROOMS="rules store" SEED=2`).

Each mistake (a mutant: `<` for `<=`, `and` for `or`, another text, a write left out) is tried with the tests that run
its line. It is *killed* when one of them fails. One that *survived*, or has *no test*, is printed: it needs a test, or
it is code that nothing needs, or nobody can tell it from the original, and docs/mutants.md says why. Those that the
page calls equivalent are not tried.

A sample is chosen by its seed from all mutants of a room, all alike, so that a run can be repeated. Without `--sample`
all are tried: that takes about two seconds of processor for each. Verdicts are kept in `mutants/ROOM-seed-N.jsonl`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
from tools.mutation.mistakes import Mistake, mistakes_of
from tools.mutation.reach import Reach
from tools.mutation.report import EQUIVALENT, equivalents, row_of, table_of
from tools.mutation.rooms import ROOMS, SOURCE, WORK
from tools.mutation.trial import import_libraries
from tools.mutation.verdicts import Judge, Verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"one of {', '.join(ROOMS)}; all without one")
    parser.add_argument("--sample", type=int, help="try that many mutants of each room; all without it")
    parser.add_argument("--seed", type=int, default=1, help="which ones: the same seed chooses the same sample")
    parser.add_argument("--survivors", action="store_true", help="only those that the last such run didn't see killed")
    parser.add_argument("--file", default="", help="only mutants whose key contains this text")
    parser.add_argument(
        "--slow", action="store_true", help="try what survives with the recorded cases, too: minutes each"
    )
    parser.add_argument("--children", type=int, default=1, help="mutants tried at the same time")
    asked = parser.parse_args()
    if wrong := set(asked.rooms) - set(ROOMS):
        parser.error(f"no such room: {', '.join(sorted(wrong))} (there are {', '.join(ROOMS)})")
    import_libraries()
    tried = {name: _try_room(name, asked) for name in asked.rooms or ROOMS}
    print(f"\n{table_of(tried)}")
    return 0


def _try_room(name: str, asked: argparse.Namespace) -> tuple[int, Counter[str]]:
    """Try the sample of a room, print what nothing noticed, and count."""
    mutants = [
        mistake
        for path in ROOMS[name].files()
        for mistake in mistakes_of(path.read_text(encoding="utf-8"), str(path.relative_to(SOURCE)))
    ]
    kept = WORK / f"{name}-seed-{asked.seed}.jsonl"
    chosen = [mistake for mistake in mutants if asked.file in mistake.key]
    if asked.sample is not None and asked.sample < len(chosen):
        chosen = random.Random(asked.seed).sample(chosen, asked.sample)
    if asked.survivors:
        again = _not_killed(kept)
        chosen = [mistake for mistake in mutants if mistake.key in again]
    same = equivalents()
    counts = Counter({EQUIVALENT: sum(mistake.key in same for mistake in chosen)})
    chosen = [mistake for mistake in chosen if mistake.key not in same]
    judge = Judge(Reach(ROOMS[name].test_files()), ROOMS[name].last if asked.slow else ())
    print(f"{name}: {len(chosen)} of {len(mutants)} mutants", flush=True)
    started = time.monotonic()
    verdicts = []
    with multiprocessing.get_context("fork").Pool(asked.children, initializer=_begin, initargs=(judge,)) as pool:
        for verdict in pool.imap_unordered(_judge, chosen):
            verdicts.append(verdict)
            counts[verdict.outcome] += 1
            if verdict.outcome in ("killed", "timeout"):
                print(".", end="", flush=True)
            else:
                _print(verdict)
    if not asked.file:
        kept.write_bytes(b"\n".join(msgspec.json.encode(verdict) for verdict in verdicts))
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    return len(mutants), counts


_judges: list[Judge] = []  # of this process: a pool hands over arguments, but not to whom they go


def _begin(judge: Judge) -> None:
    _judges.append(judge)


def _judge(mistake: Mistake) -> Verdict:
    return _judges[0].judge(mistake)


def _not_killed(kept: Path) -> set[str]:
    verdicts = [msgspec.json.decode(line, type=Verdict) for line in kept.read_bytes().splitlines()]
    return {verdict.mistake.key for verdict in verdicts if verdict.outcome not in ("killed", "timeout")}


def _print(verdict: Verdict) -> None:
    mistake = verdict.mistake
    said = f"{verdict.tests} tests" + (f", {verdict.left_out} left out" if verdict.left_out else "")
    print(f"\n{verdict.outcome} ({said}): src/pvbinder/{mistake.file}:{mistake.line} {verdict.test}")
    print(f"  {row_of(mistake.key)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
