"""The server of a driver of our own: its methods on a unix socket.

SERVING-1  A handler that raises `CallFailed` answers with that code and text. Whatever else it raises is a defect: the
           log has it, and the caller gets Internal without a word of it.
SERVING-2  A method without a handler answers Unimplemented.
SERVING-3  The socket is ours alone (mode 0600), and is gone when the driver is; one that another driver listens on is
           never taken away from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message

from pvbinder import logs
from pvbinder.csi.driver import MESSAGE_BYTES_MAX, socket_of
from pvbinder.csi.errors import CallFailed
from pvbinder.csi.library import grpc
from pvbinder.csi.wire.methods import Method
from pvbinder.model.errors import PvbinderError

Handler: TypeAlias = Callable[[Any], Awaitable[Message]]
Handlers: TypeAlias = Mapping[Method[Any, Any], Handler]

STOP_SECONDS: Final = 5.0  # for calls that are under way when the driver stops

log = logs.get(__name__)


class SocketTaken(PvbinderError):  # noqa: N818  (says what happened)
    """Another driver listens on the socket, or something that is no socket has its name."""


@asynccontextmanager
async def serving(address: str, handlers: Handlers) -> AsyncGenerator[None]:
    """Serve `handlers` on the socket while the context is open; raise AddressError or SocketTaken."""
    target = socket_of(address)
    path = Path(target.removeprefix("unix:"))
    await asyncio.to_thread(_clear, path)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.so_reuseport", 0)])
    services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
    for method, handler in handlers.items():
        services.setdefault(f"csi.v1.{method.service}", {})[method.name] = grpc.unary_unary_rpc_method_handler(
            _answering(method, handler),
            request_deserializer=method.request.FromString,
            response_serializer=method.response.SerializeToString,
        )
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items())
    )
    try:
        server.add_insecure_port(target)
    except RuntimeError as error:
        raise SocketTaken(f"can't listen on {path}: {error}") from error
    await asyncio.to_thread(path.chmod, 0o600)
    await server.start()
    try:
        yield
    finally:
        await server.stop(STOP_SECONDS)
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(path.unlink)


def _clear(path: Path) -> None:
    """Take away a socket that nobody listens on any more."""
    if not path.is_socket():
        if path.exists() or path.is_symlink():
            raise SocketTaken(f"{path} is there, and is no socket")
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError as error:
            raise SocketTaken(f"can't see whether somebody listens on {path}: {error}") from error
        else:
            raise SocketTaken(f"another driver listens on {path}")


def _answering(method: Method[Any, Any], handler: Handler) -> Callable[[Message, Any], Awaitable[Message]]:
    async def answer(request: Message, context: Any) -> Message:
        try:
            return await handler(request)
        except CallFailed as failed:
            await context.abort(grpc.StatusCode[failed.code.name], failed.description)
        except Exception:
            log.exception("defect in a driver's method", method=method.name)
            await context.abort(grpc.StatusCode.INTERNAL, f"{method.name} failed: the driver's log says why")
        raise AssertionError("abort has raised")  # pragma: no cover

    return answer
