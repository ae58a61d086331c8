"""Volumes that are modified through a driver, on a real API server with the real binder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.controllers.cluster import fails
from tests.controllers.csi.fake_driver import NAME, FakeDriver
from tests.controllers.csi.stage import MODIFYING, Meanwhile, Stage, attributes_class, disk, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.options import ResizerOptions
from pvbinder.csi.errors import AnswerUnreadable, CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import CLAIMS, EVENTS, VOLUMES
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json


def refuses(*codes: Code, text: str = "no") -> Callable[[Any], None]:
    """Fail the first modifications with these codes."""
    left = list(codes)

    def fail(request: Any) -> None:
        if left and isinstance(request, csi.ControllerModifyVolumeRequest):
            raise CallFailed(left.pop(0), text)

    return fail


def tiers(driver: FakeDriver) -> list[str]:
    """The tiers that were asked for, call by call."""
    return [one.mutable_parameters["tier"] for one in driver.calls(methods.CONTROLLER_MODIFY_VOLUME)]


def conditions(status: Json) -> dict[str, str]:
    """The conditions that a claim has, and their messages."""
    return {one["type"]: one.get("message", "") for one in status.get("conditions") or []}


@asynccontextmanager
async def bound(
    driver: FakeDriver | None = None, options: ResizerOptions | None = None, parameters: Json | None = None
) -> AsyncGenerator[Stage]:
    """A stage with a claim of the class `silver` that has its volume."""
    async with stage(driver, chosen=MODIFYING, resizing=options) as s:
        await s.cluster.create(storage_class(parameters=parameters or {}))
        await s.cluster.create(attributes_class("silver"), attributes_class("gold"), attributes_class("lead"))
        await s.want(volumeAttributesClassName="silver")
        await s.until_bound()
        yield s


async def name_class(s: Stage, name: str | None) -> None:
    await s.edit({"spec": {"volumeAttributesClassName": name}})


async def until_has_class(s: Stage, name: str) -> None:
    await s.until_status(lambda status: status.get("currentVolumeAttributesClassName") == name)


def volume_class(s: Stage) -> str:
    (volume,) = s.cluster.of(VOLUMES)
    return volume.attributes_class


@on_virtual_time
async def test_a_volume_takes_on_another_class() -> None:  # VM-1, VM-2, VM-4, VM-6, VM-7, VM-8
    driver = FakeDriver()
    async with bound(driver) as s:
        await asyncio.sleep(5)
        assert tiers(driver) == []
        driver.seconds = 1.0
        await name_class(s, "gold")
        await s.until_status(lambda status: "modifyVolumeStatus" in status)
        status = await s.status()
        assert status["modifyVolumeStatus"] == {"status": "InProgress", "targetVolumeAttributesClassName": "gold"}
        assert conditions(status) == {"ModifyingVolume": 'Modifying volume to "gold" is in progress.'}

        await until_has_class(s, "gold")
        await s.until_told("external resizer modified volume orders with vac gold", "VolumeModifySuccessful")
        status = await s.status()
        assert "modifyVolumeStatus" not in status
        assert "conditions" not in status
        assert volume_class(s) == "gold"
        (asked,) = driver.calls(methods.CONTROLLER_MODIFY_VOLUME)
        assert asked.volume_id == next(iter(driver.volumes.values())).volume_id
        assert dict(asked.mutable_parameters) == {"tier": "gold"}
        assert s.told("VolumeModify") == ["external resizer is modifying volume orders with vac gold"]


@on_virtual_time
async def test_a_volume_without_a_class_takes_one_on() -> None:  # VM-2
    async with stage(chosen=MODIFYING, resizing=ResizerOptions(extra_modify_metadata=True)) as s:
        await s.cluster.create(storage_class(), attributes_class("gold"))
        await s.want()
        await s.until_bound()
        await name_class(s, "gold")
        await until_has_class(s, "gold")
        (asked,) = s.driver.calls(methods.CONTROLLER_MODIFY_VOLUME)
        assert asked.mutable_parameters["csi.storage.k8s.io/pvc/name"] == "orders"
        assert asked.mutable_parameters["csi.storage.k8s.io/pv/name"].startswith("pvc-")


@on_virtual_time
async def test_csi_modifier_1_what_was_begun_is_seen_through_after_a_crash() -> None:  # VM-4
    driver = FakeDriver()
    async with bound(driver) as s:
        driver.seconds = 3600.0
        await name_class(s, "gold")
        await s.cluster.until(lambda: bool(tiers(driver)))
        await s.cluster.stop()
        driver.seconds = 0.0
        await name_class(s, "lead")  # but gold may be under way
        await s.cluster.start()
        await until_has_class(s, "gold")
        await until_has_class(s, "lead")
        assert tiers(driver) == ["gold", "gold", "lead"]


@on_virtual_time
async def test_csi_modifier_1_a_stale_cache_asks_for_nothing() -> None:
    async with bound() as s:
        s.cluster.line.line = Meanwhile(s.cluster.line.line, lambda: name_class(s, "lead"))
        await name_class(s, "gold")
        await until_has_class(s, "lead")
        assert tiers(s.driver) == ["lead"]


@pytest.mark.parametrize("ending", ["/persistentvolumeclaims/orders/status", "/persistentvolumes/"])
@on_virtual_time
async def test_csi_modifier_1_a_write_that_fails_is_made_again(ending: str) -> None:
    async with bound() as s:
        for broken, name in enumerate(["gold", "lead", "silver"]):
            seen = 0

            def fault(request: Request, broken: int = broken) -> None:
                nonlocal seen
                if request.method == "PATCH" and ending in request.path:
                    seen += 1
                    if seen == broken + 1:
                        fails(1, "PATCH")(request)

            s.cluster.line.before = fault
            await name_class(s, name)
            await until_has_class(s, name)
            await s.cluster.settle()
            assert volume_class(s) == name
            assert "conditions" not in await s.status()


@pytest.mark.parametrize(
    ("code", "then"),
    [
        (Code.CANCELLED, ["gold", "gold", "lead"]),
        (Code.DEADLINE_EXCEEDED, ["gold", "gold", "lead"]),
        (Code.UNAVAILABLE, ["gold", "gold", "lead"]),
        (Code.RESOURCE_EXHAUSTED, ["gold", "gold", "lead"]),
        (Code.ABORTED, ["gold", "gold", "lead"]),
        (Code.INTERNAL, ["gold", "lead"]),
        (Code.OUT_OF_RANGE, ["gold", "lead"]),
        (Code.NOT_FOUND, ["gold", "lead"]),
        (Code.INVALID_ARGUMENT, ["gold", "lead"]),
    ],
)
@on_virtual_time
async def test_csi_modifier_2_another_class_counts_after_a_final_error_only(code: Code, then: list[str]) -> None:
    driver = FakeDriver()
    async with bound(driver) as s:
        driver.before = refuses(code, text="not now")
        await name_class(s, "gold")
        await s.until_told("not now", "VolumeModifyFailed")
        status = await s.status()
        is_final = then == ["gold", "lead"]
        outcome = "failed. Waiting for retry." if is_final else "is still in progress."
        assert conditions(status) == {
            "ModifyingVolume": f'Modifying volume to "gold" {outcome}',
            "ModifyVolumeError": "not now",
        }  # VM-9
        error = next(one for one in status["conditions"] if one["type"] == "ModifyVolumeError")
        assert error["reason"] == code.value
        state = "Infeasible" if code is Code.INVALID_ARGUMENT else "InProgress"
        assert status["modifyVolumeStatus"] == {"status": state, "targetVolumeAttributesClassName": "gold"}
        told = f"rpc error: code = {code.value} desc = not now"
        assert s.told("VolumeModifyFailed") == [told if is_final else f"{told}. Still modifying to VAC gold"]
        await name_class(s, "lead")
        await until_has_class(s, "lead")
        assert tiers(driver) == then
        await s.cluster.settle()
        assert "conditions" not in await s.status()


@on_virtual_time
async def test_csi_modifier_2_an_answer_that_cannot_be_read_may_have_been_a_yes() -> None:
    driver = FakeDriver()
    async with bound(driver) as s:
        left = 1

        def unreadable(request: Any) -> None:
            nonlocal left
            if left and isinstance(request, csi.ControllerModifyVolumeRequest):
                left -= 1
                raise AnswerUnreadable(Code.INTERNAL, "nonsense")

        driver.after = unreadable
        await name_class(s, "gold")
        await s.until_told("nonsense. Still modifying to VAC gold", "VolumeModifyFailed")
        await name_class(s, "lead")
        await until_has_class(s, "lead")
        assert tiers(driver) == ["gold", "gold", "lead"]


@on_virtual_time
async def test_csi_modifier_2_the_earlier_class_is_gone_back_to() -> None:
    driver = FakeDriver()
    async with bound(driver) as s:
        driver.before = refuses(Code.INVALID_ARGUMENT, text="no gold here")
        await name_class(s, "gold")
        await s.until_told("no gold here", "VolumeModifyFailed")
        await name_class(s, "silver")
        await s.until_told("external resizer modified volume orders with vac silver", "VolumeModifySuccessful")
        await s.cluster.settle()
        status = await s.status()
        assert status["currentVolumeAttributesClassName"] == "silver"
        assert "modifyVolumeStatus" not in status
        assert "conditions" not in status
        assert tiers(driver) == ["gold", "silver"]


@on_virtual_time
async def test_csi_modifier_3_what_is_infeasible_is_tried_again_after_the_longest_pause() -> None:  # VM-10
    driver = FakeDriver()
    async with bound(driver, ResizerOptions(retry_interval_max_seconds=120.0)) as s:
        driver.before = refuses(*[Code.INVALID_ARGUMENT] * 9)
        await name_class(s, "gold")
        await s.until_told("InvalidArgument", "VolumeModifyFailed")
        await asyncio.sleep(100)
        assert tiers(driver) == ["gold"]
        await asyncio.sleep(30)
        assert tiers(driver) == ["gold", "gold"]
        driver.before = lambda _: None
        await name_class(s, "lead")
        await until_has_class(s, "lead")
        assert tiers(driver) == ["gold", "gold", "lead"]


@on_virtual_time
async def test_a_class_that_is_taken_back_cancels_what_is_infeasible() -> None:  # VM-3
    driver = FakeDriver()
    async with stage(driver, chosen=MODIFYING) as s:
        await s.cluster.create(storage_class(), attributes_class("gold"))
        await s.want()
        await s.until_bound()
        driver.before = refuses(Code.INVALID_ARGUMENT)
        await name_class(s, "gold")
        await s.until_told("InvalidArgument", "VolumeModifyFailed")
        await name_class(s, None)
        await s.until_told("Cancelled modify.", "VolumeModifyCanceled")
        await s.until_status(lambda status: "ModifyingVolume" not in conditions(status))
        await asyncio.sleep(400)
        assert tiers(driver) == ["gold"]


@on_virtual_time
async def test_a_class_that_is_not_there_is_waited_for() -> None:  # VM-5
    async with bound() as s:
        await name_class(s, "late")
        await s.until_told('VAC "late" does not exist.', "VolumeModifyFailed")
        await s.until_status(lambda status: "modifyVolumeStatus" in status)
        assert (await s.status())["modifyVolumeStatus"] == {"status": "Pending"}
        await asyncio.sleep(60)
        await s.cluster.create(attributes_class("late"))
        await until_has_class(s, "late")


@on_virtual_time
async def test_csi_modifier_4_secrets_go_to_the_driver_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = "csi.storage.k8s.io/controller-modify-secret"
    async with bound(parameters={f"{key}-name": "keys", f"{key}-namespace": "default"}) as s:
        await name_class(s, "gold")
        await s.until_told("error getting secret keys in namespace default: ", "VolumeModifyFailed")
        assert tiers(s.driver) == []
        await name_class(s, "lead")  # nothing was asked yet, so gold is no goal any more
        await s.keep_secret(password="swordfish")
        await until_has_class(s, "lead")
        assert tiers(s.driver) == ["lead"]
        assert dict(s.driver.calls(methods.CONTROLLER_MODIFY_VOLUME)[0].secrets) == {"password": "swordfish"}
        assert "swordfish" not in caplog.text
        for cache in (s.cluster.of(CLAIMS), s.cluster.of(VOLUMES), s.cluster.of(EVENTS)):
            assert all(b"swordfish" not in one.raw for one in cache)


@on_virtual_time
async def test_csi_modifier_5_a_class_of_another_driver_is_not_given_to_ours() -> None:
    async with bound() as s:
        await s.cluster.create(attributes_class("foreign", "other.example.com"))
        await name_class(s, "foreign")
        await s.until_told(
            f"VAC foreign referenced in PVC is for driver other.example.com which does not match driver name {NAME}",
            "VolumeModifyFailed",
        )
        await asyncio.sleep(30)
        assert tiers(s.driver) == []
        assert (await s.status())["modifyVolumeStatus"] == {"status": "Pending"}
        await name_class(s, "silver")  # back
        await s.until_status(lambda status: "modifyVolumeStatus" not in status)


@on_virtual_time
async def test_a_claim_whose_volume_comes_later_waits_for_it() -> None:  # VM-1
    async with stage(chosen="csi-modifier") as s:
        await s.cluster.create(storage_class(), attributes_class("gold"))
        uid = await s.want(volumeName="disk", volumeAttributesClassName="gold")
        await s.call_bound()
        await asyncio.sleep(60)
        await s.cluster.create(disk())
        await asyncio.sleep(60)
        assert tiers(s.driver) == []
        reference = {"namespace": "default", "name": "orders", "uid": uid}
        await s.cluster.client.patch(VOLUMES, "disk", "", {"spec": {"claimRef": reference}}, patch_type="merge")
        await until_has_class(s, "gold")


@on_virtual_time
async def test_a_claim_that_names_another_volume_than_its_own_is_left_alone() -> None:  # VM-1
    async with stage(chosen="csi-modifier") as s:
        await s.cluster.create(storage_class(), attributes_class("gold"))
        await s.want(volumeName="disk", volumeAttributesClassName="gold")
        await s.call_bound()
        await s.cluster.create(disk(claimRef={"namespace": "default", "name": "orders", "uid": "of-another"}))
        await asyncio.sleep(60)
        assert tiers(s.driver) == []
