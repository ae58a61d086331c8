"""Explanations for the page, in the very words of `pvbinder explain`.

ASKING-1  An explanation is made of the objects that the page shows, and of what is read for it alone (events, drivers);
          with the same objects it is what `pvbinder explain` prints.
ASKING-2  It is worked out aside: however many volumes there are, the loop goes on.
ASKING-3  At most `WAITING_MAX` questions wait; one more is told to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.explanation import Explanation
from pvbinder.insight.pods import explain_pod
from pvbinder.insight.reading import read_beside
from pvbinder.insight.report import VOLUMES_SHOWN_MAX
from pvbinder.insight.report_others import report_of
from pvbinder.insight.restores import snapshot_source
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.volumes import explain_volume
from pvbinder.kube.client import Client
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Pod, Volume
from pvbinder.rules.plugins import Plugins
from pvbinder.web.objects import ShownObjects
from pvbinder.web.rows import KINDS, RowKind, RowView, kind_of, row_of

WAITING_MAX: Final = 8
EVENTS_MAX: Final = 5_000  # of one selection
EVENTS_ABOUT_MAX: Final = 20  # objects whose events are read for one explanation

T = TypeVar("T")


class TooBusyError(PvbinderError):
    """More questions wait than can be answered soon."""


class ShownExplanation(Struct, frozen=True):
    """An explanation as a terminal shows it, and as JSON; of kinds that aren't explained the report is null."""

    text: str
    report: msgspec.Raw = msgspec.Raw(b"null")


class Questions:
    """Answers questions about the objects of a page; `client` reads what those don't have, if there is a server."""

    def __init__(
        self,
        objects: ShownObjects,
        *,
        plugins: Plugins,
        client: Client | None = None,
        beside: Sequence[Json] = (),
        moment: datetime | None = None,
    ) -> None:
        """Without a `client`, what is not among the objects is `beside`, as of `moment`."""
        self._objects = objects
        self._plugins = plugins
        self._client = client
        self._beside = beside
        self._moment = moment
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._waiting = 0

    def close(self) -> None:
        """Answer nothing more."""
        self._aside.shutdown(wait=False, cancel_futures=True)

    async def explain(self, kind: RowKind, key: str) -> ShownExplanation | None:
        """Return the explanation of an object, None if it isn't there.

        Raises `ApiFailure` and `ConnectionFailed` of the server, and `TooBusyError` (ASKING-3).
        """
        view = self._objects.get(kind, key)
        if view is None:
            return None
        if self._waiting >= WAITING_MAX:
            raise TooBusyError("too many questions at once", hint="ask again in a moment")
        self._waiting += 1
        try:
            documents, known = await self._read(view)
            views = self._objects.views()
            return await self.aside(self._told, kind, key, views, documents, known)
        finally:
            self._waiting -= 1

    async def _read(self, view: RowView) -> tuple[Sequence[Json], Sequence[str]]:
        related = list(self._related(view))
        names = list(dict.fromkeys(one.name for one in related))[:EVENTS_ABOUT_MAX]
        places = tuple(dict.fromkeys((view.namespace or "default", "default")))  # of events about what has no namespace
        return await self.beside(
            view.namespace,
            [(place, f"involvedObject.name={name}") for name in names for place in places],
            with_snapshots=any(isinstance(one, Claim) and _is_restored(one) for one in related),
        )

    async def beside(
        self, namespace: str, events: Sequence[tuple[str, str]], *, with_snapshots: bool
    ) -> tuple[Sequence[Json], Sequence[str]]:
        """Return what isn't among the objects, and the kinds of it that were read."""
        if self._client is None:
            return self._beside, ()
        return await read_beside(
            self._client, namespace, events=events, events_max=EVENTS_MAX, with_snapshots=with_snapshots
        )

    async def aside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what `function` returns, worked out in our thread (ASKING-2)."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, function, *arguments)

    def _related(self, view: RowView) -> Iterable[RowView]:
        """Give the objects whose events an explanation of `view` may use: those around it."""
        yield view
        claims: list[Claim] = []
        match view:
            case Claim():
                claims.append(view)
                volume = self._objects.get("volume", view.volume_name)
                if volume is not None:
                    yield volume
            case Pod():
                for key in view.claim_keys:
                    claim = self._objects.get("claim", key)
                    if isinstance(claim, Claim):
                        claims.append(claim)
                        yield claim
            case Volume() if view.claim_key is not None:
                claim = self._objects.get("claim", view.claim_key)
                if isinstance(claim, Claim):
                    yield claim
            case _:
                pass
        wanted = {claim.key for claim in claims}
        if wanted:
            for name in self._objects.keys("pod"):
                pod = self._objects.get("pod", name)
                if isinstance(pod, Pod) and pod is not view and not wanted.isdisjoint(pod.claim_keys):
                    yield pod

    def _told(
        self, kind: RowKind, key: str, views: Sequence[RowView], documents: Sequence[Json], known: Sequence[str]
    ) -> ShownExplanation | None:
        snapshot = self.snapshot(views, documents, known)
        found = next((one for one in views if one.key == key and _is(one, kind)), None)
        match found:
            case None:
                return None
            case Claim():
                return _told(explain_claim(found, snapshot))
            case Volume():
                return _told(explain_volume(found, snapshot))
            case Pod():
                return _told(explain_pod(found, snapshot))
            case _:
                return ShownExplanation(_facts(found, snapshot))

    def snapshot(self, views: Sequence[RowView], documents: Iterable[Json], known: Sequence[str]) -> Snapshot:
        """Return the objects as explanations want to see them."""
        moment = datetime.now(UTC) if self._client is not None else None
        return Snapshot(
            documents,
            views=views,
            plugins=self._plugins,
            known=(*self._objects.known(), *known),
            moment=moment,
            written_at=self._moment,
        )


def parse_kind(text: str) -> RowKind | None:
    """Return the kind of a row that `text` names."""
    return next((kind for kind in KINDS if kind == text), None)


def _is(view: RowView, kind: RowKind) -> bool:
    return kind_of(view) == kind


def _is_restored(claim: Claim) -> bool:
    return not claim.volume_name and snapshot_source(claim.document()) is not None


def _told(explanation: Explanation) -> ShownExplanation:
    report = msgspec.Raw(msgspec.json.encode(explanation))
    return ShownExplanation(report_of(explanation, VOLUMES_SHOWN_MAX).removesuffix("\n"), report)


def _facts(view: Any, snapshot: Snapshot) -> str:
    row = row_of(view, lambda affinity: [node.name for node in snapshot.nodes_matching(affinity)])
    lines = [f"{row.kind} {row.name} is {row.state}"]
    return "\n".join([*lines, *(f"  {name}: {fact}" for name, fact in row.facts.items())])
