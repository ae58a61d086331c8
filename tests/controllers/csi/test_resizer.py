"""Claims that grow through a driver, on a real API server with the real binder."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from tests.controllers.cluster import fails, pod, using
from tests.controllers.csi.fake_driver import ABILITIES, NAME, FakeDriver
from tests.controllers.csi.resizing import GI, PRE_RESIZE, bound, conditions, expansions, refuses, volume_of
from tests.controllers.csi.stage import SECRET, Meanwhile, disk, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import ResizerOptions
from pvbinder.csi.errors import AnswerUnreadable, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import CLAIMS, EVENTS, PODS, VOLUMES
from pvbinder.kube.transport import Request

SECRETS = {
    "csi.storage.k8s.io/controller-expand-secret-name": "keys",
    "csi.storage.k8s.io/controller-expand-secret-namespace": "default",
}
NOT_REQUIRED = "volume.kubernetes.io/node-expansion-not-required"


@on_virtual_time
async def test_a_claim_grows_at_once_where_the_node_has_nothing_to_do() -> None:  # RS-1, RS-4, RS-7, RS-9 to RS-13
    async with bound() as s:
        await s.grow("2Gi")
        await s.until_has("2Gi")
        await s.until_told("Resize volume succeeded", "VolumeResizeSuccessful")
        await s.cluster.settle()

        status = await s.status()
        assert status["capacity"] == {"storage": "2Gi"}
        assert status["allocatedResources"] == {"storage": "2Gi"}
        assert "allocatedResourceStatuses" not in status
        assert "conditions" not in status
        claim = (await s.cluster.client.get(CLAIMS, "orders", "default")).document()
        assert claim["metadata"]["annotations"][NOT_REQUIRED] == "true"
        volume = volume_of(s)
        assert volume["spec"]["capacity"] == {"storage": "2Gi"}
        assert PRE_RESIZE not in volume["metadata"]["annotations"]
        (asked,) = s.driver.calls(methods.CONTROLLER_EXPAND_VOLUME)
        assert asked.volume_id == volume["spec"]["csi"]["volumeHandle"]
        assert asked.capacity_range == csi.CapacityRange(required_bytes=2 * GI)
        assert asked.volume_capability.access_mode.mode == csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER
        assert s.told("Resizing") == [f"External resizer is resizing volume {volume['metadata']['name']}"]


@on_virtual_time
async def test_claims_of_others_are_left_alone() -> None:  # RS-2, RS-4, RS-5
    async with bound() as s:
        source = {"driver": "other.example.com", "volumeHandle": "h"}
        other = disk(csi=source, claimRef={"name": "other", "namespace": "default"})
        other["metadata"]["annotations"] = {PRE_RESIZE: "1Gi"}
        await s.cluster.create(other)
        await s.want("other", volumeName="disk")
        await s.until_bound("other")
        await s.grow("2Gi", "other")
        await s.want("unbound", storageClassName="")
        await asyncio.sleep(60)
        assert expansions(s.driver) == []
        assert s.told("VolumeResizeFailed") == []
        assert PRE_RESIZE in s.cluster.of(VOLUMES)["disk"].annotations


@on_virtual_time
async def test_csi_resizer_1_the_size_is_written_down_before_the_driver_is_asked() -> None:
    driver = FakeDriver()
    async with bound(driver) as s:
        driver.seconds = 3600.0  # it never answers
        await s.grow("2Gi")
        await s.cluster.until(lambda: bool(expansions(driver)))
        status = await s.status()
        assert status["allocatedResources"] == {"storage": "2Gi"}
        assert status["allocatedResourceStatuses"] == {"storage": "ControllerResizeInProgress"}
        assert conditions(status) == {"Resizing": ""}

        await s.cluster.stop()  # a crash
        driver.seconds = 0.0
        await s.grow("1500Mi")  # what was asked for may be under way: it is seen through
        await s.cluster.start()
        await s.until_has("2Gi")
        assert expansions(driver) == [2 * GI, 2 * GI]


@on_virtual_time
async def test_csi_resizer_1_a_lost_answer_costs_one_more_call_for_the_same_size() -> None:
    driver = FakeDriver()
    async with bound(driver) as s:
        driver.after = refuses(Code.DEADLINE_EXCEEDED, text="no answer in time")
        await s.grow("2Gi")
        await s.until_told("DeadlineExceeded", "VolumeResizeFailed")
        await s.until_has("2Gi")
        assert expansions(driver) == [2 * GI, 2 * GI]
        name = volume_of(s)["metadata"]["name"]
        error = "rpc error: code = DeadlineExceeded desc = no answer in time"
        assert s.told("VolumeResizeFailed") == [f'resize volume "{name}" by resizer "{NAME}" failed: {error}']


@pytest.mark.parametrize("ending", ["/persistentvolumeclaims/orders/status", "/persistentvolumes/"])
@on_virtual_time
async def test_csi_resizer_1_a_write_that_fails_is_made_again(ending: str) -> None:
    async with bound() as s:
        for broken in range(3):  # the first write like this, then the second, then the third
            seen = 0

            def fault(request: Request, broken: int = broken) -> None:
                nonlocal seen
                if request.method == "PATCH" and ending in request.path:
                    seen += 1
                    if seen == broken + 1:
                        fails(1, "PATCH")(request)

            s.cluster.line.before = fault
            await s.grow(f"{broken + 2}Gi")
            await s.until_has(f"{broken + 2}Gi")
            await s.cluster.settle()
            assert volume_of(s)["spec"]["capacity"] == {"storage": f"{broken + 2}Gi"}
            assert "conditions" not in await s.status()


@on_virtual_time
async def test_csi_resizer_1_a_stale_cache_asks_for_nothing() -> None:
    async with bound() as s:
        s.cluster.line.line = Meanwhile(s.cluster.line.line, lambda: s.grow("1500Mi"))
        await s.grow("2Gi")
        await s.until_has("1500Mi")
        assert expansions(s.driver) == [1500 << 20]


@pytest.mark.parametrize(
    ("code", "then"),
    [
        (Code.CANCELLED, 2 * GI),
        (Code.DEADLINE_EXCEEDED, 2 * GI),
        (Code.UNAVAILABLE, 2 * GI),
        (Code.RESOURCE_EXHAUSTED, 2 * GI),
        (Code.ABORTED, 2 * GI),
        (Code.INTERNAL, 1500 << 20),
        (Code.UNKNOWN, 1500 << 20),
        (Code.PERMISSION_DENIED, 1500 << 20),
        (Code.FAILED_PRECONDITION, 1500 << 20),
        (Code.UNIMPLEMENTED, 1500 << 20),
        (Code.INVALID_ARGUMENT, 1500 << 20),
        (Code.OUT_OF_RANGE, 1500 << 20),
        (Code.NOT_FOUND, 1500 << 20),
    ],
)
@on_virtual_time
async def test_csi_resizer_2_a_smaller_request_counts_after_a_final_error_only(code: Code, then: int) -> None:  # RF-2
    driver = FakeDriver()
    async with bound(driver) as s:
        driver.before = refuses(code)
        await s.grow("2Gi")
        await s.cluster.until(lambda: bool(s.told("VolumeResizeFailed")))
        await s.grow("1500Mi")  # RF-1
        await s.until_status(lambda status: status["capacity"]["storage"] != "1Gi")
        assert expansions(driver) == [2 * GI, then]
        await s.cluster.settle()
        assert "conditions" not in await s.status()


@on_virtual_time
async def test_csi_resizer_2_what_was_final_counts_no_longer_when_the_next_call_may_be_running() -> None:
    driver = FakeDriver()
    async with bound(driver) as s:
        driver.before = refuses(Code.INTERNAL, Code.DEADLINE_EXCEEDED)
        await s.grow("2Gi")
        await s.until_told("DeadlineExceeded", "VolumeResizeFailed")
        await s.grow("1500Mi")
        await s.until_has("2Gi")
        assert expansions(driver) == [2 * GI, 2 * GI, 2 * GI]


@on_virtual_time
async def test_csi_resizer_2_an_answer_that_cannot_be_read_may_have_been_a_yes() -> None:
    driver = FakeDriver()
    async with bound(driver) as s:
        left = 1

        def unreadable(request: Any) -> None:
            nonlocal left
            if left and isinstance(request, csi.ControllerExpandVolumeRequest):
                left -= 1
                raise AnswerUnreadable(Code.INTERNAL, "the answer to ControllerExpandVolume is nonsense")

        driver.after = unreadable
        await s.grow("2Gi")
        await s.until_told("nonsense", "VolumeResizeFailed")
        await s.grow("1500Mi")
        await s.until_has("2Gi")
        assert expansions(driver) == [2 * GI, 2 * GI]


@pytest.mark.parametrize("given", [0, -1, GI, 2 * GI - 1])
@on_virtual_time
async def test_csi_resizer_3_less_than_was_asked_for_is_no_success(given: int) -> None:
    driver = FakeDriver()
    async with bound(driver) as s:
        for volume in driver.volumes.values():
            volume.capacity_bytes = given  # so that it says what it is told to say
        driver.given = lambda _: given
        await s.grow("2Gi")
        await s.until_told("less than the 2147483648 that it was asked for", "VolumeResizeFailed")
        await asyncio.sleep(0.5)
        status = await s.status()
        assert status["capacity"] == {"storage": "1Gi"}
        assert "ControllerResizeError" in conditions(status)
        assert volume_of(s)["spec"]["capacity"] == {"storage": "1Gi"}
        before = len(expansions(driver))
        await asyncio.sleep(20)
        assert len(expansions(driver)) <= before + 5  # with pauses
        driver.given = lambda asked: asked
        await s.grow("1500Mi")
        await s.until_status(lambda status: status["capacity"]["storage"] != "1Gi")
        assert (await s.status())["capacity"]["storage"] == ("2147483647" if given == 2 * GI - 1 else "1500Mi")


@on_virtual_time
async def test_csi_resizer_3_more_than_was_asked_for_is_what_there_is() -> None:  # RS-11
    driver = FakeDriver()
    driver.given = lambda _: 4 * GI
    async with bound(driver) as s:
        await s.grow("2Gi")
        await s.until_has("4Gi")
        assert volume_of(s)["spec"]["capacity"] == {"storage": "4Gi"}
        assert (await s.status())["allocatedResources"] == {"storage": "2Gi"}


@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.NOT_FOUND])
@on_virtual_time
async def test_csi_resizer_4_what_is_infeasible_is_tried_again_after_the_longest_pause(code: Code) -> None:  # RS-6
    driver = FakeDriver()
    async with bound(driver, options=ResizerOptions(retry_interval_max_seconds=120.0)) as s:
        driver.before = refuses(*[code] * 9, text="too large")
        await s.grow("2Gi")
        await s.until_told("too large", "VolumeResizeFailed")
        await asyncio.sleep(1)
        status = await s.status()
        assert status["allocatedResourceStatuses"] == {"storage": "ControllerResizeInfeasible"}
        assert conditions(status) == {
            "Resizing": "",
            "ControllerResizeError": f"failed to expand pvc with rpc error: code = {code.value} desc = too large",
        }
        await asyncio.sleep(100)
        assert expansions(driver) == [2 * GI]
        await asyncio.sleep(30)
        assert expansions(driver) == [2 * GI, 2 * GI]

        driver.before = lambda _: None
        await s.grow("1500Mi")  # RF-1: another size is another question
        await s.until_has("1500Mi")
        assert expansions(driver) == [2 * GI, 2 * GI, 1500 << 20]
        await s.cluster.settle()
        status = await s.status()
        assert "conditions" not in status
        assert "allocatedResourceStatuses" not in status


@on_virtual_time
async def test_a_final_error_that_may_pass_is_retried_with_growing_pauses() -> None:  # RS-14
    driver = FakeDriver()
    async with bound(driver) as s:
        driver.before = refuses(*[Code.INTERNAL] * 4)
        await s.grow("2Gi")
        await s.until_told("Internal", "VolumeResizeFailed")
        await asyncio.sleep(0.5)
        status = await s.status()
        assert status["allocatedResourceStatuses"] == {"storage": "ControllerResizeInProgress"}
        assert "ControllerResizeError" in conditions(status)
        assert len(expansions(driver)) == 1  # what we write ourselves is no reason to try again at once
        await s.until_has("2Gi")
        assert expansions(driver) == [2 * GI] * 5
        assert "conditions" not in await s.status()


@on_virtual_time
async def test_a_driver_that_grows_only_what_nobody_uses_is_asked_when_nobody_does() -> None:  # RS-8
    driver = FakeDriver()
    async with bound(driver) as s:
        await s.cluster.create(pod("web", using("orders")))
        driver.before = refuses(Code.FAILED_PRECONDITION)
        await s.grow("2Gi")
        unable = (
            f"Unable to expand default/orders because CSI driver {NAME} only supports offline expansion and volume is "
            "currently in-use"
        )
        await s.until_told(unable, "VolumeResizeFailed")
        await asyncio.sleep(60)
        assert expansions(driver) == [2 * GI]
        await s.cluster.client.delete(PODS, "web", "default", grace_seconds=0)
        await s.until_has("2Gi")


@on_virtual_time
async def test_a_driver_that_is_not_to_be_believed_about_use_is_asked_all_the_same() -> None:  # RS-8
    driver = FakeDriver()
    options = ResizerOptions(handle_volume_inuse_error=False)
    async with bound(driver, options=options) as s:
        await s.cluster.create(pod("web", using("orders")))
        driver.before = refuses(Code.FAILED_PRECONDITION)
        await s.grow("2Gi")
        await s.until_has("2Gi")


@on_virtual_time
async def test_csi_resizer_5_secrets_go_to_the_driver_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with bound(parameters=SECRETS) as s:
        s.driver.before = refuses(Code.INTERNAL)
        await s.grow("2Gi")
        name = volume_of(s)["metadata"]["name"]
        missing = f'resize volume "{name}" by resizer "{NAME}" failed: error getting secret keys in namespace default: '
        await s.until_told(missing, "VolumeResizeFailed")
        assert expansions(s.driver) == []
        assert (await s.status())["allocatedResourceStatuses"] == {"storage": "ControllerResizeInProgress"}
        await s.keep_secret(password="swordfish")
        await s.until_has("2Gi")
        asked = s.driver.calls(methods.CONTROLLER_EXPAND_VOLUME)[-1]
        assert dict(asked.secrets) == {"password": "swordfish"}
        assert "swordfish" not in caplog.text
        await s.cluster.client.delete(SECRET, "keys", "default")
        for cache in (s.cluster.of(CLAIMS), s.cluster.of(VOLUMES), s.cluster.of(EVENTS)):
            assert all(b"swordfish" not in one.raw for one in cache)


@on_virtual_time
async def test_a_volume_of_an_in_tree_source_is_refused_before_anything_is_written() -> None:  # RS-5
    info = DriverInfo("ebs.csi.aws.com", ABILITIES)
    async with stage(info=info, chosen="persistentvolume-binder,csi-resizer") as s:
        await s.cluster.create(storage_class(allowVolumeExpansion=True))
        volume = disk(awsElasticBlockStore={"volumeID": "vol-1"})
        del volume["spec"]["csi"]
        await s.cluster.create(volume)
        await s.want(annotations={"volume.kubernetes.io/storage-resizer": "ebs.csi.aws.com"})
        await s.until_bound()
        await s.grow("2Gi")
        await s.until_told("pvbinder translates no awsElasticBlockStore volumes to CSI", "VolumeResizeFailed")
        assert "allocatedResources" not in await s.status()


@on_virtual_time
async def test_a_claim_whose_volume_comes_later_waits_for_it() -> None:  # RS-2
    driver = FakeDriver()
    driver.volumes["disk"] = csi.Volume(volume_id="h", capacity_bytes=GI)
    async with stage(driver, chosen="csi-resizer") as s:
        await s.cluster.create(storage_class(allowVolumeExpansion=True))
        uid = await s.want(volumeName="disk", resources={"requests": {"storage": "2Gi"}})
        await s.call_bound()
        await asyncio.sleep(60)
        await s.cluster.create(disk())
        await asyncio.sleep(60)
        assert expansions(driver) == []  # it isn't the claim's yet
        reference = {"namespace": "default", "name": "orders", "uid": uid}
        await s.cluster.client.patch(VOLUMES, "disk", "", {"spec": {"claimRef": reference}}, patch_type="merge")
        await s.until_has("2Gi")
        assert expansions(driver) == [2 * GI]
