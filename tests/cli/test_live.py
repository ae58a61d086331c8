"""The live view on a terminal and elsewhere."""

from __future__ import annotations

import asyncio
import io
import re
from collections import Counter
from collections.abc import Sequence

import pytest
from rich.console import Console
from tests.cli.test_board import Clock, claim, volume

from pvbinder.cli.board import SETTLED_SECONDS, Board
from pvbinder.cli.live import Lines, TerminalBoard, _rest, view_for

GO_ON = ["Go on like this:", "  kubectl get pv"]


def go_on(board: Board) -> Sequence[str]:
    return GO_ON


def console(*, terminal: bool, width: int = 100, height: int = 40) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=height, legacy_windows=False)


def written(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def last_frame(on: Console) -> list[str]:
    """Return the lines that stand on the screen: those of the last drawing, without colours."""
    frame = re.split(r"\x1b\[\d*A", written(on))[-1]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frame).replace("\r", "").split("\n")


def settled_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def story(board: Board, view: TerminalBoard | Lines) -> None:
    view.show(board.see_volume(volume("disk-1", "Available")))
    view.show(board.see_claim(claim("orders", "Pending")))
    view.show(board.see_event("shop/orders", "Normal", "FailedBinding", "no volumes"))
    view.show(board.see_volume(volume("disk-1", "Bound", claim="orders")))
    view.show(board.see_claim(claim("orders", "Bound", bound_to="disk-1")))


async def test_live_1_tables_stay_on_a_terminal_and_follow() -> None:
    clock = Clock()
    board, on = Board(clock), console(terminal=True)
    with view_for(on, board, title="pvbinder at home", go_on=go_on, may_settle=settled_event()) as view:
        assert isinstance(view, TerminalBoard)
        view.show(board.see_volume(volume("disk-1", "Available")))
        view.show(None)
        assert any("disk-1" in line and "Available" in line for line in last_frame(on))
        assert not any(GO_ON[0] in line for line in last_frame(on))

        view.show(board.see_volume(volume("disk-1", "Bound", claim="orders")))
        clock.seconds = SETTLED_SECONDS
        view.show(None)

    frame = last_frame(on)
    assert any("pvbinder at home" in line for line in frame)
    assert any("disk-1" in line and "Bound" in line and "shop/orders" in line for line in frame)
    assert any(GO_ON[1] in line for line in frame)


async def test_live_1_nothing_is_drawn_when_nothing_differs() -> None:
    board, on = Board(Clock()), console(terminal=True)
    with view_for(on, board, title="t", go_on=go_on, may_settle=settled_event()) as view:
        view.show(None)
        drawn = written(on)
        view.show(None)

        assert written(on) == drawn


async def test_live_2_a_line_a_change_and_the_tables_once_settled() -> None:
    clock = Clock()
    board, on = Board(clock), console(terminal=False)
    may_settle = asyncio.Event()
    with view_for(on, board, title="pvbinder at home", go_on=go_on, may_settle=may_settle) as view:
        assert isinstance(view, Lines)
        story(board, view)
        clock.seconds = SETTLED_SECONDS
        view.show(None)
        assert GO_ON[0] not in written(on), "not everything was applied yet"
        may_settle.set()
        view.show(None)
        view.show(None)

    lines = [line.rstrip() for line in written(on).splitlines()]
    assert lines[:6] == [
        "pvbinder at home",
        "    0.000s  volume disk-1                 Available",
        "    0.000s  claim shop/orders             Pending",
        "    0.000s  claim shop/orders             FailedBinding: no volumes",
        "    0.000s  volume disk-1                 Bound to shop/orders",
        "    0.000s  claim shop/orders             Bound to disk-1",
    ]
    assert sum(line.startswith("  VOLUME ") for line in lines) == 1
    assert lines[-2:] == ["  Go on like this:", "    kubectl get pv"]
    assert "\x1b" not in written(on)


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
async def test_live_3_what_objects_say_stays_text(terminal: bool) -> None:
    clock = Clock()
    board, on = Board(clock), console(terminal=terminal, width=200)
    with view_for(on, board, title="t", go_on=go_on, may_settle=settled_event()) as view:
        view.show(board.see_claim(claim("orders", "Pending")))
        view.show(board.see_event("shop/orders", "Normal", "Evil", "[red]a\x1b[2Jb\nc\x07\u202e"))
        clock.seconds = SETTLED_SECONDS
        view.show(None)

    assert "[red]a\\x1b[2Jb\\nc\\x07\\u202e" in written(on)
    assert "\x1b[2J" not in written(on)


@pytest.mark.parametrize(
    ("phases", "text"), [({"Bound": 1}, "1 more claim: 1 Bound"), ({"Bound": 2}, "2 more claims: 2 Bound")]
)
def test_one_is_no_plural(phases: dict[str, int], text: str) -> None:
    assert _rest("claims", Counter(phases)).plain == f"  and {text}"


SCREENS = [(80, 24), (100, 40), (70, 20), (200, 60), (50, 24), (60, 20)]


@pytest.mark.parametrize(("width", "height"), SCREENS)
async def test_live_4_it_fits_the_screen_however_many_there_are(width: int, height: int) -> None:
    clock = Clock()
    board, on = Board(clock), console(terminal=True, width=width, height=height)
    with view_for(on, board, title="t", go_on=go_on, may_settle=settled_event()) as view:
        for number in range(300):
            view.show(board.see_volume(volume(f"disk-{number}", "Available", resourceVersion=str(number))))
            view.show(board.see_claim(claim(f"orders-{number}", "Pending", resourceVersion=str(number))))
            view.show(board.see_event(f"shop/orders-{number}", "Normal", "FailedBinding", "no " * 60))
        clock.seconds = SETTLED_SECONDS
        view.show(None)
        frame = last_frame(on)

    assert len(frame) <= height
    assert any("disk-299" in line for line in frame), "the latest to change is shown"
    assert any(re.search(r"and \d+ more volumes: \d+ Available", line) for line in frame)
    assert any(GO_ON[1] in line for line in frame), "how to go on is never cut off"


COLUMNS = {  # how wide: what the claims' table shows
    50: ["CLAIM", "STATUS", "ANSWER"],
    60: ["CLAIM", "STATUS", "VOLUME, OR WHY NOT"],
    80: ["CLAIM", "WANTS", "CLASS", "STATUS", "VOLUME, OR WHY NOT"],
    120: ["CLAIM", "WANTS", "ACCESS", "CLASS", "STATUS", "VOLUME, OR WHY NOT"],
}


@pytest.mark.parametrize(("width", "columns"), COLUMNS.items(), ids=map(str, COLUMNS))
async def test_live_5_a_narrow_screen_leaves_out_columns_and_breaks_no_words(width: int, columns: list[str]) -> None:
    clock = Clock()
    board, on = Board(clock), console(terminal=True, width=width, height=30)
    name = "orders-database"
    with view_for(on, board, title="t", go_on=go_on, may_settle=settled_event()) as view:
        view.show(board.see_volume(volume("disk-1", "Bound", claim=name)))
        view.show(board.see_claim(claim(name, "Bound", bound_to="disk-1")))
        view.show(board.see_claim(claim("large", "Pending")))
        view.show(
            board.see_event("shop/large", "Normal", "FailedBinding", "no volumes are large enough for this claim")
        )
        clock.seconds = SETTLED_SECONDS
        view.show(None)
        frame = last_frame(on)

    assert all(len(line.rstrip()) <= width for line in frame)
    (head,) = (line for line in frame if line.startswith("  CLAIM "))
    assert re.split(r" {2,}", head.strip()) == columns
    row = next(line for line in frame if "shop/large" in line)
    assert "● Pending" in row, "a status can be read whole"
    row = next(line for line in frame if "shop/orders" in line and "disk-1" in line and "●" in line)
    assert "● Bound" in row


async def test_a_remark_stands_below_its_command_where_both_are_too_long() -> None:
    clock = Clock()
    board, on = Board(clock), console(terminal=True, width=50, height=30)

    def with_remark(board: Board) -> Sequence[str]:
        return ["", "  kubectl delete pvc orders-database    # and see disk-1 become Released"]

    with view_for(on, board, title="t", go_on=with_remark, may_settle=settled_event()) as view:
        view.show(board.see_claim(claim("orders", "Pending")))
        clock.seconds = SETTLED_SECONDS
        view.show(None)
        frame = [line.rstrip() for line in last_frame(on)]

    command = frame.index("    kubectl delete pvc orders-database")
    assert frame[command + 1] == "    # and see disk-1 become Released"


async def test_live_4_who_is_in_trouble_is_shown_first() -> None:
    clock = Clock()
    board, on = Board(clock), console(terminal=True, width=80, height=24)
    with view_for(on, board, title="t", go_on=go_on, may_settle=settled_event()) as view:
        view.show(board.see_claim(claim("waits", "Pending", resourceVersion="1")))
        view.show(board.see_volume(volume("over", "Released", claim="gone", resourceVersion="2")))
        for number in range(30):
            view.show(
                board.see_claim(claim(f"orders-{number}", "Bound", bound_to="d", resourceVersion=str(number + 9)))
            )
            view.show(board.see_volume(volume(f"disk-{number}", "Bound", resourceVersion=str(number + 9))))
        clock.seconds = SETTLED_SECONDS
        view.show(None)
        frame = last_frame(on)

    claims = [line for line in frame if "shop/" in line and "●" in line]
    assert "shop/waits" in next(
        line for line in claims if "● Pending" in line or ("● Bound" in line and "shop/o" in line)
    )
    assert any("over" in line and "Released" in line for line in frame)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 20), (80, 50)])
async def test_live_6_what_is_to_be_copied_is_never_broken(width: int, height: int) -> None:
    command = f"export KUBECONFIG=/var/folders/{'z' * 60}/T/pvbinder-x1y2z3/kubeconfig"
    clock = Clock()
    board, on = Board(clock), console(terminal=True, width=width, height=height)
    may_settle = settled_event()
    with view_for(
        on, board, title="t", go_on=lambda _: ["", f"  {command}", "  kubectl get pv"], may_settle=may_settle
    ) as view:
        for number in range(30):
            view.show(board.see_claim(claim(f"orders-{number}", "Pending", resourceVersion=str(number))))
        clock.seconds = SETTLED_SECONDS
        view.show(None)
        frame = last_frame(on)

    assert written(on).count(f"{command}\n") == 1, "in one piece: the terminal wraps it"
    assert any("kubectl get pv" in line for line in frame)
    rows_above = len(command) // width + 1
    assert len([line for line in frame if line != command]) + rows_above <= height
