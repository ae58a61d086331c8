"""Which versions the local cache accepts (B-10)."""

from __future__ import annotations

from tests.vectors.functions import unequal, volume_of
from tests.vectors.runner import Case
from tests.vectors.store import Store

from pvbinder.controllers.binder.caches import Caches, RevisionError
from pvbinder.kube.client import Client
from pvbinder.kube.informers import Informers
from pvbinder.rules.plugins import NoPlugins
from pvbinder.rules.settings import Settings


async def run(case: Case) -> list[str]:
    caches = Caches(Informers(Client(Store())), NoPlugins(), Settings())
    problems = []
    for number, step in enumerate(case["steps"]):
        metadata = {**case["object"]["metadata"], "resourceVersion": step["resourceVersion"]}
        stored = failed = False
        try:
            stored = caches.take_volume(volume_of({**case["object"], "metadata": metadata}))
        except RevisionError:
            failed = True
        problems += unequal(f"step {number}: stored", step["expected"]["stored"], stored)
        problems += unequal(f"step {number}: error", step["expected"]["error"], failed)
    return problems
