"""The live view of ``pvbinder up --watch``: volumes and claims as they change, and how to go on once they settle.

LIVE-1  On a terminal: tables that stay on the screen and follow every change until the end.
LIVE-2  Elsewhere (a pipe, CI): one line a change, and the tables once each time that things have settled.
LIVE-3  Nothing that an object or event contains can move the cursor, colour the text or begin a new line.
LIVE-4  However many objects there are, the view fits a screen of 20 lines or more: those in trouble are shown first,
        then the latest to change, the rest is counted, and how to go on is never cut off.
LIVE-5  On a narrow screen whole columns are left out, those that tell least first, so that names, statuses and answers
        can be read.
LIVE-6  A line that is to be copied and is wider than the screen is never broken: it stands above the view, where the
        terminal wraps it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import msgspec
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pvbinder.cli.board import Board, StoryLine, claim_story, volume_story
from pvbinder.kube.client import Client, Kind
from pvbinder.kube.informer import Added, Deleted, Informer, Updated
from pvbinder.kube.informer import Change as Seen
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.model.access_modes import short_modes
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import Claim, IdentityMeta, Volume
from pvbinder.model.printable import printable
from pvbinder.model.resource_versions import revision_number
from pvbinder.model.resources import EVENTS

TICK_SECONDS = 0.1  # between two updates of the screen
CHANGES_SHOWN_MAX = 8
FOLDED_LINES_MIN = 32  # lines
ANSWER_COLUMNS_MIN = 24  # so much room the last column has before others are left out
NARROW_COLUMNS = 80  # columns; below, changes are shown without their times
PLAIN_ROWS = 40
PLAIN_COLUMNS = 110

STYLES = {
    "Bound": "green",
    "Available": "cyan",
    "Pending": "yellow",
    "Released": "magenta",
    "Terminating": "yellow",
    "Lost": "bold red",
    "Failed": "bold red",
    "Warning": "yellow",
    "gone": "dim",
}
DOT = "● "
VOLUME_COLUMNS = ("VOLUME", "CAPACITY", "ACCESS", "CLASS", "STATUS", "CLAIM")
CLAIM_COLUMNS = ("CLAIM", "WANTS", "ACCESS", "CLASS", "STATUS", "VOLUME, OR WHY NOT")
SHORT_TITLE = "ANSWER"  # of the last column where there is no room for its own
STATUS_COLUMN = 4
LEFT_OUT = (2, 3, 1)  # on a narrow screen, in this order
GAP_COLUMNS = 3  # between columns
REMARK = "    # "
INDENT_COLUMNS = 4  # of a line that says how to go on, at most
T = TypeVar("T", Volume, Claim)


GoOn: TypeAlias = Callable[[Board], Sequence[str]]  # the lines that say how to go on, once things have settled


class BoardView(Protocol):
    """Where the board is shown."""

    def show(self, change: StoryLine | None) -> None:
        """Show the board after `change`, or because it has settled or time has passed."""


class _Involved(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class _EventObject(msgspec.Struct, frozen=True, rename="camel"):
    metadata: IdentityMeta = IdentityMeta()
    involved_object: _Involved = _Involved()
    type: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ClaimEvent:
    """An event about a claim."""

    raw: bytes
    name: str
    namespace: str
    uid: str
    resource_version: str
    claim_key: str
    type: str
    reason: str
    message: str

    @property
    def key(self) -> str:
        """Its namespace and name."""
        return f"{self.namespace}/{self.name}"


_events = msgspec.json.Decoder(_EventObject)


def parse_claim_event(data: bytes) -> ClaimEvent:
    """Return the event in `data`."""
    try:
        found = _events.decode(data)
    except msgspec.MsgspecError as error:
        raise PvbinderError(f"an event can't be read: {error}") from error
    meta, involved = found.metadata, found.involved_object
    claim_key = f"{involved.namespace}/{involved.name}"
    return ClaimEvent(
        raw=data,
        name=meta.name or "",
        namespace=meta.namespace or "",
        uid=meta.uid or "",
        resource_version=meta.resource_version or "",
        claim_key=claim_key,
        type=found.type,
        reason=found.reason,
        message=found.message,
    )


CLAIM_EVENT = Kind(EVENTS, parse_claim_event)


async def watch_live(client: Client, board: Board, view: BoardView) -> None:
    """Follow the volumes and claims of `client`'s server on `board`, and show it on `view`, until cancelled."""
    volumes = Informer(client, VOLUMES)
    claims = Informer(client, CLAIMS)
    events = Informer(client, CLAIM_EVENT, field_selector="involvedObject.kind=PersistentVolumeClaim")

    def on_volume(seen: Seen[Volume]) -> None:
        match seen:
            case Added(volume) | Updated(_, volume):
                _show(view, board.see_volume(volume))
            case Deleted(volume):
                _show(view, board.lose_volume(volume.name))

    def on_claim(seen: Seen[Claim]) -> None:
        match seen:
            case Added(claim) | Updated(_, claim):
                _show(view, board.see_claim(claim))
            case Deleted(claim):
                _show(view, board.lose_claim(claim.key))

    def on_event(seen: Seen[ClaimEvent]) -> None:
        match seen:
            case Added(event) | Updated(_, event):
                _show(view, board.see_event(event.claim_key, event.type, event.reason, event.message))
            case Deleted():
                pass  # events grow old; their message stays true

    volumes.add_handler(on_volume)
    claims.add_handler(on_claim)
    events.add_handler(on_event)
    async with asyncio.TaskGroup() as group:
        group.create_task(volumes.run(), name="live volumes")
        group.create_task(claims.run(), name="live claims")
        group.create_task(events.run(), name="live events")
        while True:
            await asyncio.sleep(TICK_SECONDS)
            view.show(None)


def _show(view: BoardView, change: StoryLine | None) -> None:
    if change is not None:
        view.show(change)


class TerminalBoard:
    """The board on a terminal (LIVE-1); use it as a context manager."""

    def __init__(self, console: Console, board: Board, *, title: str, go_on: GoOn, may_settle: asyncio.Event) -> None:
        self._console = console
        self._board = board
        self._title = title
        self._go_on = go_on
        self._may_settle = may_settle
        self._shown: tuple[object, ...] = ()
        self._told = False  # the hint how to go on: once it is on the screen it stays
        self._above: list[str] = []  # lines that stand above the view, because they are wider than the screen (LIVE-6)
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop", get_renderable=self._render)

    def __enter__(self) -> TerminalBoard:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.refresh()
        self._live.stop()

    def show(self, change: StoryLine | None) -> None:
        """Draw anew, at most once a tick, and only if something differs."""
        if change is not None:
            return  # many changes come at once: the next tick draws them together
        if not self._told and self._may_settle.is_set() and self._board.has_settled():
            self._told = True
            self._tell_above()
        state = (self._board.changed_at_seconds, len(self._board.changes), self._told, self._console.size)
        if state != self._shown:
            self._shown = state
            self._live.refresh()

    def _tell_above(self) -> None:
        """Write what is too wide for the view above it, once and whole (LIVE-6)."""
        width = self._console.width
        lines = [printable(line).strip() for line in self._go_on(self._board)]
        self._above = [line for line in lines if REMARK not in line and cell_len(line) + INDENT_COLUMNS > width]
        if self._above:
            self._live.refresh()  # first the view makes room
        for line in self._above:
            self._console.print(Text(line), soft_wrap=True)

    def _render(self) -> RenderableType:
        board = self._board
        width = self._console.width
        is_low = self._console.height < FOLDED_LINES_MIN
        height = self._console.height - sum(cell_len(line) // width + 1 for line in self._above)
        title = Padding(Text(printable(self._title), style="bold"), (0 if is_low else 1, 0, 1, 2), expand=False)
        footer = (
            _footer(self._footer_lines(is_low=is_low), width)
            if self._told
            else Text("  … waiting until nothing changes any more", style="dim")
        )
        rows = self._console.height // 2
        while True:  # the most rows with which all of it fits (LIVE-4)
            parts = [title, *tables(board, rows, width, in_one_line=is_low), Text()]
            free = height - self._height(*parts, footer) - 2
            if free >= 0 or rows == 1:
                break
            rows -= 1
        changes = list(board.changes)[-min(free, CHANGES_SHOWN_MAX) :] if free > 0 else []
        return Group(*parts, *(_one_line(_change_line(change, width)) for change in changes), Text(), footer)

    def _footer_lines(self, *, is_low: bool) -> list[str]:
        """How to go on, without what stands above the view, and without empty lines where there is little room."""
        lines = [printable(line) for line in self._go_on(self._board)]
        return [line for line in lines if line.strip() not in self._above and (line.strip() or not is_low)]

    def _height(self, *parts: RenderableType) -> int:
        return len(self._console.render_lines(Group(*parts), pad=False))


class Lines:
    """The board as lines of text, for an output that is no terminal (LIVE-2)."""

    def __init__(self, console: Console, board: Board, *, title: str, go_on: GoOn, may_settle: asyncio.Event) -> None:
        self._console = console
        self._board = board
        self._go_on = go_on
        self._may_settle = may_settle
        self._has_settled = False
        self._told = False
        console.print(Text(printable(title)), soft_wrap=True)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, change: StoryLine | None) -> None:
        """Write a line for a change; when things have settled, the tables."""
        if change is not None:
            self._has_settled = False
            self._console.print(_change_line(change), soft_wrap=True)
        elif not self._has_settled and self._may_settle.is_set() and self._board.has_settled():
            self._has_settled = True
            self._console.print(Group(Text(), *tables(self._board, PLAIN_ROWS, self._console.width), Text()))
            if not self._told:
                self._told = True
                footer = "\n".join(f"  {printable(line)}".rstrip() for line in self._go_on(self._board))
                self._console.print(Text(footer), soft_wrap=True)


def console_for_people() -> Console:
    """Return the console on stdout: as wide as the terminal, or wide enough where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_COLUMNS)


def view_for(
    console: Console, board: Board, *, title: str, go_on: GoOn, may_settle: asyncio.Event
) -> TerminalBoard | Lines:
    """Return the view that suits `console`; it says that things have settled only after `may_settle` is set."""
    kind = TerminalBoard if console.is_terminal else Lines
    return kind(console, board, title=title, go_on=go_on, may_settle=may_settle)


def tables(board: Board, rows: int, width: int, *, in_one_line: bool = False) -> list[RenderableType]:
    """Return the tables of volumes and of claims with at most `rows` rows each, `width` wide (LIVE-4, LIVE-5)."""
    shown, rest = _chosen(board.volumes, rows)
    volumes = []
    for volume in shown:
        size = str(volume.capacity) if volume.capacity is not None else "-"
        partner = volume.claim_key or ""
        status, _ = volume_story(volume)
        volumes.append((volume.name, size, short_modes(volume.access_modes), volume.storage_class, status, partner))
    shown_claims, other_claims = _chosen(board.claims, rows)
    claims = []
    for claim in shown_claims:
        answer = claim.volume_name if claim.phase == "Bound" else board.reasons.get(claim.key, "")
        status, _ = claim_story(claim)
        access = short_modes(claim.access_modes)
        claims.append((claim.key, str(claim.request), access, claim.storage_class, status, answer))
    parts = [_table(VOLUME_COLUMNS, volumes, "volumes", width, in_one_line=in_one_line)]
    if rest:
        parts.append(_rest("volumes", Counter(volume_story(volume)[0] for volume in rest)))
    parts += [Text(), _table(CLAIM_COLUMNS, claims, "claims", width, in_one_line=in_one_line)]
    if other_claims:
        parts.append(_rest("claims", Counter(claim_story(claim)[0] for claim in other_claims)))
    return parts


def _chosen(objects: dict[str, T], rows: int) -> tuple[list[T], list[T]]:
    """Split into those to show, by name, and the others; where not all fit, those in trouble come first (LIVE-4)."""
    everything = sorted(objects.values(), key=lambda view: view.key)
    if len(everything) <= rows:
        return everything, []
    latest = sorted(everything, key=lambda view: revision_number(view.resource_version) or 0, reverse=True)
    latest.sort(key=lambda view: not _is_in_trouble(view))
    return sorted(latest[:rows], key=lambda view: (not _is_in_trouble(view), view.key)), latest[rows:]


def _is_in_trouble(view: Volume | Claim) -> bool:
    if isinstance(view, Claim):
        return view.is_deleting or view.phase != "Bound"
    return view.is_deleting or view.phase in ("Failed", "Released")


def _rest(what: str, phases: Counter[str]) -> Text:
    named = what if phases.total() != 1 else what.removesuffix("s")
    return Text(
        f"  and {phases.total()} more {named}: {', '.join(f'{n} {printable(p)}' for p, n in sorted(phases.items()))}",
        style="dim",
    )


def _table(
    titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], what: str, width: int, *, in_one_line: bool
) -> RenderableType:
    """Make a table of rows whose last but one cell is a status and whose last one is as long as it likes."""
    if not rows:
        return Text(f"  no {what}", style="dim")
    cells = [[printable(text) or "-" for text in row] for row in rows]
    lengths = [max(map(cell_len, column)) for column in zip(titles, *cells, strict=True)]
    lengths[STATUS_COLUMN] += cell_len(DOT)
    shown, room = _columns_within(lengths, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False, header_style="bold dim")
    for column in shown[:-1]:
        table.add_column(titles[column], no_wrap=True, overflow="ellipsis", max_width=_name_width(width, column))
    title = titles[-1] if cell_len(titles[-1]) <= room else SHORT_TITLE
    table.add_column(title, overflow="fold")
    for row in cells:
        answer = Text(row[-1])
        if in_one_line:
            answer.truncate(room, overflow="ellipsis")
        texts = {
            **{column: Text(row[column]) for column in shown},
            STATUS_COLUMN: _status(row[STATUS_COLUMN]),
            len(row) - 1: answer,
        }
        table.add_row(*(texts[column] for column in shown))
    return Padding(table, (0, 0, 0, 1))


def _columns_within(lengths: list[int], width: int) -> tuple[list[int], int]:
    """Return which columns fit beside a last one that can be read, and how much room that has (LIVE-5)."""
    shown = list(range(len(lengths)))
    least = min(lengths[-1], ANSWER_COLUMNS_MIN)
    while True:
        taken = sum(min(lengths[column], _name_width(width, column) or width) + GAP_COLUMNS for column in shown[:-1])
        room = width - 1 - taken - GAP_COLUMNS
        if room >= least or (column := next((one for one in LEFT_OUT if one in shown), None)) is None:
            return shown, max(room, 1)
        shown.remove(column)


def _name_width(width: int, column: int) -> int | None:
    """Return how wide the first column may be: long names mustn't push out everything else."""
    return max(16, width * 2 // 5) if column == 0 else None


def _status(status: str) -> Text:
    return Text(f"{DOT}{status}", style=STYLES.get(status, ""))


def _change_line(change: StoryLine, width: int = PLAIN_COLUMNS) -> Text:
    line = Text("  ") if width < NARROW_COLUMNS else Text(f"  {change.at_seconds:7.3f}s  ", style="dim")
    subject = printable(change.subject)
    line.append(f"{subject}  " if width < NARROW_COLUMNS else f"{subject:<28}  ", style="none")
    line.append(printable(change.text), style=STYLES.get(change.status, "none"))
    return line


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _footer(go_on: Sequence[str], width: int) -> RenderableType:
    """Show how to go on; a line that is too long has its remark below it."""
    parts: list[RenderableType] = []
    for line in go_on:
        indent = 2 + len(line) - len(line.lstrip())
        command, mark, remark = line.strip().partition(REMARK)
        if not command:
            parts.append(Text())
        elif indent + len(line.strip()) <= width or not mark:
            parts.append(Padding(Text(line.strip(), overflow="fold"), (0, 0, 0, indent), expand=False))
        else:
            parts += (Padding(Text(text), (0, 0, 0, indent), expand=False) for text in (command, f"# {remark}"))
    return Group(*parts)
