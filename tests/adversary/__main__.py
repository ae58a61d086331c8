"""Attack a pvbinder of its own, and print what was measured: ``python -m tests.adversary NAME --seconds 60 --seed 7``.

Without a name all attacks run, one after the other. The exit code is 1 if one of them found something.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.adversary.attack import Unavailable, shown
from tests.adversary.attacks import ATTACKS


@contextmanager
def _directory(name: str, *, keep: bool) -> Iterator[str]:
    made = tempfile.mkdtemp(prefix=f"{name}-")
    try:
        yield made
    finally:
        if not keep:
            shutil.rmtree(made, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.adversary", description="Attack a pvbinder of its own.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(ATTACKS)}; all without one")
    parser.add_argument("--seconds", type=float, help="how long each attack goes on; as in make test without it")
    parser.add_argument("--seed", type=int, help="what chance is made from; a new one without it")
    parser.add_argument("--keep", action="store_true", help="leave the directories and logs of what was found")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(ATTACKS):
        parser.error(f"no such attack: {', '.join(sorted(unknown))}; there are {', '.join(ATTACKS)}")
    found = 0
    for name in arguments.names or ATTACKS:
        attack = ATTACKS[name]
        seed = arguments.seed if arguments.seed is not None else time.time_ns() % 1_000_000
        with _directory(name, keep=arguments.keep) as directory:
            try:
                figures = attack.run(Path(directory), arguments.seconds or attack.seconds, Random(seed))
            except Unavailable as reason:
                print(shown(name, {"skipped": str(reason)}), flush=True)
            except Exception:
                found += 1
                traceback.print_exc()
                print(shown(name, {"seed": seed, "gave in": 1, "directory": directory}), flush=True)
            else:
                print(shown(name, {"seed": seed, **figures}), flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
