"""Cases for the expand controller (README, "Expansion and ephemeral volumes"), with the reference's events, too."""

from __future__ import annotations

from tests.vectors.compare import differences
from tests.vectors.protection_cases import StillInformers, fill
from tests.vectors.runner import Case
from tests.vectors.store import Store

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.expander import ExpandController
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.events import EventRecorder, EventType, Subject
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import ClaimKey
from pvbinder.rules.settings import Migrations


class KeepingRecorder(EventRecorder):
    """Keeps the events as the vectors write them."""

    def __init__(self, client: Client, component: str) -> None:
        super().__init__(client, component)
        self.events: list[str] = []

    def event(self, subject: Subject, type: EventType, reason: str, message: str) -> None:  # noqa: A002
        self.events.append(f"{type} {reason} {message}")


async def run(case: Case) -> list[str]:
    """Run one case and return its faults."""
    store = Store()
    client = Client(store, retries=Retries(attempts=1))
    informers = StillInformers(client)
    context = ControllerContext(client, informers, make_recorder=KeepingRecorder)
    plugins = case["flags"]["csiMigration"]["plugins"]
    migrated = {name: plugin["driver"] for name, plugin in plugins.items() if plugin["migrated"]}
    controller = ExpandController(context, migrations=Migrations(drivers=migrated))
    fill(case, store, informers)
    failed = False
    try:
        await controller.sync(ClaimKey(case["key"]))
    except PvbinderError:
        failed = True
    expected, reference = case["expected"], case["reference"]
    problems = []
    found = (failed, controller.expansions_started > 0)
    wanted = (expected["error"], expected["inProcessExpansionStarted"])
    if found != wanted:
        problems.append(f"error and start should be {wanted} but are {found}")
    [claim] = store.all_of("persistentvolumeclaims")
    annotations = claim["metadata"].get("annotations", {})
    if "claimAnnotations" in expected and annotations != expected["claimAnnotations"]:
        problems.append(f"annotations should be {expected['claimAnnotations']} but are {annotations}")
    [recorder] = context.recorders
    assert isinstance(recorder, KeepingRecorder)
    if recorder.events != reference["events"]:
        problems.append(f"events should be {reference['events']} but are {recorder.events}")
    return problems + differences([reference["claimAfter"]], [claim], ["metadata.resourceVersion"], "claim")
