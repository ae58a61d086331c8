"""The process that makes one plan for the page: a question on standard input, the answer on standard output."""

from __future__ import annotations

import resource
import sys
from datetime import UTC, datetime

import msgspec

from pvbinder import logs
from pvbinder.foresight.plan import plan
from pvbinder.foresight.preparing import prepare
from pvbinder.foresight.reduction import reduce, touched_by
from pvbinder.foresight.report import plan_headline, plan_sections
from pvbinder.foresight.sections import as_text
from pvbinder.insight.instants import instant
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.sources.texts import objects_in
from pvbinder.web.planning import MEMORY_BYTES_MAX, PLAN_SECONDS_MAX, PlanAnswer, PlanRefusedError, PlanTask

COLUMNS = 120  # of the text, as `pvbinder plan` has at most
NAMESPACE = "default"  # of manifests that name none


def answer(task: PlanTask) -> PlanAnswer:
    """Return the plan that is asked for, or why there is none (PLANNING-4)."""
    try:
        new = [("the manifests", each) for each in objects_in("the manifests", task.manifests.encode())]
        if not new:
            raise PlanRefusedError("there are no objects in the manifests")
        stored = next((document for _, document in new if _is_stored(document)), None)
        if stored is not None:
            name = (stored.get("metadata") or {}).get("name")
            what = f"{stored.get('kind')} {name} has the uid and the resourceVersion of a cluster"
            raise PlanRefusedError(f"{what}: a plan is about new manifests")
        read_at = None if task.written_at is not None else datetime.now(UTC)
        prepared = prepare(task.documents, read_at=read_at, written_at=instant(task.written_at))
        prepared.notes.extend(task.notes)
        prepared = reduce(prepared, touched_by((document for _, document in new), NAMESPACE))
        made = plan(prepared, new, namespace=NAMESPACE)
    except PvbinderError as error:
        return PlanAnswer(error=error.message if error.hint is None else f"{error.message} ({error.hint})")
    return PlanAnswer(
        as_text(plan_headline(made), plan_sections(made), COLUMNS), msgspec.Raw(msgspec.json.encode(made))
    )


def _is_stored(document: Json) -> bool:
    metadata = document.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("uid")) and bool(metadata.get("resourceVersion"))


def main() -> None:
    """Answer one question."""
    for what, most in ((resource.RLIMIT_AS, MEMORY_BYTES_MAX), (resource.RLIMIT_CPU, int(PLAN_SECONDS_MAX) + 1)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    logs.configure()
    logs.only_warnings()
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=PlanTask)
    sys.stdout.buffer.write(msgspec.json.encode(answer(task)))


if __name__ == "__main__":
    main()
