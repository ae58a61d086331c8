"""The embedded API server as a whole: a data directory, the served kinds, certificates and a listener.

    async with EmbeddedServer(data_dir) as server:
        server.write_kubeconfig(path)
        ...  # kubectl at server.url, or requests in the same process through server.dispatcher

EMBEDDED-1  When the context is entered, the server answers, is ready, and has what an empty Kubernetes has.
EMBEDDED-2  When it is left, watches have ended, what was acknowledged is on disk, and the directory is free again.
EMBEDDED-3  An ephemeral server leaves nothing behind.
EMBEDDED-4  What it is given to load is there before anything else is; what an empty Kubernetes has is then only added
            where it is missing.
EMBEDDED-5  In memory it touches no disk: no file, no directory, no thread that writes. If it listens, a temporary
            directory has its certificates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal

from pvbinder import logs
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import EVENTS, SERVICE_ACCOUNTS
from pvbinder.model.resources import NAMESPACES as NAMESPACE_RESOURCE
from pvbinder.server.api.admission import SERVICE_ACCOUNT_PLUGIN
from pvbinder.server.api.bootstrap.fresh_objects import FreshObjects
from pvbinder.server.api.bootstrap.furniture import Reachable, bring_about_furniture
from pvbinder.server.api.bootstrap.policy import bring_about_policy
from pvbinder.server.api.discovery import Discovery
from pvbinder.server.api.dispatch import Dispatcher, Interceptor, NonResourcePath
from pvbinder.server.api.establisher import Establisher
from pvbinder.server.api.expiry import Expiry
from pvbinder.server.api.health import Health
from pvbinder.server.api.loading import load
from pvbinder.server.api.openapi import OpenApi
from pvbinder.server.api.openid import CONFIGURATION_PATH, KEYS_PATH, OpenId
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.root_paths import RootPaths
from pvbinder.server.files.private_files import PrivateFileError
from pvbinder.server.files.scratch import scratch_directory
from pvbinder.server.identity.authentication import MASTERS, Authenticator
from pvbinder.server.identity.authorization import AlwaysAllow
from pvbinder.server.identity.authorization.rbac import Rbac
from pvbinder.server.identity.certificates import ADMIN, Identity
from pvbinder.server.identity.secret_tokens import SecretTokens
from pvbinder.server.identity.service_account_tokens import ISSUER, ServiceAccountTokens
from pvbinder.server.identity.token_keys import TokenKeys
from pvbinder.server.kinds.built_in.quotas import PRIORITY_CLASSES, system_priority_classes
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.kinds.stored_objects import StoredObjects, utc_now
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import UserInfo
from pvbinder.server.store import Store, WriteFailed
from pvbinder.server.wire.http import Listener
from pvbinder.server.wire.messages import Timeouts

log = logs.get(__name__)

FIXED_PATHS = (CONFIGURATION_PATH, KEYS_PATH, "/openapi/v2", "/openapi/v3", "/version")
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class BootstrapError(PvbinderError):
    """The server could not create what an empty Kubernetes has."""


class EmbeddedServer:
    """An API server in this process. Construct, then ``async with``.

    Without a `data_dir` it is ephemeral: it writes to a temporary directory, as durably as otherwise, which is gone at
    the end; `in_memory` it keeps no object there, and has no directory unless it listens. `now` is its clock. `listen`
    False leaves out the socket and its certificates. `load` gives objects to begin with, each with the name of its
    source (`server.api.loading`); `on_unfit` hears why one of them is left out, and without it one that can't be loaded
    is an error. `pages` has what is shown at paths of the caller's own, `interceptor` what stands before every request
    (`Dispatcher`). With `service_accounts` pods run as
    accounts, which somebody has to make (`server.api.admission.service_accounts`). Unless `bare`, it has the service
    ``kubernetes`` and all else that a fresh Kubernetes has (`server.api.bootstrap.furniture`).
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        listen: bool = True,
        tokens: Mapping[str, UserInfo] | None = None,
        authorization: Literal["RBAC", "AlwaysAllow"] = "RBAC",
        timeouts: Timeouts | None = None,
        history_changes: int = 100_000,
        load: Iterable[tuple[str, Json]] | None = None,
        on_unfit: Callable[[str], None] | None = None,
        service_accounts: bool = False,
        bare: bool = True,
        pages: Mapping[str, NonResourcePath] | None = None,
        in_memory: bool = False,
        now: Callable[[], datetime] = utc_now,
        interceptor: Interceptor | None = None,
    ) -> None:
        if in_memory and data_dir is not None:
            raise ValueError("a server in memory has no data directory")
        self._asked_dir = data_dir
        self._host = host
        self._port = port
        self._listen = listen
        self._tokens = tokens or {}
        self._authorization = authorization
        self._timeouts = timeouts
        self._history_changes = history_changes
        self._load = load
        self._on_unfit = on_unfit
        self._service_accounts = service_accounts
        self._bare = bare
        self._pages = pages
        self._in_memory = in_memory
        self._now = now
        self._interceptor = interceptor
        self._stack = AsyncExitStack()
        self._ready = False

    async def __aenter__(self) -> EmbeddedServer:
        async with AsyncExitStack() as stack:
            directory = self._asked_dir
            if directory is None and (self._listen or not self._in_memory):
                directory = stack.enter_context(scratch_directory())
            if directory is not None:
                self.data_dir = directory
            self.store = await stack.enter_async_context(
                Store(
                    None if self._in_memory else directory,
                    history_changes=self._history_changes,
                    keep_copy=self._asked_dir is not None,
                )
            )
            registry = Registry()
            objects = StoredObjects(self.store, registry, self._now)
            keys = TokenKeys.load(directory)
            account_tokens = ServiceAccountTokens(objects, keys)
            self.secret_tokens = SecretTokens(account_tokens)
            self.api = Api(
                objects,
                Rbac(objects) if self._authorization == "RBAC" else AlwaysAllow(),
                posts={(SERVICE_ACCOUNTS.qualified, "token"): account_tokens.request},
                disabled_plugins=frozenset() if self._service_accounts else frozenset({SERVICE_ACCOUNT_PLUGIN}),
            )
            stack.callback(self.api.aside.close)
            tokens_known = dict(self._tokens)
            if self._listen:
                self.identity = Identity.load_or_make(self.data_dir / "pki", [self._host])
                tokens_known[self.identity.admin_token] = UserInfo(ADMIN, groups=(MASTERS,))
            health = Health({}, {"storage": self._why_not_writable, "poststarthook/bootstrap": self._why_not_ready})
            listed = (*FIXED_PATHS, *health.paths(), *(self._pages or ()))
            self.dispatcher = Dispatcher(
                self.api,
                Authenticator(tokens_known, (account_tokens.judge, self.secret_tokens.judge)),
                health=health,
                documents=(
                    Discovery(registry),
                    OpenApi(registry),
                    OpenId(keys, self._address),
                    RootPaths(registry, listed),
                ),
                pages=self._pages,
                interceptor=self._interceptor,
            )
            establisher = Establisher(self.store, registry, self.dispatcher, objects.now)
            stack.callback(establisher.close)
            establisher.load()
            if self._load is not None:
                await load(self.api, establisher.accept, self._load, self._on_unfit)
                self._load = None  # what was loaded needn't be kept twice
            await self._bootstrap()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(
                tasks.create_task(Expiry(self.store, EVENTS.qualified).run(), name="expiry of events").cancel
            )
            stack.callback(tasks.create_task(establisher.run(), name="custom kinds").cancel)
            self._ready = True
            if self._listen:
                self._listener = await stack.enter_async_context(
                    Listener(
                        self.dispatcher.handle,
                        host=self._host,
                        port=self._port,
                        tls=self.identity.server_context(),
                        timeouts=self._timeouts,
                        screen=self.dispatcher.screen,
                    )
                )
            # the listener's connections are waited for at the end: first end the watches that they carry
            stack.callback(self.store.end_watches)
            if self._listen and not self._bare:
                await self._furnish()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ready = False
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._listener.url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._listener.port

    def write_kubeconfig(self, path: Path, *, token: str | None = None) -> None:
        """Write a kubeconfig (mode 0600): with the administrator's token, or with one of the static ones."""
        try:
            self.identity.write_kubeconfig(path, self.url, token=token)
        except PrivateFileError:
            self.store.give_up_reserve()  # on a full disk: without it, nobody can delete anything
            self.identity.write_kubeconfig(path, self.url, token=token)
            self.store.hold_reserve()

    def _address(self) -> str:
        return self.url if self._listen else ISSUER

    async def _bootstrap(self) -> None:
        """Create what an empty Kubernetes has and is missing here."""
        fresh = FreshObjects(self.api.objects)
        for name in NAMESPACES:
            fresh.add(NAMESPACE_RESOURCE, {"metadata": {"name": name}, "spec": {"finalizers": ["kubernetes"]}})
        for obj in system_priority_classes():
            fresh.add(PRIORITY_CLASSES, obj)
        bring_about_policy(self.api.objects, fresh)
        try:
            await fresh.settle()
        except WriteFailed as error:
            raise BootstrapError(f"can't create what an empty Kubernetes has: {error.message}") from error

    async def _furnish(self) -> None:
        """Create what else a fresh Kubernetes has (FURNITURE-1)."""
        fresh = FreshObjects(self.api.objects)
        address = Reachable(self._host, self.port, self.identity.authority.read_text())
        bring_about_furniture(self.api.objects, fresh, address)
        try:
            await fresh.settle()
        except WriteFailed as error:  # the server does without
            log.warning("not all that a fresh Kubernetes has could be written", err=error.message)

    def _why_not_writable(self) -> str | None:
        return self.store.why_not_writable

    def _why_not_ready(self) -> str | None:
        return None if self._ready else "starting"
