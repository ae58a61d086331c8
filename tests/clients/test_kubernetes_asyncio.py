"""The official client's sibling for asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kubernetes_asyncio import client, config, watch
from tests.clients.objects import claim, config_map, volume
from tools.plane import RunningPlane

PATIENCE_SECONDS = 30


async def test_a_claim_is_created_watched_bound_patched_and_deleted(plane: RunningPlane) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), await config.new_client_from_config(str(plane.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        listed = await core.list_namespaced_persistent_volume_claim("default")
        created = await core.create_namespaced_persistent_volume_claim("default", claim("asked", app="async"))
        assert created.status.phase == "Pending"
        await core.create_persistent_volume(volume("disk-2", "asked"))
        seen = await _follow(core, listed.metadata.resource_version)
        assert (seen[0], seen[-1]) == ("ADDED", "DELETED")
        with pytest.raises(client.ApiException) as gone:
            await core.read_namespaced_persistent_volume_claim("asked", "default")
        assert gone.value.status == 404


async def _follow(core: Any, revision: str) -> list[str]:
    """Watch the claim; label it once it is bound, and delete it once it is labelled."""
    seen: list[str] = []
    async with watch.Watch() as changes:
        stream = changes.stream(
            core.list_namespaced_persistent_volume_claim,
            "default",
            resource_version=revision,
            field_selector="metadata.name=asked",
        )
        async for event in stream:
            seen.append(event["type"])
            found = event["object"]
            if event["type"] == "DELETED":
                break
            if found.status.phase == "Bound" and "size" not in found.metadata.labels:
                patch = [{"op": "add", "path": "/metadata/labels/size", "value": "s"}]
                await core.patch_namespaced_persistent_volume_claim("asked", "default", patch)
            elif "size" in found.metadata.labels and found.metadata.deletion_timestamp is None:
                await core.delete_namespaced_persistent_volume_claim("asked", "default")
    return seen


async def test_objects_are_applied_and_pages_follow_each_other(plane: RunningPlane) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), await config.new_client_from_config(str(plane.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        for number in range(5):
            applied = await core.patch_namespaced_config_map(
                f"page-{number}",
                "default",
                config_map(f"page-{number}", number=str(number)),
                field_manager="tester",
                _content_type="application/apply-patch+yaml",
            )
            assert applied.metadata.managed_fields[0].operation == "Apply"
        names: list[str] = []
        more: str | None = None
        while more != "":
            page = await core.list_namespaced_config_map("default", limit=2, _continue=more)
            assert len(page.items) <= 2
            names += [item.metadata.name for item in page.items]
            more = page.metadata._continue or ""
        assert [name for name in names if name.startswith("page-")] == [f"page-{number}" for number in range(5)]
