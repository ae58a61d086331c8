"""Our sorted keys beside the library's (`sortedcontainers.SortedList`): the four operations of the volume index.

Decides whether `rules.sorted_keys` is worth keeping: docs/decisions/sorted-keys.md.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeAlias

from bench.figure import report
from sortedcontainers import SortedList

from pvbinder.rules.sorted_keys import Key, SortedKeys

SIZES = (1_000, 100_000, 1_000_000)
OPERATIONS = 20_000
PASSES = 5  # the best one counts: the others had neighbours

FirstAtLeast: TypeAlias = Callable[[Any, int], Iterator[Key]]


def first_of_ours(keys: SortedKeys, number: int) -> Iterator[Key]:
    """Return the keys from `number` on, as the index asks for them."""
    return keys.at_least(number)


def first_of_library(keys: Any, number: int) -> Iterator[Key]:
    """Return the same from the library."""
    return keys.irange(minimum=(number, ""))  # type: ignore[no-any-return]


def seconds(keys: Any, sought: list[Key], first: FirstAtLeast) -> dict[str, float]:
    """Return what the operations take on `keys`; it is left as it was."""
    took = {}
    started = time.perf_counter()
    for number, _ in sought:
        for _key in islice(first(keys, number), 1):
            pass
    took["find"] = time.perf_counter() - started
    started = time.perf_counter()
    for key in sought:
        keys.remove(key)
    took["remove"] = time.perf_counter() - started
    started = time.perf_counter()
    for key in sought:
        keys.add(key)
    took["add"] = time.perf_counter() - started
    return took


def main() -> None:
    """Print, per size and operation, how many times the library's time ours takes."""
    gc.disable()
    chance = random.Random(1)
    for size in SIZES:
        every = [(chance.randrange(1, 1000) << 30, f"disk-{number:07d}") for number in range(size)]
        sought = chance.sample(every, min(OPERATIONS, size // 2))
        best: dict[str, dict[str, float]] = {"ours": {}, "library": {}}
        for name, keys, first in (
            ("ours", SortedKeys(every), first_of_ours),
            ("library", SortedList(every), first_of_library),
        ):
            for _ in range(PASSES):
                for operation, took in seconds(keys, sought, first).items():
                    best[name][operation] = min(best[name].get(operation, took), took)
        for operation, ours in best["ours"].items():
            report(
                f"sorted keys, {operation} among {size}: ours against the library's",
                ours / best["library"][operation],
                "times",
                budget=1.25,
                better="lower",
                n=len(sought),
                ours_us=round(ours / len(sought) * 1e6, 2),
                library_us=round(best["library"][operation] / len(sought) * 1e6, 2),
            )


if __name__ == "__main__":
    main()
