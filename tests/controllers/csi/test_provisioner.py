"""Claims served through a driver, on a real API server with the real binder."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.controllers.csi.fake_driver import ABILITIES, NAME, FakeDriver
from tests.controllers.csi.stage import SECRET, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.csi.errors import AnswerUnreadable, CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.transport import Request


def fails_with(code: Code, times: int = 10**9, text: str = "no") -> object:
    """A behaviour that raises the first `times` times."""
    left = times

    def fail(request: object) -> None:
        nonlocal left
        if left and isinstance(request, csi.CreateVolumeRequest):
            left -= 1
            raise CallFailed(code, text)

    return fail


@on_virtual_time
async def test_a_claim_gets_its_volume_and_is_bound() -> None:  # LB-3, LB-9, LB-10, LB-16, LB-17, LB-24, CR-4
    async with stage() as s:
        await s.cluster.create(storage_class(parameters={"tier": "gold", "csi.storage.k8s.io/fstype": "xfs"}))
        uid = await s.want()
        await s.until_bound()
        await s.cluster.settle()

        volume = s.cluster.of(VOLUMES)[f"pvc-{uid}"].document()
        assert volume["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == NAME
        assert volume["metadata"]["annotations"]["volume.kubernetes.io/provisioner-deletion-secret-name"] == ""
        assert "external-provisioner.volume.kubernetes.io/finalizer" in volume["metadata"]["finalizers"]
        assert volume["spec"]["csi"] == {
            "driver": NAME,
            "volumeHandle": f"id-of-pvc-{uid}",
            "fsType": "xfs",
            "volumeAttributes": {"storage.kubernetes.io/csiProvisionerIdentity": "1-2-fake"},
        }
        assert volume["spec"]["capacity"] == {"storage": "1Gi"}
        (asked,) = s.driver.calls(methods.CREATE_VOLUME)
        assert dict(asked.parameters) == {"tier": "gold"}
        assert s.told("Provisioning") == ['External provisioner is provisioning volume for claim "default/orders"']
        assert s.told("ProvisioningSucceeded") == [f"Successfully provisioned volume pvc-{uid}"]
        await asyncio.sleep(5)
        assert len(s.provisioner.intents) == 0
        assert await s.written_down() == {}


@on_virtual_time
async def test_claims_of_others_are_left_alone() -> None:  # LB-8, LB-9, LB-10, LB-12, LB-15
    async with stage() as s:
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.want("waits")
        await s.want("has-one", volumeName="disk-1")
        await s.want("others", {"volume.kubernetes.io/storage-provisioner": "x"}, storageClassName="")
        other = storage_class() | {"metadata": {"name": "other"}, "provisioner": "other.example.com"}
        await s.cluster.create(other)
        await s.want("lies", {"volume.kubernetes.io/storage-provisioner": NAME}, storageClassName="other")
        await asyncio.sleep(60)
        assert s.driver.seen == []
        assert s.told("ProvisioningFailed") == []


@on_virtual_time
async def test_a_class_of_a_plugin_that_was_moved_to_the_driver_is_not_translated_and_that_is_told() -> None:  # CP-4
    async with stage() as s:
        await s.cluster.create(storage_class(provisioner="kubernetes.io/aws-ebs"))
        moved = {"volume.kubernetes.io/storage-provisioner": NAME, "pv.kubernetes.io/migrated-to": NAME}
        await s.want(annotations=moved)
        await s.until_told("storage class fast is of kubernetes.io/aws-ebs, and is not translated for CSI")
        await asyncio.sleep(60)
        assert s.driver.seen == []
        assert len(s.told("ProvisioningFailed")) == 1


@on_virtual_time
async def test_a_claim_that_waited_for_its_consumer_is_served() -> None:  # LB-12
    async with stage() as s:
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.want(annotations={"volume.kubernetes.io/selected-node": "n1"})
        await s.until_bound()


@on_virtual_time
async def test_a_class_that_is_not_there_is_waited_for() -> None:  # LB-11
    async with stage() as s:
        await s.want(annotations={"volume.kubernetes.io/storage-provisioner": NAME})
        await asyncio.sleep(2)
        await s.cluster.create(storage_class())
        await s.until_bound()


@on_virtual_time
async def test_csi_provisioner_1_what_was_asked_for_is_found_after_a_crash() -> None:
    driver = FakeDriver()
    driver.seconds = 3600.0  # it never answers

    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.cluster.until(lambda: bool(driver.calls(methods.CREATE_VOLUME)))
        assert list(await s.written_down()) == [uid]
        await s.cluster.stop()
        await s.give_up()
        driver.seconds = 0.0
        await s.cluster.start()
        await s.cluster.until(lambda: f"pvc-{uid}" in s.volumes())
        await s.cluster.until(lambda: not s.volumes())  # the policy is Delete
        assert driver.volumes == {}


@on_virtual_time
async def test_csi_provisioner_1_a_stale_cache_makes_no_volume(caplog: pytest.LogCaptureFixture) -> None:
    async with stage() as s:
        await s.cluster.create(storage_class())
        refused = 0

        async def deleted_meanwhile(request: Request) -> None:
            nonlocal refused
            if request.method == "POST" and request.path.endswith("/configmaps") and not refused:
                refused += 1
                await s.give_up()

        s.cluster.line.after_waiting = deleted_meanwhile
        await s.want()
        await asyncio.sleep(30)
        assert refused == 1
        assert s.driver.calls(methods.CREATE_VOLUME) == []
        assert await s.written_down() == {}
        assert "could not provision" not in caplog.text  # a claim that is gone is no failure


@on_virtual_time
async def test_csi_provisioner_2_a_claim_deleted_while_the_driver_is_at_work_leaks_nothing() -> None:
    driver = FakeDriver()
    driver.after = fails_with(Code.DEADLINE_EXCEEDED, 2)  # type: ignore[assignment]
    async with stage(driver, chosen="persistentvolume-binder,csi-provisioner") as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.cluster.until(lambda: len(s.told("ProvisioningFailed")) > 0)
        await s.give_up()
        await s.cluster.until(lambda: f"pvc-{uid}" in s.volumes())
        await s.cluster.until(lambda: s.cluster.of(VOLUMES)[f"pvc-{uid}"].phase == "Released")
        assert list(driver.volumes) == [f"pvc-{uid}"]


@pytest.mark.parametrize(
    ("first", "then", "is_asked_again"),
    [
        (Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, False),
        (Code.DEADLINE_EXCEEDED, Code.OUT_OF_RANGE, False),
        (Code.DEADLINE_EXCEEDED, Code.INVALID_ARGUMENT, False),
        (Code.UNAVAILABLE, Code.PERMISSION_DENIED, True),  # it may not have looked
        (Code.ABORTED, Code.INTERNAL, True),
        (Code.CANCELLED, Code.ALREADY_EXISTS, True),
    ],
)
def test_csi_provisioner_2_only_a_refused_request_ends_an_attempt_that_may_have_made_one(
    first: Code, then: Code, is_asked_again: bool
) -> None:
    @on_virtual_time
    async def tell() -> None:
        driver = FakeDriver()
        codes = [first, then]

        def answer(_: object) -> None:
            raise CallFailed(codes.pop(0) if len(codes) > 1 else codes[0], "no")

        driver.before = answer
        async with stage(driver, options=None) as s:
            await s.cluster.create(storage_class())
            uid = await s.want()
            await s.until_told(first.value)
            await s.give_up()
            await asyncio.sleep(200)
            assert (list(await s.written_down()) == [uid]) is is_asked_again
            calls = len(driver.seen)
            await asyncio.sleep(1000)
            assert (len(driver.seen) > calls) is is_asked_again

    tell()


@on_virtual_time
async def test_csi_provisioner_2_an_answer_that_cant_be_read_may_have_been_a_yes() -> None:
    driver = FakeDriver()
    seen = 0

    def nonsense(request: object) -> None:
        nonlocal seen
        seen += 1
        if seen < 3:
            raise AnswerUnreadable(Code.RESOURCE_EXHAUSTED, "Received message larger than max")

    driver.after = nonsense
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_told("larger than max")
        await s.give_up()
        await asyncio.sleep(60)
        assert driver.volumes == {}
        assert len(driver.calls(methods.DELETE_VOLUME)) == 1
        assert await s.written_down() == {}


@on_virtual_time
async def test_csi_provisioner_3_what_could_not_be_saved_is_saved_later() -> None:  # LB-23
    async with stage() as s:
        await s.cluster.create(storage_class())
        lost = 0

        def fail(request: Request) -> None:
            nonlocal lost
            if request.method == "POST" and request.path.endswith("/persistentvolumes") and lost < 4:
                lost += 1
                raise ConnectionFailed("broken by the test")

        s.cluster.line.before = fail
        await s.want()
        await s.until_bound()
        assert lost == 4
        assert len(s.driver.calls(methods.CREATE_VOLUME)) == 1
        assert s.driver.calls(methods.DELETE_VOLUME) == []


@on_virtual_time
async def test_csi_provisioner_3_a_lost_answer_of_the_server_saves_no_second_volume() -> None:  # LB-23
    async with stage() as s:
        await s.cluster.create(storage_class())
        lost = 0

        def lose(request: Request) -> None:
            nonlocal lost
            if request.method == "POST" and request.path.endswith("/persistentvolumes") and not lost:
                lost += 1
                raise ConnectionFailed("the answer is lost")

        s.cluster.line.after = lose
        await s.want()
        await s.until_bound()
        await asyncio.sleep(30)
        assert len(s.driver.calls(methods.CREATE_VOLUME)) == 1
        assert len(s.volumes()) == 1
        assert await s.written_down() == {}


@on_virtual_time
async def test_csi_provisioner_4_a_volume_that_is_too_small_is_deleted_again() -> None:  # CR-2
    driver = FakeDriver()

    def shrink(volume: csi.Volume) -> None:
        volume.capacity_bytes = 5

    driver.change = shrink
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_told("created volume capacity 5 less than requested capacity 1073741824")
        assert driver.volumes == {}
        driver.change = lambda _: None
        await s.until_bound()


@on_virtual_time
async def test_csi_provisioner_4_a_clean_up_that_fails_is_not_forgotten() -> None:  # CR-2
    driver = FakeDriver()

    def shrink(volume: csi.Volume) -> None:
        volume.capacity_bytes = 5

    def refuse(request: object) -> None:
        if isinstance(request, csi.DeleteVolumeRequest):
            raise CallFailed(Code.INTERNAL, "busy")

    driver.change, driver.before = shrink, refuse
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.until_told(f"Cleanup of volume pvc-{uid} failed, volume is orphaned: rpc error: code = Internal")
        assert len(driver.calls(methods.DELETE_VOLUME)) == 5
        assert list(driver.volumes) == [f"pvc-{uid}"]
        await s.give_up()
        await asyncio.sleep(10)
        assert list(await s.written_down()) == [uid]
        driver.before = lambda _: None
        await asyncio.sleep(600)
        assert driver.volumes == {}
        assert await s.written_down() == {}


@on_virtual_time
async def test_no_capacity_is_the_one_that_was_asked_for() -> None:  # CR-2
    driver = FakeDriver()

    def silent(volume: csi.Volume) -> None:
        volume.capacity_bytes = 0

    driver.change = silent
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.until_bound()
        assert s.cluster.of(VOLUMES)[f"pvc-{uid}"].document()["spec"]["capacity"] == {"storage": "1Gi"}


@on_virtual_time
async def test_a_clone_without_its_content_is_deleted_again() -> None:  # CR-3
    driver = FakeDriver()

    def empty(volume: csi.Volume) -> None:
        volume.ClearField("content_source")

    driver.change = empty
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.until_bound()
        await s.want("copy", dataSource={"kind": "PersistentVolumeClaim", "name": "orders"})
        await s.until_told("volume content source missing")
        assert list(driver.volumes) == [f"pvc-{uid}"]


@on_virtual_time
async def test_a_volume_without_an_id_is_no_volume() -> None:
    driver = FakeDriver()

    def nameless(volume: csi.Volume) -> None:
        volume.volume_id = ""

    driver.change = nameless
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.until_told("without an id")
        assert s.volumes() == set()
        assert list(await s.written_down()) == [uid]


@on_virtual_time
async def test_csi_provisioner_5_no_secret_gets_out(caplog: pytest.LogCaptureFixture) -> None:  # SE-6
    caplog.set_level(logging.DEBUG)
    driver = FakeDriver()
    driver.before = fails_with(Code.INTERNAL, 2)  # type: ignore[assignment]
    prefix = "csi.storage.k8s.io/provisioner-secret"
    async with stage(driver) as s:
        parameters = {f"{prefix}-name": "keys", f"{prefix}-namespace": "${pvc.namespace}"}
        await s.cluster.create(storage_class(parameters=parameters))
        uid = await s.want()
        await s.until_told("error getting secret keys in namespace default: ")
        assert driver.seen == []
        await s.keep_secret(password="open-sesame")
        await s.until_told("code = Internal")
        kept = await s.written_down()
        assert "open-sesame" not in str(kept)
        await s.until_bound()
        assert [dict(call.secrets) for call in driver.calls(methods.CREATE_VOLUME)] == [{"password": "open-sesame"}] * 3
        everything = [*s.told("ProvisioningFailed"), *s.told("Provisioning"), caplog.text]
        everything.append(str(s.cluster.of(VOLUMES)[f"pvc-{uid}"].document()))
        assert "open-sesame" not in "".join(everything)


@on_virtual_time
async def test_a_secret_whose_value_is_no_text_is_not_shown() -> None:  # SE-6
    prefix = "csi.storage.k8s.io/provisioner-secret"
    async with stage() as s:
        parameters = {f"{prefix}-name": "keys", f"{prefix}-namespace": "default"}
        await s.cluster.create(storage_class(parameters=parameters))
        await s.keep_secret(fine="x")
        found = await s.cluster.client.get(SECRET, "keys", "default")
        document = found.document()
        document["data"]["broken"] = "//79"  # ff fe fd
        await s.cluster.client.replace(SECRET, document)
        await s.want()
        await s.until_told("error getting secret keys in namespace default: the value of broken is no text")


@on_virtual_time
async def test_a_failure_is_told_and_tried_again() -> None:  # LB-1, LB-19
    driver = FakeDriver()
    driver.before = fails_with(Code.INTERNAL, 3, "disk on fire")  # type: ignore[assignment]
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        began = asyncio.get_running_loop().time()
        await s.until_bound()
        assert 7 <= asyncio.get_running_loop().time() - began < 8  # 1 s, 2 s, 4 s
        assert s.told("ProvisioningFailed") == ["rpc error: code = Internal desc = disk on fire"]


@on_virtual_time
async def test_what_is_infeasible_waits_unless_its_class_is_made_anew() -> None:  # LB-7, LB-20, LB-21
    driver = FakeDriver()
    driver.before = fails_with(Code.INVALID_ARGUMENT)  # type: ignore[assignment]
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        what = "Volume provisioning failed with infeasible error. Retries will be delayed. "
        await s.until_told(f"{what}rpc error: code = InvalidArgument desc = no")
        await asyncio.sleep(250)
        assert len(driver.seen) == 1
        await asyncio.sleep(350)
        assert len(driver.seen) == 2
        driver.before = lambda _: None
        await s.cluster.client.delete(STORAGE_CLASSES, "fast")
        await s.cluster.create(storage_class(parameters={"tier": "gold"}))
        await asyncio.sleep(310)
        await s.until_bound()
        assert dict(driver.calls(methods.CREATE_VOLUME)[-1].parameters) == {"tier": "gold"}


@on_virtual_time
async def test_a_node_without_room_is_given_back_to_the_scheduler() -> None:  # LB-22, CR-1
    driver = FakeDriver()
    driver.before = fails_with(Code.RESOURCE_EXHAUSTED, 1)  # type: ignore[assignment]
    info = DriverInfo(NAME, ABILITIES)
    async with stage(driver, info) as s:
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.want(annotations={"volume.kubernetes.io/selected-node": "n1"})
        await s.until_bound()  # without topology another node would not help: it is simply tried again
        assert s.told("ProvisioningFailed") == ["rpc error: code = ResourceExhausted desc = no"]


@on_virtual_time
async def test_a_volume_that_is_there_already_is_not_asked_for() -> None:  # LB-13
    async with stage() as s:
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        uid = await s.want()
        await s.cluster.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"pvc-{uid}"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "1Gi"},
                    "csi": {"driver": NAME, "volumeHandle": "h"},
                    "claimRef": {"namespace": "default", "name": "another"},
                    "storageClassName": "fast",
                },
            }
        )
        document = (await s.cluster.client.get(CLAIMS, "orders", "default")).document()
        document["metadata"].setdefault("annotations", {})["volume.kubernetes.io/selected-node"] = "n1"
        await s.cluster.client.replace(CLAIMS, document)
        await asyncio.sleep(30)
        assert s.driver.seen == []


@on_virtual_time
async def test_a_populator_is_left_its_claim() -> None:  # LB-18, CP-7
    async with stage() as s:
        await s.cluster.create(storage_class())
        await s.want(dataSourceRef={"apiGroup": "example.com", "kind": "Backup", "name": "b"})
        await s.until_told("Assuming an external populator will provision the volume", "Provisioning")
        await asyncio.sleep(30)
        assert s.driver.seen == []
        assert s.told("ProvisioningFailed") == []
