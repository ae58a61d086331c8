"""The Node service of the local driver, over gRPC: by bind mounts, where this user may, and by symbolic links."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.csi.local.calls import MIB, MODE, NODE, TOPOLOGY_KEY, Calls, capability, driver_in, how

from pvbinder.csi.errors import Code
from pvbinder.csi.local.node import CAPABILITIES
from pvbinder.csi.local.options import How
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

__all__ = ["how"]

PUBLISH = methods.NODE_PUBLISH_VOLUME
SEVERAL = capability(MODE.SINGLE_NODE_MULTI_WRITER)


@pytest.fixture(autouse=True)
def nothing_stays_mounted(tmp_path: Path) -> Iterator[None]:
    yield
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text(), "a test left a mount behind"


async def test_the_node_says_who_it_is_and_what_it_can(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        info = await calls.call(methods.NODE_GET_INFO)
        assert (info.node_id, dict(info.accessible_topology.segments)) == (NODE, {TOPOLOGY_KEY: NODE})
        found = (await calls.call(methods.NODE_GET_CAPABILITIES)).capabilities
        assert tuple(each.rpc.type for each in found) == CAPABILITIES


async def test_what_a_pod_writes_is_in_the_volume(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        target = calls.pods / "mount"
        for _ in range(2):
            await calls.publish(volume, target)
        (target / "file").write_text("content")
        assert (calls.data(volume) / "file").read_text() == "content"
        assert target.is_symlink() == (how == "link")
        for _ in range(2):
            await calls.unpublish(volume, target)
        assert not os.path.lexists(target)
        await calls.publish(volume, f"{calls.pods}//mount/")
        assert (target / "file").read_text() == "content"
        await calls.unpublish(volume, target)
        await calls.call(methods.DELETE_VOLUME, volume_id=volume)
        assert calls.is_clean()


async def test_a_block_volume_is_a_file_at_the_path(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        block = capability(block=True)
        volume = (await calls.volume(required=MIB, volume_capabilities=[block])).volume_id
        target = calls.pods / "device"
        for _ in range(2):
            await calls.publish(volume, target, volume_capability=block)
        with target.open("r+b") as device:
            device.write(b"content")
        assert calls.data(volume).read_bytes()[:7] == b"content"
        stats = await calls.call(methods.NODE_GET_VOLUME_STATS, volume_id=volume, volume_path=str(target))
        assert [(usage.unit, usage.total) for usage in stats.usage] == [(csi.VolumeUsage.BYTES, MIB)]
        await calls.unpublish(volume, target)
        assert not os.path.lexists(target)


async def test_publishing_1_a_path_is_checked(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        (tmp_path / "file").write_text("")
        for wrong in (
            "",
            "relative",
            "/",
            "//.",
            f"{calls.pods}/../x",
            f"{calls.pods}/a\0b",
            "/" + "x/" * 4000,
            f"{calls.root}/volumes/{volume}/data/inside",
            f"{calls.root}/inside",
            f"{tmp_path}/file/below",
        ):
            await calls.refused(
                Code.INVALID_ARGUMENT, PUBLISH, volume_id=volume, target_path=wrong, volume_capability=capability()
            )
        missing = calls.pods / "missing" / "mount"
        await calls.refused(
            Code.FAILED_PRECONDITION,
            PUBLISH,
            volume_id=volume,
            target_path=str(missing),
            volume_capability=capability(),
        )
        await calls.unpublish(volume, missing)
        for no_capability in (None, csi.VolumeCapability(), capability(MODE.UNKNOWN), capability(flags=("strange",))):
            await calls.refused(
                Code.INVALID_ARGUMENT,
                PUBLISH,
                volume_id=volume,
                target_path=str(calls.pods / "x"),
                volume_capability=no_capability,
            )
        await calls.refused(
            Code.FAILED_PRECONDITION,
            PUBLISH,
            volume_id=volume,
            target_path=str(calls.pods / "x"),
            volume_capability=capability(block=True),
        )
        assert not list(calls.pods.iterdir())
        await calls.call(methods.DELETE_VOLUME, volume_id=volume)


async def test_publishing_2_what_is_not_ours_is_left_alone(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        full, link, file, empty = (calls.pods / name for name in ("full", "link", "file", "empty"))
        full.mkdir()
        (full / "precious").write_text("x")
        link.symlink_to(full)
        file.write_text("x")
        empty.mkdir()
        for target in (full, link, file):
            await calls.refused(
                Code.FAILED_PRECONDITION,
                PUBLISH,
                volume_id=volume,
                target_path=str(target),
                volume_capability=capability(),
            )
        for target in (full, link, file, empty):
            await calls.unpublish(volume, target)
        assert (full / "precious").read_text() == "x"
        assert link.is_symlink()
        assert file.exists()
        assert empty.is_dir()
        await calls.publish(volume, empty)  # the caller may have made the directory
        await calls.unpublish(volume, empty)


async def test_publishing_2_what_was_put_in_the_place_of_a_volume_is_left_alone(tmp_path: Path) -> None:
    async with driver_in(tmp_path, how="link") as calls:
        volume = (await calls.volume()).volume_id
        target = calls.pods / "mount"
        await calls.publish(volume, target)
        target.unlink()
        target.write_text("precious")
        await calls.refused(
            Code.FAILED_PRECONDITION, methods.NODE_UNPUBLISH_VOLUME, volume_id=volume, target_path=str(target)
        )
        assert target.read_text() == "precious"


async def second(calls: Calls, volume: str, target: Path, **fields: Any) -> Code | None:
    """Publish once more, and return the code of the refusal."""
    from pvbinder.csi.errors import CallFailed

    try:
        await calls.publish(volume, target, **fields)
    except CallFailed as failed:
        return failed.code
    return None


READ_ONLY = (MODE.SINGLE_NODE_READER_ONLY, MODE.MULTI_NODE_READER_ONLY)  # which a link can't be: PUBLISHING-4
WAYS = [(way, mode) for way in ("mount", "link") for mode in MODE.Mode.values() if mode]


@pytest.mark.parametrize(
    ("how", "mode"), [pair for pair in WAYS if pair[0] == "mount" or pair[1] not in READ_ONLY], indirect=["how"]
)
async def test_publications_2_a_second_call_is_answered_as_the_table_says(tmp_path: Path, how: How, mode: int) -> None:
    several = mode >= MODE.MULTI_NODE_READER_ONLY and mode != MODE.SINGLE_NODE_SINGLE_WRITER
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        same = {"volume_capability": capability(mode)}
        other = {"volume_capability": capability(mode, flags=("rw",))}
        await calls.publish(volume, calls.pods / "a", **same)
        assert await second(calls, volume, calls.pods / "a", **same) is None
        assert await second(calls, volume, calls.pods / "a", **other) is Code.ALREADY_EXISTS
        assert await second(calls, volume, calls.pods / "b", **same) is (None if several else Code.FAILED_PRECONDITION)
        assert await second(calls, volume, calls.pods / "c", **other) is (None if several else Code.FAILED_PRECONDITION)
        for name in "abc":
            await calls.unpublish(volume, calls.pods / name)
        await calls.publish(volume, calls.pods / "b", **same)
        await calls.unpublish(volume, calls.pods / "b")


async def test_publications_3_a_place_that_is_gone_keeps_nobody_out(tmp_path: Path) -> None:
    async with driver_in(tmp_path, how="link") as calls:
        volume = (await calls.volume()).volume_id
        await calls.publish(volume, calls.pods / "a")
        (calls.pods / "a").unlink()  # as a restart of the machine takes mounts away
        await calls.publish(volume, calls.pods / "b")
        await calls.refused(Code.FAILED_PRECONDITION, methods.DELETE_VOLUME, volume_id=volume)
        (calls.pods / "b").unlink()
        await calls.call(methods.DELETE_VOLUME, volume_id=volume)
        assert calls.is_clean()


async def test_a_published_volume_whose_data_is_gone_can_be_removed(tmp_path: Path) -> None:
    async with driver_in(tmp_path, how="link") as calls:
        volume = (await calls.volume()).volume_id
        await calls.publish(volume, calls.pods / "a")
        calls.data(volume).rmdir()
        await calls.call(methods.DELETE_VOLUME, volume_id=volume)
        assert calls.is_clean()


async def test_localvolumes_3_a_published_volume_is_not_removed(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        await calls.publish(volume, calls.pods / "a")
        await calls.refused(Code.FAILED_PRECONDITION, methods.DELETE_VOLUME, volume_id=volume)
        await calls.unpublish(volume, calls.pods / "a")
        await calls.call(methods.DELETE_VOLUME, volume_id=volume)
        assert calls.is_clean()


def is_read_only(target: Path) -> bool:
    try:
        (target / "probe").write_text("x")
    except OSError as error:
        return error.errno == errno.EROFS
    return False


async def test_publishing_4_read_only_is_kept_by_the_kernel_or_refused(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        reader = capability(MODE.MULTI_NODE_READER_ONLY)
        cases: list[dict[str, Any]] = [
            {"volume_capability": SEVERAL, "readonly": True},
            {"volume_capability": reader},
            {"volume_capability": capability(MODE.SINGLE_NODE_MULTI_WRITER, flags=("ro", "noexec"))},
        ]
        await calls.publish(volume, calls.pods / "writer", volume_capability=SEVERAL)
        for number, fields in enumerate(cases):
            target = calls.pods / str(number)
            if how == "link":
                assert await second(calls, volume, target, **fields) is Code.FAILED_PRECONDITION
                assert not os.path.lexists(target)
                continue
            await calls.publish(volume, target, **fields)
            assert is_read_only(target)
            await calls.unpublish(volume, target)
        assert not is_read_only(calls.pods / "writer")
        await calls.unpublish(volume, calls.pods / "writer")


async def test_the_parameter_read_only_is_kept_for_pods_that_run_too(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        first, late = calls.pods / "first", calls.pods / "late"
        await calls.publish(volume, first, volume_capability=SEVERAL)
        change: dict[str, Any] = {"volume_id": volume, "mutable_parameters": {"readOnly": "true"}}
        if how == "link":
            await calls.refused(Code.FAILED_PRECONDITION, methods.CONTROLLER_MODIFY_VOLUME, **change)
            assert not is_read_only(first)
            await calls.unpublish(volume, first)
            await calls.call(methods.CONTROLLER_MODIFY_VOLUME, **change)
            assert await second(calls, volume, late, volume_capability=SEVERAL) is Code.FAILED_PRECONDITION
            return
        with (first / "open").open("w"):
            await calls.refused(Code.FAILED_PRECONDITION, methods.CONTROLLER_MODIFY_VOLUME, **change)
            assert not is_read_only(first)
        await calls.call(methods.CONTROLLER_MODIFY_VOLUME, **change)
        assert is_read_only(first)
        await calls.publish(volume, late, volume_capability=SEVERAL)
        assert is_read_only(late)
        await calls.publish(volume, late, volume_capability=SEVERAL)
        await calls.call(methods.CONTROLLER_MODIFY_VOLUME, volume_id=volume, mutable_parameters={"readOnly": "false"})
        assert not is_read_only(first)
        assert not is_read_only(late)
        await calls.unpublish(volume, first)
        await calls.unpublish(volume, late)


@pytest.mark.parametrize("how", ["mount"], indirect=True)  # a link is never in use
async def test_a_volume_in_use_is_not_taken_away(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        target = calls.pods / "a"
        await calls.publish(volume, target)
        with (target / "open").open("w"):
            await calls.refused(
                Code.FAILED_PRECONDITION, methods.NODE_UNPUBLISH_VOLUME, volume_id=volume, target_path=str(target)
            )
        await calls.unpublish(volume, target)


async def test_stats_count_against_size_or_quota(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume(required=MIB)).volume_id
        target = calls.pods / "a"
        stats: dict[str, Any] = {"volume_id": volume, "volume_path": str(target)}
        await calls.refused(Code.NOT_FOUND, methods.NODE_GET_VOLUME_STATS, **stats)
        await calls.publish(volume, target)
        (target / "file").write_bytes(b"x" * 100_000)
        os.link(target / "file", target / "again")
        answer = await calls.call(methods.NODE_GET_VOLUME_STATS, **stats)
        size, inodes = answer.usage
        assert (size.unit, inodes.unit) == (csi.VolumeUsage.BYTES, csi.VolumeUsage.INODES)
        assert 100_000 <= size.used < 120_000
        assert (size.total, size.available) == (MIB, MIB - size.used)
        assert inodes.used == 2
        assert not answer.volume_condition.abnormal
        await calls.call(methods.CONTROLLER_MODIFY_VOLUME, volume_id=volume, mutable_parameters={"quotaBytes": "50000"})
        answer = await calls.call(methods.NODE_GET_VOLUME_STATS, **stats)
        assert (answer.usage[0].total, answer.usage[0].available) == (50_000, 0)
        assert answer.volume_condition.abnormal
        for path in (f"{target}/file", str(calls.pods), "some/path", str(target)[1:]):
            await calls.refused(Code.NOT_FOUND, methods.NODE_GET_VOLUME_STATS, volume_id=volume, volume_path=path)
        await calls.refused(Code.INVALID_ARGUMENT, methods.NODE_GET_VOLUME_STATS, volume_id=volume)
        await calls.unpublish(volume, target)


async def test_nothing_is_left_to_expand_on_the_node(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume(required=MIB)).volume_id
        method, target = methods.NODE_EXPAND_VOLUME, calls.pods / "a"
        request = csi.NodeExpandVolumeRequest(volume_id=volume, volume_path=str(target))
        await calls.refused(Code.NOT_FOUND, method, request)
        await calls.publish(volume, target)
        assert (await calls.call(method, request)).capacity_bytes == MIB
        request.capacity_range.required_bytes = 2 * MIB
        await calls.refused(Code.OUT_OF_RANGE, method, request)
        await calls.call(methods.CONTROLLER_EXPAND_VOLUME, volume_id=volume, capacity_range=request.capacity_range)
        assert (await calls.call(method, request)).capacity_bytes == 2 * MIB
        request.volume_capability.CopyFrom(capability(block=True))
        await calls.refused(Code.INVALID_ARGUMENT, method, request)
        await calls.refused(Code.INVALID_ARGUMENT, method, volume_id=volume)
        await calls.unpublish(volume, target)


async def test_calls_about_one_volume_at_once_end_well(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        targets = [calls.pods / str(number) for number in range(8)]
        await asyncio.gather(
            *(calls.publish(volume, target, volume_capability=SEVERAL) for target in targets for _ in range(2))
        )
        (targets[0] / "file").write_text("content")
        assert all((target / "file").read_text() == "content" for target in targets)
        await asyncio.gather(*(calls.unpublish(volume, target) for target in targets for _ in range(2)))
        assert not list(calls.pods.iterdir())
        alone = await asyncio.gather(*(second(calls, volume, target) for target in targets))
        assert sorted(alone, key=str) == [*[Code.FAILED_PRECONDITION] * 7, None]
        for target in targets:
            await calls.unpublish(volume, target)


async def test_publications_1_a_driver_that_was_away_knows_its_places(tmp_path: Path, how: How) -> None:
    async with driver_in(tmp_path, how=how) as calls:
        volume = (await calls.volume()).volume_id
        await calls.publish(volume, calls.pods / "a")
    async with driver_in(tmp_path, how=how) as calls:
        await calls.refused(Code.FAILED_PRECONDITION, methods.DELETE_VOLUME, volume_id=volume)
        assert await second(calls, volume, calls.pods / "b") is Code.FAILED_PRECONDITION
        await calls.publish(volume, calls.pods / "a")
        await calls.unpublish(volume, calls.pods / "a")
        assert not list(calls.pods.iterdir())
        await calls.call(methods.DELETE_VOLUME, volume_id=volume)
