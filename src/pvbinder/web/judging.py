"""What `pvbinder explain` says of each claim, and of volumes and pods that are not fine, kept beside the rows.

JUDGING-1  A judgement is the verdict and the summary of the explanation; of what is fine there are no words.
JUDGING-2  Nothing is judged while nobody looks, nothing on the loop, and over time with at most a tenth of a processor:
           after a round of work comes a pause of `PAUSES` times that, and of `ROUND_SECONDS` at least.
JUDGING-3  A judgement counts until the object is another one or in another state; meanwhile it is made anew when
           something changes, and each `REFRESH_SECONDS`, as events and time matter, too.
JUDGING-4  A server that doesn't answer leaves the judgements that there are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from pvbinder import logs
from pvbinder.insight.claims import state_of as claim_finding
from pvbinder.insight.explanation import Verdict
from pvbinder.insight.pods import explain_pod
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.volumes import explain_volume
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Pod, Volume
from pvbinder.web.asking import Questions
from pvbinder.web.objects import ShownObjects
from pvbinder.web.rows import Judged, RowKind, RowLevel, RowView, kind_of, level_of, row_id, state_of

ROUND_SECONDS: Final = 1.0
REFRESH_SECONDS: Final = 30.0
PAUSES: Final = 9.0
TELL_SECONDS: Final = 0.2  # of work, after which what is known is told
NAMED_MAX: Final = 30  # objects in trouble whose events are asked for by name

_LEVELS: Final[dict[Verdict, RowLevel]] = {"Stuck": "bad", "OnItsWay": "wait", "Bound": "ok"}
_Verdicts = list[tuple[str, str, str, Judged, bool]]  # id, uid, state, judgement, and whether rows say so anyway

log = logs.get(__name__)


class Judgements:
    """The judgements of the objects of a page; `changed` is told of each row that has another one."""

    def __init__(self, objects: ShownObjects, questions: Questions, changed: Callable[[RowKind, str], None]) -> None:
        self._objects = objects
        self._questions = questions
        self._changed = changed
        self._known: dict[str, tuple[str, str, Judged]] = {}  # by id: uid, state, and what was judged
        self._news = asyncio.Event()
        self._is_closed = False

    def of(self, view: RowView) -> Judged | None:
        """Return what was judged of an object, if that still counts (JUDGING-3)."""
        found = self._known.get(row_id(kind_of(view), view.key))
        return found[2] if found is not None and found[:2] == (view.uid, state_of(view)) else None

    def note(self) -> None:
        """Note that something has changed."""
        self._news.set()

    def close(self) -> None:
        """Judge nothing more."""
        self._is_closed = True

    async def run(self, somebody_looks: asyncio.Event) -> None:
        """Judge until cancelled."""
        while True:
            await somebody_looks.wait()
            self._news.clear()
            worked = 0.0
            try:
                worked = await self._round()
            except (ApiFailure, ConnectionFailed) as failure:
                log.debug("the page has no reasons", err=failure.message)  # JUDGING-4
            await asyncio.sleep(max(ROUND_SECONDS, PAUSES * worked))
            if self._objects.is_live:
                try:
                    async with asyncio.timeout(REFRESH_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    pass
            else:
                await asyncio.Event().wait()

    async def _round(self) -> float:
        """Judge everything once; return the seconds that it took: of reading, and of a processor."""
        views = self._objects.views()
        wanted = [view for view in views if _is_judged(view)]
        wanted.sort(key=lambda view: self.of(view) is not None)
        ids = {row_id(kind_of(view), view.key) for view in wanted}
        for gone in self._known.keys() - ids:
            del self._known[gone]
        if not wanted:
            return 0.0
        events = _events_about([view for view in wanted if _is_in_trouble(view)])
        loop = asyncio.get_running_loop()
        began = loop.time()
        documents, known = await self._questions.beside("", events, with_snapshots=False)
        reading = loop.time() - began

        def tell(verdicts: _Verdicts) -> None:
            loop.call_soon_threadsafe(self._take, verdicts)

        return reading + await self._questions.aside(self._judge, views, wanted, documents, known, tell)

    def _judge(
        self,
        views: Sequence[RowView],
        wanted: Sequence[RowView],
        documents: Sequence[Json],
        known: Sequence[str],
        tell: Callable[[_Verdicts], None],
    ) -> float:
        """Judge in a thread, and tell of what is known now and then."""
        began = told = time.thread_time()
        snapshot = self._questions.snapshot(views, documents, known)
        verdicts: _Verdicts = []
        for view in wanted:
            if self._is_closed:
                break
            state, judged = state_of(view), judgement(view, snapshot)
            is_plain = judged == Judged(level_of(view, state), "")
            verdicts.append((row_id(kind_of(view), view.key), view.uid, state, judged, is_plain))
            if time.thread_time() - told > TELL_SECONDS:
                tell(verdicts)
                verdicts, told = [], time.thread_time()
        tell(verdicts)
        return time.thread_time() - began

    def _take(self, verdicts: _Verdicts) -> None:
        for id_, uid, state, judged, is_plain in verdicts:
            before = self._known.get(id_)
            self._known[id_] = (uid, state, judged)
            if before != (uid, state, judged) and not (is_plain and (before is None or before[:2] != (uid, state))):
                kind, _, key = id_.partition("/")
                self._changed(kind, key)  # type: ignore[arg-type]


def judgement(view: RowView, snapshot: Snapshot) -> Judged:
    """Return how an object is, in the words of its explanation (JUDGING-1)."""
    match view:
        case Claim():
            finding = claim_finding(view, snapshot)
            verdict, summary = finding.verdict, finding.summary
        case Pod():
            told = explain_pod(view, snapshot)
            verdict, summary = told.verdict, told.summary
        case Volume():
            about = explain_volume(view, snapshot)
            verdict, summary = about.verdict, about.summary
        case _:
            return Judged("ok", "")
    level = _LEVELS[verdict]
    if level == "ok" and view.phase == "Succeeded":
        level = "idle"
    return Judged(level, summary if verdict != "Bound" else "")


def _is_judged(view: RowView) -> bool:
    """Tell whether an object is worth a judgement: explaining a free volume would go through all claims."""
    match view:
        case Claim():
            return True
        case Volume():
            return view.claim_ref is not None and (view.is_deleting or view.phase not in ("Bound", "Available"))
        case Pod():
            return bool(view.volumes) and (view.phase in ("", "Pending") or view.is_deleting)
        case _:
            return False


def _is_in_trouble(view: RowView) -> bool:
    return not isinstance(view, Claim) or view.phase != "Bound" or view.is_deleting


def _events_about(views: Sequence[RowView]) -> list[tuple[str, str]]:
    """Return which events are asked for: by name if few objects are in trouble, else by kind."""
    if len(views) <= NAMED_MAX:
        return [(view.namespace or "default", f"involvedObject.name={view.name}") for view in views]
    kinds = ("PersistentVolumeClaim", "Pod", "PersistentVolume")
    return [("", f"involvedObject.kind={kind}") for kind in kinds]
