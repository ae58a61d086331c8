"""Lists, page by page."""

from __future__ import annotations

import pytest

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.pages import ENTRIES_MAX, page_of

IDS = [f"vol-{number:032x}" for number in range(ENTRIES_MAX + 2)]


def page(found: list[str], token: str = "", entries_max: int = 0) -> tuple[list[str], str]:
    entries, following = page_of(found, str, noun="volumes", token=token, entries_max=entries_max)
    return list(entries), following


def test_pages_1_a_token_stays_good() -> None:
    first, token = page(IDS[:5], entries_max=2)
    assert first == IDS[:2]
    assert page([IDS[0], *IDS[2:5]], token) == (IDS[2:5], ""), "what it names is gone"
    assert page(IDS[:7], token) == (IDS[2:7], ""), "others came"
    assert page(IDS[:2], token) == ([], "")
    assert page(IDS[:2], entries_max=2) == (IDS[:2], ""), "there is nothing after the last"


@pytest.mark.parametrize(
    "token", ["1", f"snapshots-after-{IDS[0]}", f"volumes-after-{IDS[0]}\n", "volumes-after-../x", "\0", "x" * 9999]
)
def test_pages_2_a_token_that_is_not_ours_is_aborted(token: str) -> None:
    with pytest.raises(CallFailed) as caught:
        page(IDS[:5], token)
    assert caught.value.code is Code.ABORTED


def test_pages_3_a_page_has_an_end() -> None:
    first, token = page(IDS)
    assert len(first) == ENTRIES_MAX
    assert page(IDS, token, entries_max=1 << 30) == (IDS[ENTRIES_MAX:], "")
