"""The serviceaccount-token-controller: Secrets of type ``kubernetes.io/service-account-token`` have what they are for.

TOKEN_SECRETS-1  A secret that names an account gets the account's uid, a token, the certificate and the namespace, and
                 gets back what is taken away.
TOKEN_SECRETS-2  A secret whose account is proven to be gone, or to be another one now, is deleted; in doubt it stays.
TOKEN_SECRETS-3  Other secrets are never touched.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.accounts.default_accounts import ACCOUNTS
from pvbinder.controllers.context import ControllerContext, Credentials
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import Metadata, metadata_of
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.resources import SECRETS as SECRET_RESOURCE

CONCURRENCY: Final = 5
TYPE: Final = "kubernetes.io/service-account-token"
NAME_KEY: Final = "kubernetes.io/service-account.name"
UID_KEY: Final = "kubernetes.io/service-account.uid"
SECRETS: Final = metadata_of(SECRET_RESOURCE)

log = logs.get(__name__)


class AccountUnprovenError(PvbinderError):
    """Nobody knows whether an account is there; the queue brings the secret back."""


class TokenSecrets:
    """Fills the secrets of accounts, and deletes those of accounts that are gone."""

    def __init__(self, context: ControllerContext, credentials: Credentials) -> None:
        self._client = context.client
        self._credentials = credentials
        self._accounts = context.informers.of(ACCOUNTS)
        self._secrets = context.informers.of(SECRETS)
        self._of_account = self._secrets.add_index("account", lambda one: filter(None, (account_of(one.document()),)))
        self._queue: WorkQueue[str] = WorkQueue(
            "serviceaccount_tokens_secret",
            self.sync,
            concurrency=CONCURRENCY,
            failure_message="could not fill secret",
            key_field="secret",
            history=context.informers.history,
        )
        self._secrets.add_handler(self._secret_changed)
        self._accounts.add_handler(self._account_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._accounts.wait_synced()
        await self._secrets.wait_synced()
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    async def sync(self, key: str) -> None:
        """Bring the contents of one secret about, or delete it."""
        secret = self._secrets.get(key)
        if secret is None or secret.is_deleting:
            return
        document = secret.document()
        name = account_of(document)
        if name is None:
            return  # TOKEN_SECRETS-3
        account = await self._find_account(name, document["metadata"]["annotations"].get(UID_KEY) or "")
        if account is None:
            await self._delete(secret)
            return
        filled = self._filled(document, account.document())
        if filled == document:
            return
        try:
            self._secrets.put(await self._client.replace(SECRETS, filled))
            log.info("secret filled", secret=key, account=account.key)
        except ApiFailure as failure:
            if not failure.is_not_found:
                raise

    async def _find_account(self, key: str, uid: str) -> Metadata | None:
        """Return the account, that with `uid` if there is one; None if it is proven to be gone (TOKEN_SECRETS-2)."""
        account = self._accounts.get(key)
        if account is not None and uid in ("", account.uid):
            return account
        namespace, _, name = key.partition("/")
        proof = await prove_gone(
            self._client, ACCOUNTS, name, namespace, uid=uid, known_revision=self._accounts.resource_version
        )
        match proof:
            case Present(object=found):
                return found
            case Gone():
                return None
            case Unproven(why=why):
                raise AccountUnprovenError(f'the secret of account "{key}" is kept: {why}')
            case _:
                assert_never(proof)

    async def _delete(self, secret: Metadata) -> None:
        try:
            await self._client.delete(
                SECRETS, secret.name, secret.namespace, uid=secret.uid, resource_version=secret.resource_version
            )
            log.info("secret of an account that is gone deleted", secret=secret.key)
        except ApiFailure as failure:
            if not (failure.is_not_found or failure.is_conflict):
                raise

    def _filled(self, secret: Json, account: Json) -> Json:
        """Return the secret with all that it is for (TOKEN_SECRETS-1)."""
        data: dict[str, str] = dict(secret.get("data") or {})
        data["ca.crt"] = _encoded(self._credentials.root_certificate)
        if not data.get("namespace"):
            data["namespace"] = _encoded(secret["metadata"]["namespace"])
        if not data.get("token"):
            data["token"] = _encoded(self._credentials.token_of(account, secret))
        metadata = dict(secret["metadata"])
        metadata["annotations"] = {**metadata["annotations"], UID_KEY: account["metadata"]["uid"]}
        return {**secret, "metadata": metadata, "data": data}

    def _secret_changed(self, change: Change[Metadata]) -> None:
        if not isinstance(change, Deleted):
            self._queue.add(change.object.key)

    def _account_changed(self, change: Change[Metadata]) -> None:
        for secret in self._of_account[change.object.key]:
            self._queue.add(secret.key)


def account_of(secret: Json) -> str | None:
    """Return the key of the account whose token `secret` is to hold; None if it is no such secret."""
    if secret.get("type") != TYPE:
        return None
    name = (secret["metadata"].get("annotations") or {}).get(NAME_KEY)
    return f"{secret['metadata']['namespace']}/{name}" if name else None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
