"""The local driver as a whole: its start and its end."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from tests.csi.local.calls import NODE, driver_in, of_volume, volume_request

from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local import copying
from pvbinder.csi.local.driver import local_driver
from pvbinder.csi.local.options import LocalDriver
from pvbinder.csi.local.root import RootError
from pvbinder.csi.local.walking import Going
from pvbinder.csi.serving import SocketTaken
from pvbinder.csi.wire import methods


async def test_localdriver_1_it_is_served_when_nothing_half_made_is_left(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        (calls.root / "temporary" / "left" / "data").mkdir(parents=True)
    async with driver_in(tmp_path) as calls:
        assert calls.is_clean()
        with pytest.raises(RootError, match="another driver"):
            async with local_driver(LocalDriver(f"unix://{tmp_path}/other.sock", calls.root, "node-1")):
                raise AssertionError
        with pytest.raises(SocketTaken):
            async with local_driver(LocalDriver(f"unix://{tmp_path}/csi.sock", tmp_path / "new", "node-1")):
                raise AssertionError
        assert (await calls.call(methods.PROBE)).ready.value


async def test_localdriver_2_a_copy_that_is_given_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    real = copying.copy_file

    def long_copy(source: int, target: int, going: Going) -> None:
        begun.set()
        while True:
            going()
            threading.Event().wait(0.001)
            real(source, target)

    monkeypatch.setattr("pvbinder.csi.serving.STOP_SECONDS", 0.01)
    monkeypatch.setattr(copying, "copy_file", long_copy)
    endpoint = f"unix://{tmp_path}/csi.sock"
    async with Driver(endpoint) as driver:
        async with local_driver(LocalDriver(endpoint, tmp_path / "root", NODE, how="link")):
            volume = (await driver.call(methods.CREATE_VOLUME, volume_request())).volume
            (tmp_path / "root" / "volumes" / volume.volume_id / "data" / "file").write_text("x")
            request = volume_request("clone", volume_content_source=of_volume(volume.volume_id))
            call = asyncio.ensure_future(driver.call(methods.CREATE_VOLUME, request))
            await asyncio.to_thread(begun.wait)
        with pytest.raises(CallFailed):
            await call
    async with driver_in(tmp_path) as calls:
        assert await calls.ids() == [volume.volume_id]
        assert not list((calls.root / "temporary").iterdir())


async def test_a_caller_that_does_not_wait_gets_the_same_volume_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    real = copying.copy_file

    def slow_copy(source: int, target: int, going: Going) -> None:
        begun.set()
        may_end.wait()
        real(source, target, going)

    async with driver_in(tmp_path) as calls:
        volume = await calls.volume()
        (calls.data(volume.volume_id) / "file").write_text("x")
        monkeypatch.setattr(copying, "copy_file", slow_copy)
        request = volume_request("clone", volume_content_source=of_volume(volume.volume_id))
        with pytest.raises(CallFailed) as caught:
            await calls.driver.call(methods.CREATE_VOLUME, request, timeout_seconds=0.2)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        assert begun.is_set()
        again = [asyncio.ensure_future(calls.call(methods.CREATE_VOLUME, request)) for _ in range(3)]
        may_end.set()
        found = {answer.volume.volume_id for answer in await asyncio.gather(*again)}
        assert len(found) == 1
        assert len(await calls.ids()) == 2


@pytest.mark.parametrize("node", ["", "-a", "a/b", "n" * 64, "a b", "a\n", "\N{SNOWMAN}"])
async def test_a_node_has_a_name_that_topology_can_have(tmp_path: Path, node: str) -> None:
    with pytest.raises(RootError):
        async with local_driver(LocalDriver(f"unix://{tmp_path}/csi.sock", tmp_path / "root", node)):
            raise AssertionError
    assert not (tmp_path / "root").exists()
