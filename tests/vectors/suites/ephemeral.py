"""Cases for the claims of pods' ephemeral volumes (README, "Expansion and ephemeral volumes")."""

from __future__ import annotations

from tests.vectors.compare import differences
from tests.vectors.protection_cases import StillInformers, fill
from tests.vectors.runner import Case
from tests.vectors.store import Store

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.ephemeral_volumes import EphemeralVolumeController
from pvbinder.kube.client import Client, Retries
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import PodKey


async def run(case: Case) -> list[str]:
    """Run one case and return its faults."""
    store = Store()
    store.inject(case["apiErrors"])
    client = Client(store, retries=Retries(attempts=1))
    informers = StillInformers(client)
    controller = EphemeralVolumeController(ControllerContext(client, informers))
    fill(case, store, informers)
    failed = False
    try:
        await controller.sync(PodKey(case["key"]))
    except PvbinderError:
        failed = True
    expected = case["expected"]
    statistics = controller.statistics()
    found = (failed, statistics.creates, statistics.create_failures)
    wanted = (expected["error"], expected["createAttempts"], expected["createFailures"])
    problems = [] if found == wanted else [f"error, attempts and failures should be {wanted} but are {found}"]
    claims = store.all_of("persistentvolumeclaims")
    return problems + differences(expected["claims"], claims, case["compareIgnoring"], "claim")
