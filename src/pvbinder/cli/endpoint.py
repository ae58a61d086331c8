"""Where a process with controllers answers for metrics and health: plain on this machine, over TLS for others, or both.

HEALTH-1  ``/livez``: the process answers, and no leader goes on long after its lease is over. A probe of life that
          fails for any other reason would kill a process that waits for its server, again and again.
HEALTH-2  ``/readyz`` and ``/healthz``: also, the caches are filled and the controllers run. Who waits for the lead with
          full caches is ready, too.
HEALTH-3  Over TLS the API server says who asks and may. Trouble with that refuses questions, and stops nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from pvbinder import logs
from pvbinder.cli.options import ControlOptions, SecureOptions
from pvbinder.controllers.manager import Manager
from pvbinder.files import UnreadableFileError, read_file
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.config import load_kubeconfig
from pvbinder.kube.election import Election
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.kinds import metadata_of
from pvbinder.kube.transport import Transport
from pvbinder.metrics.metrics import Metrics
from pvbinder.model.resources import CONFIG_MAPS

CLUSTER_AUTHORITY: Final = ("kube-system", "extension-apiserver-authentication", "client-ca-file")
FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 60.0
RENEWAL_SECONDS: Final = 3600.0

if TYPE_CHECKING:  # the server's parts take long to import: only where somebody is to be answered
    from pvbinder.metrics.endpoint import Endpoint
    from pvbinder.metrics.serving import ServingCertificate
    from pvbinder.server.api.health import Check

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Answers:
    """What is answered, wherever it is asked."""

    metrics: Metrics
    live: Mapping[str, Check]
    ready: Mapping[str, Check]
    path: str


def checks(manager: Manager, elections: Iterable[Election]) -> tuple[dict[str, Check], dict[str, Check]]:
    """Return the checks of life, and those of readiness besides (HEALTH-1, HEALTH-2)."""
    ours = tuple(elections)

    def trouble() -> str | None:
        return next(filter(None, (one.trouble() for one in (*ours, *manager.elections()))), None)

    def unfilled() -> str | None:
        resources = ", ".join(manager.unfilled)
        return f"caches are not filled yet: {resources}" if resources else None

    def idle() -> str | None:
        waits = any(not one.is_leading for one in ours)
        return None if manager.is_ready or waits else "the controllers don't run yet"

    return {"leader-election": trouble}, {"informer-sync": unfilled, "controllers": idle}


@asynccontextmanager
async def answering(options: ControlOptions, answers: Answers, line: Transport) -> AsyncIterator[str]:
    """Answer wherever that is wanted; give the addresses of the metrics, empty for none."""
    urls: list[str] = []
    async with AsyncExitStack() as stack:
        if options.metrics is not None:
            from pvbinder.metrics.endpoint import Endpoint

            host, port = options.metrics
            hint = "choose another port with --metrics-port, or 0 for any that is free, or --no-metrics"
            plain = Endpoint(
                answers.metrics, host=host, port=port, live=answers.live, ready=answers.ready, path=answers.path
            )
            urls.append(await _entered(stack, plain, hint))
        if options.secure is not None:
            urls.append(await _secure(stack, options.secure, answers, line))
        yield ",".join(f"{url}{answers.path}" for url in urls)


async def _entered(stack: AsyncExitStack, endpoint: Endpoint, hint: str) -> str:
    from pvbinder.server.wire.http import ListenError

    try:
        await stack.enter_async_context(endpoint)
    except ListenError as error:
        raise ListenError(error.message, hint=hint) from error
    return endpoint.url


async def _secure(stack: AsyncExitStack, options: SecureOptions, answers: Answers, line: Transport) -> str:
    from pvbinder.metrics.access import AccessOptions, DelegatedAccess
    from pvbinder.metrics.endpoint import Endpoint
    from pvbinder.metrics.serving import ServingCertificate, found_or_made

    files = options.certificate
    if files is None and options.directory is not None:
        files = found_or_made(options.directory)
    certificate = ServingCertificate(
        files, _authority(options.client_ca), version=options.tls_version, cipher_suites=options.cipher_suites
    )
    authentication = await _client(stack, options.authentication, line)
    authorization = await _client(stack, options.authorization, line)
    access = DelegatedAccess(
        authentication,
        authorization,
        AccessOptions(options.always_allowed, options.token_seconds, options.allowed_seconds, options.denied_seconds),
    )
    endpoint = Endpoint(
        answers.metrics,
        host=options.host,
        port=options.port,
        live=answers.live,
        ready=answers.ready,
        path=answers.path,
        tls=certificate.context,
        access=access,
        shares_port=options.shares_port,
    )
    url = await _entered(stack, endpoint, "choose another port with --secure-port, or another --bind-address")
    group = await stack.enter_async_context(_Beside())
    group.start(certificate.keep_current(), "certificate of the endpoint")
    if options.looks_up_authority and options.client_ca is None:
        group.start(learn_authority(authentication, certificate), "authority of clients")
    return url


class _Beside:
    """Tasks that run as long as the context is open."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> _Beside:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(kind, error, traceback)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` until the context is left."""
        self._tasks.append(self._group.create_task(work, name=name))


async def _client(stack: AsyncExitStack, kubeconfig: Path | None, line: Transport) -> Client:
    if kubeconfig is not None:
        line = await stack.enter_async_context(HttpTransport(load_kubeconfig([kubeconfig])))
    return Client(line, retries=Retries(attempts=2))


def _authority(path: Path | None) -> bytes | None:
    if path is None:
        return None
    from pvbinder.metrics.serving import FILE_BYTES_MAX, ServingError

    try:
        return read_file(path, bytes_max=FILE_BYTES_MAX)
    except UnreadableFileError as error:
        raise ServingError(f"--client-ca-file: {error.message}") from error


async def learn_authority(client: Client, certificate: ServingCertificate) -> None:
    """Trust the clients that the cluster's API server trusts, as the cluster says; look again until it does."""
    from pvbinder.metrics.serving import ServingError

    namespace, name, key = CLUSTER_AUTHORITY
    known = ""
    is_told = False
    wait_seconds = FIRST_RETRY_SECONDS
    while True:
        try:
            found = (await client.get(metadata_of(CONFIG_MAPS), name, namespace)).document()
            authority = str((found.get("data") or {}).get(key) or "")
            if authority and authority != known:
                certificate.trust(authority.encode())
            known = authority or known
        except (ApiFailure, ConnectionFailed, ServingError) as error:
            if not is_told:
                log.warning(
                    "client certificates can't be checked; tokens can",
                    err=error.message,
                    hint=f"bind the Role extension-apiserver-authentication-reader in {namespace} to us, or name "
                    "--client-ca-file, or --authentication-skip-lookup",
                )
            is_told = True
        await asyncio.sleep(RENEWAL_SECONDS if known else wait_seconds)
        wait_seconds = min(2 * wait_seconds, LONGEST_RETRY_SECONDS)
