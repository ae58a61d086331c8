"""How long choosing a volume for a claim takes among 1 000, 100 000 and 1 000 000 free ones: it must hardly grow."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator

import msgspec
from bench.figure import report

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, Volume, parse_claim, parse_volume
from pvbinder.model.quantity import Quantity
from pvbinder.rules.volume_index import VolumeIndex

SIZES = (1_000, 100_000, 1_000_000)
CHOICES = 2_000
PASSES = 5  # the best one counts: the others had neighbours
GIB = 2**30


def volumes(count: int) -> Iterator[Volume]:
    """Make `count` free volumes of one class, of sizes from 1 to 1000 GiB, in no order."""
    document: Json = {
        "metadata": {"name": "disk", "resourceVersion": "1"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "hostPath": {"path": "/data"}},
        "status": {"phase": "Available"},
    }
    template = parse_volume(encode(document))
    chance = random.Random(1)
    for number in range(count):
        capacity = Quantity(chance.randrange(1, 1000) * GIB * 10**9, "BinarySI")
        yield msgspec.structs.replace(template, name=f"disk-{number:07d}", uid=str(number), capacity=capacity)


def claims(count: int) -> list[Claim]:
    """Make `count` claims of that class."""
    chance = random.Random(2)
    return [
        parse_claim(
            encode(
                {
                    "metadata": {"name": f"claim-{number}", "namespace": "shop", "uid": str(number)},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": "fast",
                        "resources": {"requests": {"storage": f"{chance.randrange(1, 990)}Gi"}},
                    },
                }
            )
        )
        for number in range(count)
    ]


def microseconds_per_choice(index: VolumeIndex) -> tuple[float, float]:
    """Return how long a choice takes, and a choice with what follows it: the volume is taken, and comes back."""
    wanting = claims(CHOICES)
    started = time.perf_counter()
    chosen = [index.choose(claim) for claim in wanting]
    choosing = time.perf_counter() - started
    assert all(volume is not None for volume in chosen)
    started = time.perf_counter()
    for claim in wanting:
        volume = index.choose(claim)
        assert volume is not None
        index.remove(volume.name)
        index.add(volume)
    cycling = time.perf_counter() - started
    return choosing / CHOICES * 1e6, cycling / CHOICES * 1e6


def main() -> None:
    """Print the figures."""
    found: dict[int, tuple[float, float]] = {}
    gc.disable()
    for size in SIZES:
        started = time.perf_counter()
        index = VolumeIndex(volumes(size))
        building = time.perf_counter() - started
        passes = [microseconds_per_choice(index) for _ in range(PASSES)]
        found[size] = (min(each[0] for each in passes), min(each[1] for each in passes))
        del index
        print_size(size, *found[size], building)
    first, last = found[SIZES[0]], found[SIZES[-1]]
    report(
        "choosing a volume: 1 000 000 against 1 000",
        last[0] / first[0],
        "times",
        budget=3,
        better="lower",
        n=CHOICES,
        with_update=round(last[1] / first[1], 2),
    )


def print_size(size: int, choosing: float, cycling: float, building: float) -> None:
    """Print the figure of one size."""
    report(
        f"choosing a volume among {size}",
        choosing,
        "µs",
        budget=50,
        better="lower",
        n=CHOICES,
        with_update=round(cycling, 2),
        seconds_to_build=round(building, 2),
    )


if __name__ == "__main__":
    main()
