"""The Controller service of the local driver, over gRPC: what the specification demands of each call."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from tests.csi.local.calls import (
    MIB,
    MODE,
    NO_VOLUME,
    NODE,
    STRANGE_IDS,
    TOPOLOGY_KEY,
    capability,
    driver_in,
    of_snapshot,
    of_volume,
    volume_request,
)

from pvbinder.csi.errors import Code
from pvbinder.csi.local.controller import CAPABILITIES
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

HERE = csi.Topology(segments={TOPOLOGY_KEY: NODE})
ELSEWHERE = csi.Topology(segments={TOPOLOGY_KEY: "node-2"})


async def test_it_says_what_it_can(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        found = (await calls.call(methods.CONTROLLER_GET_CAPABILITIES)).capabilities
        assert tuple(each.rpc.type for each in found) == CAPABILITIES


async def test_a_volume_is_an_empty_directory_of_ours(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=5 * MIB, secrets={"password": "hunter2"})
        assert volume.capacity_bytes == 5 * MIB
        assert [dict(each.segments) for each in volume.accessible_topology] == [{TOPOLOGY_KEY: NODE}]
        assert not volume.HasField("content_source")
        data = calls.data(volume.volume_id)
        assert data.is_dir()
        assert not list(data.iterdir())
        modes = {path: path.stat().st_mode & 0o777 for path in calls.root.rglob("*")}
        assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items())
        kept = b"".join(path.read_bytes() for path in calls.root.rglob("*.json"))
        assert b"hunter2" not in kept


async def test_a_block_volume_is_a_sparse_file(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=64 * MIB, volume_capabilities=[capability(block=True)])
        found = calls.data(volume.volume_id).stat()
        assert found.st_size == 64 * MIB
        assert found.st_blocks == 0


@pytest.mark.parametrize(
    ("fields", "size"),
    [({}, 1 << 30), ({"limit": MIB}, MIB), ({"limit": 1 << 40}, 1 << 30), ({"required": 1, "limit": 1}, 1)],
)
async def test_the_size_is_within_what_was_asked(tmp_path: Path, fields: dict[str, Any], size: int) -> None:
    async with driver_in(tmp_path) as calls:
        assert (await calls.volume(**fields)).capacity_bytes == size


WRONG: dict[str, tuple[Code, dict[str, Any]]] = {
    "no name": (Code.INVALID_ARGUMENT, {"name": ""}),
    "a name that is too long": (Code.INVALID_ARGUMENT, {"name": "n" * 129}),
    "a name with a zero": (Code.INVALID_ARGUMENT, {"name": "a\0b"}),
    "a name with an escape": (Code.INVALID_ARGUMENT, {"name": "a\x1bb"}),
    "a name with a delete": (Code.INVALID_ARGUMENT, {"name": "a\x7fb"}),
    "no capabilities": (Code.INVALID_ARGUMENT, {"volume_capabilities": []}),
    "a capability without access type": (
        Code.INVALID_ARGUMENT,
        {"volume_capabilities": [csi.VolumeCapability(access_mode=MODE(mode=MODE.SINGLE_NODE_WRITER))]},
    ),
    "a capability without access mode": (Code.INVALID_ARGUMENT, {"volume_capabilities": [capability(MODE.UNKNOWN)]}),
    "an access mode of the future": (Code.INVALID_ARGUMENT, {"volume_capabilities": [capability(99)]}),
    "block and mount at once": (
        Code.INVALID_ARGUMENT,
        {"volume_capabilities": [capability(), capability(block=True)]},
    ),
    "an unknown mount flag": (Code.INVALID_ARGUMENT, {"volume_capabilities": [capability(flags=("bind",))]}),
    "a mount group": (
        Code.INVALID_ARGUMENT,
        {
            "volume_capabilities": [
                csi.VolumeCapability(
                    mount=csi.VolumeCapability.MountVolume(volume_mount_group="7"),
                    access_mode=MODE(mode=MODE.SINGLE_NODE_WRITER),
                )
            ]
        },
    ),
    "a negative size": (Code.INVALID_ARGUMENT, {"required": -1}),
    "a negative limit": (Code.INVALID_ARGUMENT, {"limit": -1}),
    "a limit below the size": (Code.INVALID_ARGUMENT, {"required": 2, "limit": 1}),
    "an unknown parameter": (Code.INVALID_ARGUMENT, {"parameters": {"color": "red"}}),
    "an unknown mutable parameter": (Code.INVALID_ARGUMENT, {"mutable_parameters": {"color": "red"}}),
    "a wrong value": (Code.INVALID_ARGUMENT, {"parameters": {"readOnly": "yes"}}),
    "a wrong quota": (Code.INVALID_ARGUMENT, {"parameters": {"quotaBytes": "-1"}}),
    "a quota of many digits": (Code.INVALID_ARGUMENT, {"parameters": {"quotaBytes": "9" * 19}}),
    "a quota above the size": (Code.INVALID_ARGUMENT, {"required": MIB, "parameters": {"quotaBytes": str(2 * MIB)}}),
    "a quota of a block volume": (
        Code.INVALID_ARGUMENT,
        {"volume_capabilities": [capability(block=True)], "parameters": {"quotaBytes": "1"}},
    ),
    "a source of no kind": (Code.INVALID_ARGUMENT, {"volume_content_source": csi.VolumeContentSource()}),
    "a source volume without id": (Code.INVALID_ARGUMENT, {"volume_content_source": of_volume("")}),
    "a source snapshot without id": (Code.INVALID_ARGUMENT, {"volume_content_source": of_snapshot("")}),
    "a source volume that isn't there": (Code.NOT_FOUND, {"volume_content_source": of_volume(NO_VOLUME)}),
    "a source snapshot that isn't there": (Code.NOT_FOUND, {"volume_content_source": of_snapshot("../x")}),
    "more than there is at all": (Code.OUT_OF_RANGE, {"required": (1 << 40) + 1}),
    "another node": (
        Code.RESOURCE_EXHAUSTED,
        {"accessibility_requirements": csi.TopologyRequirement(requisite=[ELSEWHERE], preferred=[ELSEWHERE])},
    ),
    "a domain that we know nothing of": (
        Code.RESOURCE_EXHAUSTED,
        {"accessibility_requirements": csi.TopologyRequirement(requisite=[csi.Topology(segments={"zone": "z"})])},
    ),
}


@pytest.mark.parametrize(("code", "fields"), WRONG.values(), ids=WRONG.keys())
async def test_controller_2_wrong_arguments_make_nothing(tmp_path: Path, code: Code, fields: dict[str, Any]) -> None:
    async with driver_in(tmp_path) as calls:
        await calls.refused(code, methods.CREATE_VOLUME, volume_request(**fields))
        assert calls.is_clean()


@pytest.mark.parametrize(
    "wanted",
    [
        csi.TopologyRequirement(),
        csi.TopologyRequirement(requisite=[ELSEWHERE, HERE], preferred=[ELSEWHERE]),
        csi.TopologyRequirement(preferred=[ELSEWHERE]),
    ],
)
async def test_a_volume_is_made_where_it_may_be(tmp_path: Path, wanted: csi.TopologyRequirement) -> None:
    async with driver_in(tmp_path) as calls:
        assert await calls.volume(accessibility_requirements=wanted)


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the same": ({"required": MIB}, {"required": MIB}),
    "less, without limit": ({"required": MIB}, {"required": 1}),
    "no size": ({"required": MIB}, {}),
    "another access mode": ({}, {"volume_capabilities": [capability(MODE.MULTI_NODE_READER_ONLY)]}),
    "what the caller adds": ({}, {"parameters": {"csi.storage.k8s.io/pvc/name": "data"}}),
    "a parameter with its default": ({}, {"parameters": {"readOnly": "false"}}),
    "a mutable parameter in place of a fixed one": (
        {"parameters": {"readOnly": "true"}},
        {"mutable_parameters": {"readOnly": "true"}},
    ),
    "other secrets": ({"secrets": {"a": "1"}}, {"secrets": {"b": "2"}}),
}
OTHER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "more": ({"required": MIB}, {"required": 2 * MIB}),
    "a limit below it": ({"required": 2 * MIB}, {"required": MIB, "limit": MIB}),
    "a block volume": ({}, {"volume_capabilities": [capability(block=True)]}),
    "another parameter": ({}, {"parameters": {"readOnly": "true"}}),
    "another mutable parameter": ({"required": MIB}, {"required": MIB, "mutable_parameters": {"quotaBytes": "1"}}),
    "a source": ({}, {"volume_content_source": of_volume(NO_VOLUME)}),
    "another node": ({}, {"accessibility_requirements": csi.TopologyRequirement(requisite=[ELSEWHERE])}),
}


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME.keys())
async def test_controller_1_the_same_again_is_the_same_volume(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    async with driver_in(tmp_path) as calls:
        assert await calls.volume(**first) == await calls.volume(**second)
        assert len(await calls.ids()) == 1


@pytest.mark.parametrize(("first", "second"), OTHER.values(), ids=OTHER.keys())
async def test_localvolumes_1_something_else_of_the_same_name_exists_already(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    async with driver_in(tmp_path) as calls:
        await calls.volume(**first)
        await calls.refused(Code.ALREADY_EXISTS, methods.CREATE_VOLUME, volume_request(**second))
        assert len(await calls.ids()) == 1


async def test_a_changed_volume_is_still_what_was_asked_for_at_first(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=MIB, mutable_parameters={"quotaBytes": "1000"})
        await calls.call(
            methods.CONTROLLER_MODIFY_VOLUME, volume_id=volume.volume_id, mutable_parameters={"quotaBytes": "2000"}
        )
        await calls.call(
            methods.CONTROLLER_EXPAND_VOLUME,
            volume_id=volume.volume_id,
            capacity_range=csi.CapacityRange(required_bytes=2 * MIB),
        )
        again = await calls.volume(required=MIB, mutable_parameters={"quotaBytes": "1000"})
        assert (again.volume_id, again.capacity_bytes) == (volume.volume_id, 2 * MIB)


async def test_mutable_parameters_count_more_than_parameters(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(parameters={"readOnly": "true"}, mutable_parameters={"readOnly": "false"})
        await calls.publish(volume.volume_id, calls.pods / "writable")  # a link would refuse to be read-only


async def test_delete_removes_all_of_it_and_may_be_said_again(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume()
        (calls.data(volume.volume_id) / "deep" / "down").mkdir(parents=True)
        (calls.data(volume.volume_id) / "out").symlink_to(tmp_path)
        for _ in range(2):
            await calls.call(methods.DELETE_VOLUME, volume_id=volume.volume_id)
        assert calls.is_clean()
        assert calls.pods.exists()
        assert (await calls.volume()).volume_id != volume.volume_id, "a late DeleteVolume never hits a new volume"


@pytest.mark.parametrize("identity", STRANGE_IDS)
async def test_an_id_is_never_a_path(tmp_path: Path, identity: str) -> None:
    async with driver_in(tmp_path) as calls:
        await calls.volume()
        before = sorted(tmp_path.rglob("*"))
        await calls.call(methods.DELETE_VOLUME, volume_id=identity)
        await calls.call(methods.DELETE_SNAPSHOT, snapshot_id=identity)
        fits = {"volume_capabilities": [capability()]}
        grown = {"capacity_range": csi.CapacityRange(required_bytes=MIB)}
        changed = {"mutable_parameters": {"readOnly": "true"}}
        target = {"target_path": str(calls.pods / "x")}
        path = {"volume_path": str(calls.pods / "x")}
        for method, fields in [
            (methods.VALIDATE_VOLUME_CAPABILITIES, fits),
            (methods.CONTROLLER_GET_VOLUME, {}),
            (methods.CONTROLLER_EXPAND_VOLUME, grown),
            (methods.CONTROLLER_MODIFY_VOLUME, changed),
            (methods.NODE_PUBLISH_VOLUME, target | {"volume_capability": capability()}),
            (methods.NODE_UNPUBLISH_VOLUME, target),
            (methods.NODE_GET_VOLUME_STATS, path),
            (methods.NODE_EXPAND_VOLUME, path),
        ]:
            await calls.refused(Code.NOT_FOUND, method, volume_id=identity, **fields)  # type: ignore[arg-type]
        await calls.refused(Code.NOT_FOUND, methods.CREATE_SNAPSHOT, name="s", source_volume_id=identity)
        await calls.refused(Code.NOT_FOUND, methods.GET_SNAPSHOT, snapshot_id=identity)
        assert sorted(tmp_path.rglob("*")) == before


async def test_each_call_needs_its_id(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        for method in (
            methods.DELETE_VOLUME,
            methods.VALIDATE_VOLUME_CAPABILITIES,
            methods.CONTROLLER_GET_VOLUME,
            methods.CONTROLLER_EXPAND_VOLUME,
            methods.CONTROLLER_MODIFY_VOLUME,
            methods.DELETE_SNAPSHOT,
            methods.GET_SNAPSHOT,
            methods.CREATE_SNAPSHOT,
            methods.NODE_PUBLISH_VOLUME,
            methods.NODE_UNPUBLISH_VOLUME,
            methods.NODE_GET_VOLUME_STATS,
            methods.NODE_EXPAND_VOLUME,
        ):
            assert "is missing" in await calls.refused(Code.INVALID_ARGUMENT, method)


async def test_capabilities_are_confirmed_or_refused_in_words(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=MIB, parameters={"quotaBytes": "5"})

        async def validate(*capabilities: csi.VolumeCapability, **fields: Any) -> Any:
            return await calls.call(
                methods.VALIDATE_VOLUME_CAPABILITIES,
                volume_id=volume.volume_id,
                volume_capabilities=capabilities,
                **fields,
            )

        every = [capability(mode) for mode in MODE.Mode.values() if mode]
        fields = {
            "volume_context": {"a": "b"},
            "parameters": {"quotaBytes": "5"},
            "mutable_parameters": {"readOnly": "false"},
        }
        confirmed = (await validate(*every, **fields)).confirmed
        assert list(confirmed.volume_capabilities) == every
        assert {name: dict(getattr(confirmed, name)) for name in fields} == fields
        for answer in (
            await validate(capability(block=True)),
            await validate(capability(), capability(MODE.UNKNOWN)),
            await validate(capability(flags=("strange",))),
            await validate(capability(), parameters={"quotaBytes": "6"}),
            await validate(capability(), parameters={"color": "red"}),
            await validate(capability(), mutable_parameters={"readOnly": "true"}),
        ):
            assert not answer.HasField("confirmed")
            assert answer.message
        await calls.refused(Code.INVALID_ARGUMENT, methods.VALIDATE_VOLUME_CAPABILITIES, volume_id=volume.volume_id)


async def test_volumes_are_listed_page_by_page_with_their_conditions(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        made = {(await calls.volume(f"pvc-{number}")).volume_id for number in range(5)}
        seen, token = [], ""
        while True:
            page = await calls.call(methods.LIST_VOLUMES, max_entries=2, starting_token=token)
            assert len(page.entries) <= 2
            seen += [entry.volume.volume_id for entry in page.entries]
            assert all(not entry.status.volume_condition.abnormal for entry in page.entries)
            assert all(entry.status.volume_condition.message for entry in page.entries)
            token = page.next_token
            if not token:
                break
            await calls.call(methods.DELETE_VOLUME, volume_id=seen[-1])  # the token's own: it stays good
        assert seen == sorted(made)
        await calls.refused(Code.INVALID_ARGUMENT, methods.LIST_VOLUMES, max_entries=-1)


async def test_an_abnormal_volume_is_told(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        missing = await calls.volume("missing")
        small = await calls.volume("small", required=MIB, volume_capabilities=[capability(block=True)])
        linked = await calls.volume("linked")
        full = await calls.volume("full", required=4096)
        calls.data(missing.volume_id).rmdir()
        os.truncate(calls.data(small.volume_id), 5)
        calls.data(linked.volume_id).rmdir()
        calls.data(linked.volume_id).symlink_to(tmp_path)
        (calls.data(full.volume_id) / "file").write_bytes(b"x" * 8192)
        listed = {
            entry.volume.volume_id: entry.status.volume_condition.abnormal
            for entry in (await calls.call(methods.LIST_VOLUMES)).entries
        }
        assert listed == {
            missing.volume_id: True,
            small.volume_id: True,
            linked.volume_id: True,
            full.volume_id: False,  # a list doesn't count what is in each
        }
        for volume in (missing, small, linked, full):
            answer = await calls.call(methods.CONTROLLER_GET_VOLUME, volume_id=volume.volume_id)
            assert answer.status.volume_condition.abnormal
            assert answer.volume == volume
        await calls.refused(Code.INTERNAL, methods.CREATE_SNAPSHOT, name="s", source_volume_id=linked.volume_id)


async def test_pool_1_capacity_is_what_is_left(tmp_path: Path) -> None:
    async with driver_in(tmp_path, capacity_bytes=10 * MIB) as calls:

        async def capacity(**fields: Any) -> tuple[int, int]:
            answer = await calls.call(methods.GET_CAPACITY, **fields)
            return answer.available_capacity, answer.maximum_volume_size.value

        volume = await calls.volume(required=4 * MIB)
        assert await capacity() == (6 * MIB, 6 * MIB)
        assert await capacity(accessible_topology=HERE, volume_capabilities=[capability(block=True)]) == (
            6 * MIB,
            6 * MIB,
        )
        assert await capacity(accessible_topology=ELSEWHERE) == (0, 0)
        await calls.refused(Code.INVALID_ARGUMENT, methods.GET_CAPACITY, parameters={"color": "red"})
        await calls.refused(Code.INVALID_ARGUMENT, methods.GET_CAPACITY, volume_capabilities=[capability(99)])
        await calls.refused(Code.RESOURCE_EXHAUSTED, methods.CREATE_VOLUME, volume_request("b", required=7 * MIB))
        snapshot = await calls.snapshot("s", volume.volume_id)
        assert (await capacity())[0] == 2 * MIB
        await calls.refused(
            Code.RESOURCE_EXHAUSTED, methods.CREATE_SNAPSHOT, name="t", source_volume_id=volume.volume_id
        )
        await calls.call(methods.DELETE_SNAPSHOT, snapshot_id=snapshot.snapshot_id)
        await calls.call(methods.DELETE_VOLUME, volume_id=volume.volume_id)
        assert (await capacity())[0] == 10 * MIB
        assert calls.is_clean()
    async with driver_in(tmp_path, capacity_bytes=None) as calls:
        found = os.statvfs(tmp_path)
        assert (await calls.call(methods.GET_CAPACITY)).available_capacity <= found.f_blocks * found.f_frsize


@pytest.mark.parametrize("block", [False, True])
async def test_localvolumes_2_a_volume_grows_and_never_shrinks(tmp_path: Path, block: bool) -> None:
    async with driver_in(tmp_path, capacity_bytes=10 * MIB) as calls:
        volume = await calls.volume(required=2 * MIB, volume_capabilities=[capability(block=block)])

        def request(**sizes: int) -> csi.ControllerExpandVolumeRequest:
            return csi.ControllerExpandVolumeRequest(
                volume_id=volume.volume_id,
                capacity_range=csi.CapacityRange(**sizes),
                volume_capability=capability(block=block),
            )

        method = methods.CONTROLLER_EXPAND_VOLUME
        for size, result in [(3, 3), (3, 3), (1, 3)]:
            answer = await calls.call(method, request(required_bytes=size * MIB))
            assert (answer.capacity_bytes, answer.node_expansion_required) == (result * MIB, False)
        if block:
            assert calls.data(volume.volume_id).stat().st_size == 3 * MIB
        await calls.refused(Code.OUT_OF_RANGE, method, request(required_bytes=MIB, limit_bytes=2 * MIB))
        await calls.refused(Code.OUT_OF_RANGE, method, request(required_bytes=11 * MIB))
        await calls.volume("other", required=MIB)
        await calls.refused(Code.RESOURCE_EXHAUSTED, method, request(required_bytes=10 * MIB))
        await calls.refused(Code.INVALID_ARGUMENT, method, request())
        await calls.refused(Code.INVALID_ARGUMENT, method, request(required_bytes=-1))
        await calls.refused(Code.INVALID_ARGUMENT, method, volume_id=volume.volume_id)
        wrong = request(required_bytes=4 * MIB)
        wrong.volume_capability.CopyFrom(capability(block=not block))
        await calls.refused(Code.INVALID_ARGUMENT, method, wrong)
        assert (await calls.volume(volume_capabilities=[capability(block=block)])).capacity_bytes == 3 * MIB


async def test_localvolumes_4_a_change_is_whole_or_nothing(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=MIB)
        disk = await calls.volume("disk", volume_capabilities=[capability(block=True)])

        async def total() -> Any:
            await calls.publish(volume.volume_id, calls.pods / "a")
            answer = await calls.call(
                methods.NODE_GET_VOLUME_STATS, volume_id=volume.volume_id, volume_path=str(calls.pods / "a")
            )
            return answer.usage[0].total

        method = methods.CONTROLLER_MODIFY_VOLUME
        for _ in range(2):
            await calls.call(method, volume_id=volume.volume_id, mutable_parameters={"quotaBytes": "5000"})
        assert await total() == 5000
        for wrong in (
            {},
            {"quotaBytes": "7000", "color": "red"},
            {"quotaBytes": "7000", "readOnly": "maybe"},
            {"quotaBytes": str(2 * MIB)},
            {"quotaBytes": "1e3"},
        ):
            await calls.refused(Code.INVALID_ARGUMENT, method, volume_id=volume.volume_id, mutable_parameters=wrong)
        assert await total() == 5000
        await calls.call(method, volume_id=volume.volume_id, mutable_parameters={"readOnly": "false"})
        assert await total() == 5000, "what isn't named stays"
        await calls.call(method, volume_id=volume.volume_id, mutable_parameters={"quotaBytes": "0"})
        assert await total() == MIB
        await calls.refused(
            Code.INVALID_ARGUMENT, method, volume_id=disk.volume_id, mutable_parameters={"quotaBytes": "1"}
        )


async def test_many_calls_for_one_name_make_one_volume(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        found = await asyncio.gather(*(calls.volume() for _ in range(20)))
        assert len({volume.volume_id for volume in found}) == 1
        identity = found[0].volume_id
        await asyncio.gather(*(calls.call(methods.DELETE_VOLUME, volume_id=identity) for _ in range(20)))
        assert calls.is_clean()


async def test_pool_2_many_at_once_get_no_more_than_there_is(tmp_path: Path) -> None:
    async with driver_in(tmp_path, capacity_bytes=5 * MIB) as calls:
        found = await asyncio.gather(
            *(calls.volume(f"pvc-{number}", required=MIB) for number in range(12)), return_exceptions=True
        )
        assert sum(isinstance(each, csi.Volume) for each in found) == 5
        assert len(await calls.ids()) == 5
