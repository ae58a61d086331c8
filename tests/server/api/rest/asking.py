"""What a server asks of its policies and of the threads for heavy work, recorded; and writes that come in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.server.api.admission.policing import Json, about, bind, policy
from tests.server.serving import Serving

from pvbinder.server.store.store import with_revision

LONG = "lists.range(3000).all(n, n >= 0)"  # more than a turn of the loop has time for
ANYTHING = about("*/*", group="*", verbs=("*",))


async def bind_long(server: Serving, rule: str = "true", rules: list[Json] = ANYTHING) -> None:
    """Bind a policy that takes long and then says `rule`."""
    await bind(server, policy({"expression": f"{LONG} && ({rule})", "message": "no"}, rules=rules))


def watch_aside(server: Serving, before: Callable[[int], None] = lambda _: None) -> list[tuple[str, bool, int]]:
    """Record for whom work is done aside, whether it is heavy, and its size; `before` is called with its number."""
    run = server.api.aside.run
    asked: list[tuple[str, bool, int]] = []

    async def recorded(user: str, work: Callable[[], Any], *, heavy: bool, size: int = 0) -> Any:
        if heavy:
            asked.append((user, heavy, size))
            before(len(asked))
        return await run(user, work, heavy=heavy, size=size)

    server.api.aside.run = recorded  # type: ignore[method-assign]
    return asked


def write_again(server: Serving, kind: str, key: str) -> None:
    """Write an object as it is: it has another revision then."""
    stored = server.store.head(kind, key)
    assert stored is not None
    server.store.put(kind, key, lambda revision: with_revision(stored, revision))


def in_turns(stream: AsyncIterator[bytes]) -> list[list[bytes]]:
    """The chunks of a stream, by the turns of the loop in which they are made."""
    turns: list[list[bytes]] = [[]]
    while True:
        step: Any = anext(stream)
        step = step.__await__() if hasattr(step, "__await__") else step
        try:
            while True:
                next(step)
                turns.append([])
        except StopIteration as given:
            turns[-1].append(given.value)
        except StopAsyncIteration:
            return turns
