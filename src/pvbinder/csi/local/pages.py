"""Lists, page by page.

PAGES-1  A token stays good when what it names is gone, and what came later is in the pages to come if it sorts there:
         entries are sorted by id, and a token says after which one to go on.
PAGES-2  A token that isn't ours, or is of another list, is Aborted.
PAGES-3  A page has at most `ENTRIES_MAX` entries, so that an answer stays below what gRPC takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from pvbinder.csi.errors import CallFailed, Code

T = TypeVar("T")

ENTRIES_MAX: Final = 4000
_TOKEN: Final = re.compile(r"([a-z]+)-after-((?:vol|snap)-[0-9a-f]{32})")


def page_of(
    found: Sequence[T], identity: Callable[[T], str], *, noun: str, token: str, entries_max: int
) -> tuple[Sequence[T], str]:
    """Return the page of `found` (sorted by id) that `token` asks for, and the token of the next one, if any."""
    if token:
        parts = _TOKEN.fullmatch(token)
        if parts is None or parts[1] != noun:
            raise CallFailed(Code.ABORTED, "starting_token is none that this list gave: begin again without one")
        found = [one for one in found if identity(one) > parts[2]]
    size = min(entries_max or ENTRIES_MAX, ENTRIES_MAX)
    page = found[:size]
    return page, f"{noun}-after-{identity(page[-1])}" if len(found) > size else ""
