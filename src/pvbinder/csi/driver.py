"""The line to a CSI driver: calls over a unix socket.

DRIVER-1  Every call has a time limit; when it is over the call has failed with DeadlineExceeded, whatever the driver
          may still be doing.
DRIVER-2  However a call fails, it fails with `CallFailed`: a code of gRPC and a text. A driver that isn't there, that
          dies in the middle, or that answers nonsense is one that failed.
DRIVER-3  What is sent and what comes back never gets into a log: requests have secrets in them. A driver that quotes
          one of them in an error is not passed on: errors become events and conditions.
DRIVER-4  A driver that isn't there yet is waited for, with a log line now and then; it may go and come back later.
DRIVER-5  Answers are bounded in size: one of more than 4 MiB fails with ResourceExhausted, and as `AnswerUnreadable`,
          like one that is nonsense: what was asked for may have been done.
DRIVER-6  Where `forbidden` says why nobody may ask now, nothing is sent, and the call has failed with Unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self, TypeVar

from google.protobuf.message import DecodeError, Message

from pvbinder import logs
from pvbinder.csi.errors import AnswerUnreadable, CallFailed, Code
from pvbinder.csi.library import grpc
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method
from pvbinder.model.errors import PvbinderError

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

MESSAGE_BYTES_MAX: Final = 4 << 20  # as gRPC's own default for what is received
PROBE_SECONDS: Final = 1.0  # between two questions whether the driver is ready (SU-2)
CONNECT_SECONDS_MAX: Final = 1.0  # between two tries to reach a socket that isn't there
FIRST_PATIENCE_SECONDS: Final = 2.0  # until a log line says that we wait
PATIENCE_SECONDS: Final = 30.0  # between this one and the next
TOO_LARGE: Final = "eceived message larger than max"
PATH_BYTES_MAX: Final = 107  # of a unix socket
SECRET_CHARACTERS_MIN: Final = 4  # of a value that is taken out of errors

Observe = Callable[[str, str, float], None]  # path of the method, code in Go's words ("OK"), seconds

log = logs.get(__name__)


class AddressError(PvbinderError):
    """An address that is no path of a unix socket."""


class ProbeFailed(PvbinderError):  # noqa: N818  (an answer, not a defect)
    """The driver answers, and says that something is wrong with it for good."""


def socket_of(address: str) -> str:
    """Return the target of ``unix:///path``, ``unix:path`` or a path; raise AddressError for anything else."""
    path = address.removeprefix("unix://") if address.startswith("unix://") else address.removeprefix("unix:")
    if not path.startswith("/") or "\0" in path:
        raise AddressError(
            f'"{address}" is no address of a driver: write unix:///path/of/csi.sock, with the whole path'
        )
    if len(path.encode()) > PATH_BYTES_MAX:
        raise AddressError(
            f'the path of the socket "{path}" is too long: a socket\'s has at most {PATH_BYTES_MAX} bytes'
        )
    return f"unix:{path}"


class Driver:
    """A driver behind a socket: ``async with Driver(address)``; connecting is tried by each call that needs it."""

    def __init__(
        self,
        address: str,
        *,
        timeout_seconds: float = 10.0,
        observe: Observe = lambda *_: None,
        forbidden: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Name the driver; raises AddressError. `timeout_seconds` is the limit of calls that don't say theirs."""
        self.address = address
        self.timeout_seconds = timeout_seconds
        self._target = socket_of(address)
        self._observe = observe
        self._forbidden = forbidden
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable] = {}  # by path

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(
            self._target,
            options=[
                ("grpc.default_authority", "localhost"),  # Go's servers refuse the escaped path that is the default
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", int(CONNECT_SECONDS_MAX * 1000)),
                ("grpc.enable_http_proxy", 0),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None
            self._methods.clear()

    async def call(self, method: Method[Q, R], request: Q, *, timeout_seconds: float | None = None) -> R:
        """Make one call; raise CallFailed (DRIVER-1, DRIVER-2)."""
        if self._channel is None:
            raise RuntimeError("the driver is not entered")
        why = self._forbidden()
        if why is not None:
            raise CallFailed(Code.UNAVAILABLE, why)
        loop = asyncio.get_running_loop()
        started = loop.time()
        code = "OK"
        try:
            call = self._methods.get(method.path)
            if call is None:  # of bytes: gRPC would log what it can't decode, and go on
                call = self._methods[method.path] = self._channel.unary_unary(method.path)
            answer: bytes = await call(request.SerializeToString(), timeout=timeout_seconds or self.timeout_seconds)
            return method.response.FromString(answer)
        except grpc.aio.AioRpcError as error:
            failed = _failed(error, request)
            code = failed.code.value
            raise failed from None
        except DecodeError as error:
            code = Code.INTERNAL.value
            what = f"the answer to {method.name} is no {method.response.__name__}"
            raise AnswerUnreadable(Code.INTERNAL, what) from error
        finally:
            self._observe(method.path, code, loop.time() - started)

    async def wait_ready(self) -> None:
        """Wait until the driver is there and says that it is ready (SU-2, DRIVER-4); raise ProbeFailed."""
        loop = asyncio.get_running_loop()
        say_at = loop.time() + FIRST_PATIENCE_SECONDS
        while True:
            try:
                probed = await self.call(methods.PROBE, csi.ProbeRequest())
                if not probed.HasField("ready") or probed.ready.value:
                    return
                why = "it says that it is not ready"
            except CallFailed as failed:
                if failed.code not in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
                    raise ProbeFailed(f"CSI driver probe failed: {failed}") from failed
                why = failed.description
            if loop.time() >= say_at:
                say_at = loop.time() + PATIENCE_SECONDS
                log.warning("waiting for the driver", address=self.address, why=why)
            await asyncio.sleep(PROBE_SECONDS)


def _failed(error: grpc.aio.AioRpcError, request: Message) -> CallFailed:
    code = error.code()
    known = Code.__members__.get(code.name, Code.UNKNOWN)
    details = error.details() or ""
    if known is Code.RESOURCE_EXHAUSTED and TOO_LARGE in details:  # our own side says so: the call was answered
        return AnswerUnreadable(known, details)
    return CallFailed(known, _without_secrets(details, request))


def _without_secrets(text: str, request: Message) -> str:
    """Return `text` without the secrets of `request` (DRIVER-3); a few letters are a word, and no secret."""
    secrets: Mapping[str, str] = getattr(request, "secrets", None) or {}
    for value in sorted(map(str.strip, secrets.values()), key=len, reverse=True):  # files end with a line's end
        if len(value) >= SECRET_CHARACTERS_MIN:
            text = text.replace(value, "***")
    return text
