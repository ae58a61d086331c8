"""The line to a driver, against real gRPC on a unix socket."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pvbinder.csi.driver import MESSAGE_BYTES_MAX, AddressError, Driver, ProbeFailed, socket_of
from pvbinder.csi.errors import AnswerUnreadable, CallFailed, Code
from pvbinder.csi.serving import Handlers, SocketTaken, serving
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method
from tools import csi_stubs


async def plugin_info(_: csi.GetPluginInfoRequest) -> csi.GetPluginInfoResponse:
    return csi.GetPluginInfoResponse(name="test.csi.example.com")


@asynccontextmanager
async def driver_with(tmp_path: Path, handlers: Handlers, **options: Any) -> AsyncGenerator[Driver]:
    address = f"unix://{tmp_path}/csi.sock"
    async with serving(address, handlers), Driver(address, **options) as driver:
        yield driver


def test_methods_1_each_unary_method_is_here_once() -> None:
    known = {one.path: one for _, one in inspect.getmembers(methods) if isinstance(one, Method)}
    wanted = {
        f"/csi.v1.{service.name}/{method.name}": (method.input_type.name, method.output_type.name)
        for service in csi.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if not method.server_streaming
    }
    assert {path: (one.request.__name__, one.response.__name__) for path, one in known.items()} == wanted


def test_the_stubs_are_those_of_the_proto_file() -> None:
    for name, text in csi_stubs.generated().items():
        assert (csi_stubs.SOURCE / name).read_text() == text, "run python -m tools.csi_stubs"


async def test_a_call_is_answered(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    handlers: Handlers = {methods.GET_PLUGIN_INFO: plugin_info}
    async with driver_with(tmp_path, handlers, observe=lambda path, code, _: seen.append((path, code))) as driver:
        answer = await driver.call(methods.GET_PLUGIN_INFO, csi.GetPluginInfoRequest())
        assert answer.name == "test.csi.example.com"
        assert seen == [("/csi.v1.Identity/GetPluginInfo", "OK")]


async def test_driver_1_a_call_without_answer_ends_in_time(tmp_path: Path) -> None:
    async def never(_: csi.ProbeRequest) -> csi.ProbeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with driver_with(tmp_path, {methods.PROBE: never}, timeout_seconds=0.05) as driver:
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.PROBE, csi.ProbeRequest())
        assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_driver_6_nothing_is_sent_that_is_forbidden(tmp_path: Path) -> None:
    asked = 0

    async def probe(_: csi.ProbeRequest) -> csi.ProbeResponse:
        nonlocal asked
        asked += 1
        return csi.ProbeResponse()

    why: list[str] = []
    async with driver_with(tmp_path, {methods.PROBE: probe}, forbidden=lambda: next(iter(why), None)) as driver:
        await driver.call(methods.PROBE, csi.ProbeRequest())
        why.append("the lead is lost")
        with pytest.raises(CallFailed, match="the lead is lost") as caught:
            await driver.call(methods.PROBE, csi.ProbeRequest())
    assert caught.value.code is Code.UNAVAILABLE
    assert asked == 1


@pytest.mark.parametrize("code", Code)
async def test_driver_2_each_code_comes_as_it_was_sent(tmp_path: Path, code: Code) -> None:
    async def refuse(_: csi.DeleteVolumeRequest) -> csi.DeleteVolumeResponse:
        raise CallFailed(code, "no \N{SNOWMAN}")

    seen: list[str] = []
    handlers: Handlers = {methods.DELETE_VOLUME: refuse}
    async with driver_with(tmp_path, handlers, observe=lambda _, got, __: seen.append(got)) as driver:
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.DELETE_VOLUME, csi.DeleteVolumeRequest(volume_id="a"))
        assert (caught.value.code, caught.value.description) == (code, "no \N{SNOWMAN}")
        assert str(caught.value) == f"rpc error: code = {code.value} desc = no \N{SNOWMAN}"
        assert seen == [code.value]


async def test_driver_2_a_driver_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async with Driver(f"unix://{tmp_path}/csi.sock") as driver:
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.PROBE, csi.ProbeRequest())
        assert caught.value.code is Code.UNAVAILABLE


async def test_driver_2_a_listener_that_talks_nonsense_fails(tmp_path: Path) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\n\r\n")
        writer.close()

    path = tmp_path / "csi.sock"
    async with await asyncio.start_unix_server(babble, path), Driver(str(path), timeout_seconds=2) as driver:
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.PROBE, csi.ProbeRequest())
        assert caught.value.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)


async def test_driver_2_an_answer_of_another_kind_is_internal(tmp_path: Path) -> None:
    wrong: Method[Any, Any] = Method("Identity", csi.ProbeRequest, csi.GetPluginInfoResponse)

    async def answer(_: csi.ProbeRequest) -> csi.GetPluginInfoResponse:
        return csi.GetPluginInfoResponse(name="a name where a message should be")

    async with driver_with(tmp_path, {wrong: answer}) as driver:
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.PROBE, csi.ProbeRequest())
        assert caught.value.code is Code.INTERNAL
        assert isinstance(caught.value, AnswerUnreadable)


async def test_serving_1_a_defect_is_logged_and_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: csi.ProbeRequest) -> csi.ProbeResponse:
        raise ValueError("a defect")

    async with driver_with(tmp_path, {methods.PROBE: fail}) as driver:
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.PROBE, csi.ProbeRequest())
    assert caught.value.code is Code.INTERNAL
    assert "a defect" in caplog.text
    assert "a defect" not in str(caught.value)


async def test_driver_3_no_secret_gets_into_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: csi.CreateVolumeRequest) -> csi.CreateVolumeResponse:
        raise ValueError("a defect")

    caplog.set_level(logging.DEBUG)
    async with driver_with(tmp_path, {methods.CREATE_VOLUME: fail}) as driver:
        request = csi.CreateVolumeRequest(name="pvc-1", secrets={"password": "hunter2"})
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.CREATE_VOLUME, request)
    assert caught.value.code is Code.INTERNAL
    assert "hunter2" not in caplog.text + str(caught.value)


async def test_driver_3_no_secret_gets_into_an_error_that_quotes_it(tmp_path: Path) -> None:
    async def fail(request: csi.ControllerExpandVolumeRequest) -> csi.ControllerExpandVolumeResponse:
        raise CallFailed(
            Code.UNAUTHENTICATED, f"user ana has no password {request.secrets['password'].strip()}, x is no 1"
        )

    async with driver_with(tmp_path, {methods.CONTROLLER_EXPAND_VOLUME: fail}) as driver:
        secrets = {"password": "hunter22\n", "part": "hunter", "user": "ana", "tries": "1"}
        request = csi.ControllerExpandVolumeRequest(volume_id="v", secrets=secrets)
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.CONTROLLER_EXPAND_VOLUME, request)
    assert caught.value.description == "user ana has no password ***, x is no 1"


CHILD = """
import asyncio, sys
from pvbinder.csi.serving import serving
from pvbinder.csi.wire import csi_pb2 as csi, methods

async def hang(_):
    print("called", flush=True)
    await asyncio.Event().wait()

async def ready(_):
    return csi.ProbeResponse()

async def main():
    async with serving(sys.argv[1], {methods.DELETE_VOLUME: hang, methods.PROBE: ready}):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def start_child(address: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, address], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.communicate()


@pytest.mark.slow
async def test_driver_4_a_driver_may_die_in_a_call_and_come_back(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/csi.sock"
    first = await asyncio.to_thread(start_child, address)
    try:
        async with Driver(address, timeout_seconds=20) as driver:
            call = asyncio.create_task(driver.call(methods.DELETE_VOLUME, csi.DeleteVolumeRequest(volume_id="a")))
            assert first.stdout is not None
            await asyncio.to_thread(first.stdout.readline)
            first.send_signal(signal.SIGKILL)
            with pytest.raises(CallFailed) as caught:
                await call
            assert caught.value.code is Code.UNAVAILABLE
            second = await asyncio.to_thread(start_child, address)  # over the socket that the first has left
            try:
                async with asyncio.timeout(20):
                    await driver.wait_ready()
            finally:
                end(second)
    finally:
        end(first)


async def test_driver_4_a_driver_that_is_not_ready_is_asked_again(  # SU-2
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pvbinder.csi.driver.PROBE_SECONDS", 0.0)
    monkeypatch.setattr("pvbinder.csi.driver.FIRST_PATIENCE_SECONDS", 0.0)
    answers = [csi.ProbeResponse() for _ in range(3)]
    for answer in answers[:2]:
        answer.ready.value = False

    async def probe(_: csi.ProbeRequest) -> csi.ProbeResponse:
        return answers.pop(0)

    async with driver_with(tmp_path, {methods.PROBE: probe}) as driver:
        await driver.wait_ready()
    assert answers == []
    assert [record.getMessage() for record in caplog.records] == ["waiting for the driver"], "once in a while"


async def test_a_probe_that_fails_for_good_says_so(tmp_path: Path) -> None:
    async def probe(_: csi.ProbeRequest) -> csi.ProbeResponse:
        raise CallFailed(Code.FAILED_PRECONDITION, "no disk in the drive")

    async with driver_with(tmp_path, {methods.PROBE: probe}) as driver:
        with pytest.raises(ProbeFailed, match="CSI driver probe failed: rpc error: code = FailedPrecondition"):
            await driver.wait_ready()


async def test_driver_5_an_answer_that_is_too_large_fails(tmp_path: Path) -> None:
    async def much(_: csi.GetPluginInfoRequest) -> csi.GetPluginInfoResponse:
        return csi.GetPluginInfoResponse(manifest={"a": "x" * (MESSAGE_BYTES_MAX + 1)})

    async with driver_with(tmp_path, {methods.GET_PLUGIN_INFO: much}) as driver:
        with pytest.raises(CallFailed) as caught:
            await driver.call(methods.GET_PLUGIN_INFO, csi.GetPluginInfoRequest())
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert isinstance(caught.value, AnswerUnreadable)


async def test_serving_2_what_has_no_handler_is_unimplemented(tmp_path: Path) -> None:
    async with driver_with(tmp_path, {methods.GET_PLUGIN_INFO: plugin_info}) as driver:
        for method, request in ((methods.PROBE, csi.ProbeRequest()), (methods.NODE_GET_INFO, csi.NodeGetInfoRequest())):
            with pytest.raises(CallFailed) as caught:
                await driver.call(method, request)  # type: ignore[misc]
            assert caught.value.code is Code.UNIMPLEMENTED


async def test_serving_3_the_socket_is_ours_and_goes_with_us(tmp_path: Path) -> None:
    path = tmp_path / "csi.sock"
    async with serving(str(path), {}):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(SocketTaken, match="another driver listens"):
            async with serving(str(path), {}):
                raise AssertionError
        assert path.is_socket()
    assert not path.exists()


async def test_serving_3_what_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "csi.sock"
    path.write_text("dear")
    with pytest.raises(SocketTaken, match="is no socket"):
        async with serving(str(path), {}):
            raise AssertionError
    assert path.read_text() == "dear"


async def test_serving_3_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "csi.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(path))
    async with serving(str(path), {methods.GET_PLUGIN_INFO: plugin_info}), Driver(str(path)) as driver:
        await driver.call(methods.GET_PLUGIN_INFO, csi.GetPluginInfoRequest())


@pytest.mark.parametrize("address", ["unix:///run/csi.sock", "unix:/run/csi.sock", "/run/csi.sock"])
def test_addresses_are_paths(address: str) -> None:
    assert socket_of(address) == "unix:/run/csi.sock"


@pytest.mark.parametrize("address", ["", "csi.sock", "unix://csi.sock", "tcp://localhost:80", "/a\0b", "/" + "a" * 200])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(AddressError):
        socket_of(address)
