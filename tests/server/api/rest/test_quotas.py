"""A quota holds however many claims are made at once.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.server.serving import serving

NAMESPACE = "/api/v1/namespaces/shop"


async def test_claims_made_at_once_stay_within_their_quota(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        hard = {"persistentvolumeclaims": "3", "requests.storage": "100Gi"}
        await server.send("POST", f"{NAMESPACE}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}})
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claims = [{"metadata": {"name": f"c{number}"}, "spec": spec} for number in range(20)]
        async with asyncio.TaskGroup() as group:
            url = f"{NAMESPACE}/persistentvolumeclaims"
            tasks = [group.create_task(server.send("POST", url, claim)) for claim in claims]
        statuses = sorted(task.result().status for task in tasks)
        assert statuses == [201] * 3 + [403] * 17
