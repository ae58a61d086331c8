"""What was decided, and what changed by it: the past of the page.

JOURNAL-1  What happens is only noted, whether or not somebody looks: memory is bounded (`NOTED_MAX`, `KEPT_MAX`), the
           oldest goes, and no object is looked into.
JOURNAL-2  A decision has what was written and what changed of the objects it is about, since the decision before it;
           its rule is that of the controller's own line.
JOURNAL-3  A change that no decision explains within `LINGER_SECONDS` is told of by itself, without a rule: nothing that
           changed a row is left out, so that the past can be had by undoing.
JOURNAL-4  A change that nobody would see - the same state, links and fields - is none.
JOURNAL-5  The changes of one user are not told of as those of another.

`Journal` notes on the loop's thread and from others (log lines); `fold` makes decisions of what was noted, in pieces.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from pvbinder.logs import Line
from pvbinder.plane.recorder import Made, decided_by
from pvbinder.web.fields import changed_fields
from pvbinder.web.rows import NodesOf, PastRow, RowKind, RowView, is_shown, kind_of, past_row, row_id

NOTED_MAX: Final = 8_000
KEPT_MAX: Final = 10_000
CREATED_MAX: Final = 100
LINGER_SECONDS: Final = 0.5
PIECE: Final = 100  # of what was noted, between two turns of the loop

_ABOUT: Final[dict[str, RowKind]] = {"pvc": "claim", "pv": "volume", "sc": "class", "pod": "pod", "node": "node"}
_PATHS: Final = re.compile(
    r"/(?:namespaces/(?P<namespace>[^/]+)/)?"
    r"(?P<plural>persistentvolumes|persistentvolumeclaims|storageclasses|pods|nodes)/(?P<name>[^/]+)(?:/\w+)?"
)
_PLURALS: Final[dict[str, RowKind]] = {
    "persistentvolumes": "volume",
    "persistentvolumeclaims": "claim",
    "storageclasses": "class",
    "pods": "pod",
    "nodes": "node",
}


class MadeWrite(Struct, frozen=True):
    """A write, and the status of its answer."""

    method: str
    path: str
    status: int


class PageDecision(Struct, frozen=True, kw_only=True):
    """Something that was decided, or changed; `rows` are the rows that it changed, as they were before it."""

    seq: int
    time: str
    rule: str
    message: str
    about: list[str]
    before: dict[str, str] | UnsetType = UNSET
    after: dict[str, str] | UnsetType = UNSET
    writes: list[MadeWrite] = []
    rows: list[PastRow] = []


@dataclass(frozen=True, slots=True)
class NotedChange:
    """A change of an object, as an informer told of it."""

    at: float
    kind: RowKind
    before: RowView | None
    after: RowView | None

    @property
    def id(self) -> str:
        """The row of the object."""
        seen = self.after if self.after is not None else self.before
        return row_id(self.kind, seen.key) if seen is not None else ""


@dataclass(frozen=True, slots=True)
class NotedWrite:
    """A write, and when it was answered."""

    at: float
    made: Made


@dataclass(frozen=True, slots=True)
class NotedEvent:
    """An event that somebody else's controller wrote about an object."""

    at: float
    id: str
    message: str


JournalEntry: TypeAlias = NotedChange | NotedWrite | NotedEvent | Line


@dataclass(slots=True)
class _Open:
    """What happened to an object and isn't explained yet."""

    since: float
    before: RowView | None
    after: RowView | None
    writes: list[MadeWrite] = field(default_factory=list)
    has_changed: bool = False
    is_explained: bool = False  # of an object that came: the write that made it is known
    user: str = ""  # who wrote it last

    def is_of_another(self, user: str) -> bool:
        """Tell whether somebody else than `user` did this."""
        return self.user != user if self.user else self.before is None


class Journal:
    """Notes what happens, and keeps the decisions that it makes of it, numbered from 1."""

    def __init__(self, nodes_of: NodesOf = lambda _: ()) -> None:
        self._nodes_of = nodes_of
        self._noted: deque[JournalEntry] = deque(maxlen=NOTED_MAX)
        self._open: dict[str, _Open] = {}
        self._created: deque[tuple[MadeWrite, str]] = deque(maxlen=CREATED_MAX)
        self._kept: deque[PageDecision] = deque(maxlen=KEPT_MAX)
        self._next = 1

    # ---- noting (JOURNAL-1)

    def note(self, noted: JournalEntry) -> None:
        """Take note of something."""
        self._noted.append(noted)

    @property
    def has_news(self) -> bool:
        """Whether something was noted that isn't folded yet."""
        return bool(self._noted)

    @property
    def waits(self) -> bool:
        """Whether a change still waits for its decision."""
        return bool(self._open)

    # ---- reading

    @property
    def last(self) -> int:
        """The number of the newest decision; 0 if there is none."""
        return self._next - 1

    @property
    def oldest(self) -> int:
        """The number of the oldest decision that is kept."""
        return self._next - len(self._kept)

    def after(self, seq: int, limit: int) -> list[PageDecision]:
        """Return at most `limit` decisions after number `seq`, the oldest first."""
        start = max(0, seq + 1 - self.oldest)
        return [self._kept[index] for index in range(start, min(len(self._kept), start + limit))]

    def before(self, seq: int, limit: int) -> list[PageDecision]:
        """Return the last `limit` decisions before number `seq`, the oldest first."""
        end = min(max(0, seq - self.oldest), len(self._kept))
        return [self._kept[index] for index in range(max(0, end - limit), end)]

    # ---- folding

    def fold(self, now: float) -> Iterator[None]:
        """Make decisions of what was noted until `now`; each step is short, and there is a pause after it."""
        for count in range(len(self._noted)):
            if not self._noted:
                break
            self._take(self._noted.popleft())
            if count % PIECE == PIECE - 1:
                yield
        while self._open:
            first = next(iter(self._open))
            if self._open[first].since > now - LINGER_SECONDS:
                break
            self._tell_by_itself(first, self._open.pop(first))
            yield

    def _take(self, noted: JournalEntry) -> None:
        match noted:
            case NotedChange():
                self._take_change(noted)
            case NotedWrite(at=at, made=made):
                self._take_write(at, made)
            case NotedEvent(at=at, id=about, message=message):
                self._decide(at, "", message, [about])
            case Line():
                self._take_line(noted)

    def _take_write(self, at: float, made: Made) -> None:
        write = MadeWrite(made.method, made.path, made.status)
        found = row_of_path(made.path)
        if found is not None:
            known = self._open.get(found)
            if known is not None and known.has_changed and known.is_of_another(made.user):
                self._tell_by_itself(found, self._open.pop(found))
            opened = self._open.setdefault(found, _Open(at, None, None))
            opened.writes.append(write)
            opened.user = made.user
        elif made.method == "POST" and made.status == 201:
            self._take_creation(write, made.user)

    def _take_creation(self, write: MadeWrite, user: str) -> None:
        """Give the write to the object that it made: its path has no name, so that is one that came there just now."""
        for opened in reversed(self._open.values()):
            came = opened.has_changed and opened.before is None and opened.after is not None
            if came and not opened.is_explained and opened.after is not None and _is_at(write.path, opened.after):
                opened.writes.insert(0, write)
                opened.user, opened.is_explained = user, True
                return
        self._created.append((write, user))  # the next object that comes there is it

    def _take_change(self, change: NotedChange) -> None:
        seen = change.after if change.after is not None else change.before
        if seen is None or not is_shown(seen):
            return
        known = self._open.setdefault(change.id, _Open(change.at, change.before, change.after))
        if not known.has_changed:
            known.before, known.has_changed = change.before, True
            self._find_creation(known, seen)
        known.after = change.after

    def _find_creation(self, opened: _Open, seen: RowView) -> None:
        found = next((each for each in self._created if _is_at(each[0].path, seen)), None)
        if found is not None and opened.before is None:
            self._created.remove(found)
            opened.writes.insert(0, found[0])
            opened.user, opened.is_explained = found[1], True

    def _take_line(self, line: Line) -> None:
        about = [
            row_id(_ABOUT[key], str(value))
            for key, value in line.fields.items()
            if key in _ABOUT and _is_key(_ABOUT[key], str(value))
        ]
        decided = decided_by(line)
        if not about or (decided is None and line.level != "INFO"):
            return
        others = [f"{key} {value}" for key, value in line.fields.items() if key not in _ABOUT and key != "rule"]
        message = f"{line.message} ({', '.join(others)})" if others else line.message
        self._decide(line.time.timestamp(), str(line.fields.get("rule", "")), message, about)

    def _decide(self, at: float, rule: str, message: str, about: Sequence[str]) -> None:
        """Keep a decision about these rows, with all that is open of them (JOURNAL-2)."""
        opened = [(each, self._open.pop(each)) for each in dict.fromkeys(about) if each in self._open]
        self._keep(at, rule, message, list(dict.fromkeys(about)), opened)

    def _tell_by_itself(self, id_: str, opened: _Open) -> None:
        """Tell of a change that nobody explained (JOURNAL-3), if there is one (JOURNAL-4)."""
        if not opened.has_changed:
            return
        before, after = opened.before, opened.after
        past, present = self._past(id_, before), self._past(id_, after)
        fields = changed_fields(before, after)
        if past == present and not fields:
            return
        kind, _, key = id_.partition("/")
        what = f"{kind} {key}"
        if before is None:
            message = f"{what} created{f' by {opened.user}' if opened.user else ''}"
        elif after is None:
            message = f"{what} is gone"
        elif past.state != present.state:
            message = f"{what}: {past.state} → {present.state}"
        else:
            message = f"{what} changed: {', '.join(fields) or 'its links'}"
        self._keep(opened.since, "", message, [id_], [(id_, opened)])

    def _keep(self, at: float, rule: str, message: str, about: list[str], opened: list[tuple[str, _Open]]) -> None:
        before: dict[str, str] = {}
        after: dict[str, str] = {}
        rows: list[PastRow] = []
        writes: list[MadeWrite] = []
        for id_, each in opened:
            writes += each.writes
            if not each.has_changed:
                continue
            kind = id_.partition("/")[0]
            for name, (was, is_) in changed_fields(each.before, each.after).items():
                if was is not None:
                    before[f"{kind}.{name}"] = was
                if is_ is not None:
                    after[f"{kind}.{name}"] = is_
            past = self._past(id_, each.before)
            if past != self._past(id_, each.after):
                rows.append(past)
        self._kept.append(
            PageDecision(
                seq=self._next,
                time=datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                rule=rule,
                message=message,
                about=about,
                before=before or UNSET,
                after=after or UNSET,
                writes=writes,
                rows=rows,
            )
        )
        self._next += 1

    def _past(self, id_: str, view: RowView | None) -> PastRow:
        return past_row(view, self._nodes_of) if view is not None else PastRow(id_, "")


def row_of_path(path: str) -> str | None:
    """Return the row of the object that a request's path is about; None if it is about none."""
    found = _PATHS.search(path)
    if found is None or found.end() != len(path):
        return None
    kind = _PLURALS[found["plural"]]
    namespace, name = found["namespace"], found["name"]
    return row_id(kind, f"{namespace}/{name}" if namespace else name)


def _is_at(path: str, view: RowView) -> bool:
    """Tell whether a collection's path is that of an object."""
    place, _, plural = path.rpartition("/")
    if _PLURALS.get(plural) != kind_of(view):
        return False
    return not view.namespace or place.endswith(f"/namespaces/{view.namespace}")


def _is_key(kind: RowKind, key: str) -> bool:
    return bool(key) and (kind not in ("claim", "pod") or "/" in key)
