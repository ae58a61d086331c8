"""False answers in the API server's place never cause an irreversible act that the true state doesn't justify.

Each tale of `tests.adversary.tales` is told with each fault of `tests.adversary.answers`: given to one request after
another, and to all requests about a resource for a while. The judge stands before the server; in the end everything is
as without the fault. In ``make test`` a part of the requests has its turn, the same each time; in ``make soak`` each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adversary.answers import FAULTS, LOST, During, FalseLine, Once, When
from tests.adversary.tales import TALES
from tests.adversary.world import End, tell
from tests.virtual_time import VirtualTimeLoop

ALL_FAULTS = (*FAULTS, LOST)
SEEMS_TRUE = ("empty list", "half of the list")  # right kind, right revision: only another witness can tell
TURNS = 5  # of a tale's requests, in make test

# Faults that give the same lie to the cache and to the question, all the time: not detectable (`docs/irreversible.md`).
SAME_LIE = {
    ("an attributes class is let go", During("persistentvolumeclaims", from_start=True)),
    ("a claim is let go", During("pods", from_start=True)),
    ("dependents are orphaned", During("configmaps", from_start=True)),
    ("an owner goes last", During("configmaps", from_start=True)),
    ("a namespace is emptied", During("configmaps", from_start=True)),
    ("a namespace is emptied", During("configmaps", from_start=False)),  # nobody keeps a cache of them there
    ("a namespace is emptied, with the garbage collector beside", During("configmaps", from_start=True)),
}

_undisturbed: dict[str, End] = {}


def told(name: str, root: Path, fault: str = "", when: When | None = None) -> tuple[End, FalseLine]:
    """Tell a tale on a loop of its own."""
    expected = undisturbed(name, root).state if when is not None else None
    false = FalseLine(fault, when)
    storage = root / str(len(list(root.iterdir())))
    storage.mkdir()
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(tell(TALES[name], false, storage, expected)), false


def undisturbed(name: str, root: Path) -> End:
    """The end of a tale without any fault, told once for all tests."""
    if name not in _undisturbed:
        _undisturbed[name] = told(name, root)[0]
    return _undisturbed[name]


def turns(name: str, fault: str, requests: int, *, every: bool) -> Iterator[When]:
    """When the fault is given: in each tale and for each fault other requests have their turn."""
    step = 1 if every else max(1, round(requests / TURNS))
    first = ALL_FAULTS.index(fault) % step
    yield from (Once(number) for number in range(first, requests, step))
    for resource in TALES[name].resources:
        yield During(resource, from_start=True)
        yield During(resource, from_start=False)


def is_beyond(name: str, fault: str, when: When) -> bool:
    """Whether the fault can't be detected: it falsifies the only witness that the controller can ask."""
    return fault in SEEMS_TRUE and (name, when) in SAME_LIE


def problems(name: str, fault: str, root: Path, *, every: bool) -> list[str]:
    """The problems of a tale with a fault, given to each request in turn."""
    expected = undisturbed(name, root)
    found = []
    for when in turns(name, fault, expected.requests, every=every):
        end, false = told(name, root, fault, when)
        if is_beyond(name, fault, when):
            continue
        met = " ".join(f"{one.method} {one.path}" for one in false.given[:1])
        found += [f"{when} ({met}): {crime}" for crime in dict.fromkeys(end.crimes)]
        if end.state != expected.state and fault not in SEEMS_TRUE:
            keys = {*end.state, *expected.state}
            differing = sorted(key for key in keys if end.state.get(key) != expected.state.get(key))
            found.append(f"{when} ({met}): {end.problem or 'it ended otherwise'}: {', '.join(differing)}")
    return found


@pytest.mark.parametrize("name", TALES)
def test_an_undisturbed_tale_has_no_crimes(name: str, tmp_path: Path) -> None:
    end = undisturbed(name, tmp_path)

    assert not end.crimes
    assert not end.problem


@pytest.mark.slow
@pytest.mark.parametrize("fault", ALL_FAULTS)
@pytest.mark.parametrize("name", TALES)
def test_nothing_irreversible_happens_on_a_false_answer(name: str, fault: str, tmp_path: Path) -> None:
    assert not problems(name, fault, tmp_path, every=False)


@pytest.mark.soak
@pytest.mark.parametrize("fault", ALL_FAULTS)
@pytest.mark.parametrize("name", TALES)
def test_nothing_irreversible_happens_whichever_request_is_answered_falsely(
    name: str, fault: str, tmp_path: Path
) -> None:
    assert not problems(name, fault, tmp_path, every=True)
