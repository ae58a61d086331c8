"""Tokens in Secrets of type ``kubernetes.io/service-account-token``: the older kind, which has no end of its own.

SECRET_TOKENS-1  Such a token is good for as long as the secret is there and has this very token in it, and the account
                 is the one, by uid, that it was made for.
SECRET_TOKENS-2  It is good for the audiences of this API server only.

The controller serviceaccount-token makes them and puts them into the secrets.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pvbinder.model.resources import SECRETS, SERVICE_ACCOUNTS
from pvbinder.server.identity.authentication import (
    API_AUDIENCES,
    SERVICE_ACCOUNT,
    TokenOwner,
    TokenRefused,
    service_account_groups,
)
from pvbinder.server.identity.service_account_tokens import ServiceAccountTokens
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import UserInfo

ISSUER: Final = "kubernetes/serviceaccount"
SECRET_TYPE: Final = "kubernetes.io/service-account-token"  # noqa: S105  (a type's name)
_CLAIM: Final = "kubernetes.io/serviceaccount/"
_INVALIDATED: Final = TokenRefused("Token has been invalidated")


@dataclass(frozen=True, slots=True)
class SecretTokens:
    """Makes and reads them, with the key of the other tokens."""

    tokens: ServiceAccountTokens

    def make(self, account: Json, secret: Json) -> str:
        """Return the token of `account` that belongs into `secret`."""
        metadata = account["metadata"]
        return self.tokens.keys.sign(
            {
                "iss": ISSUER,
                f"{_CLAIM}namespace": metadata["namespace"],
                f"{_CLAIM}secret.name": secret["metadata"]["name"],
                f"{_CLAIM}service-account.name": metadata["name"],
                f"{_CLAIM}service-account.uid": metadata["uid"],
                "sub": f"{SERVICE_ACCOUNT}{metadata['namespace']}:{metadata['name']}",
            }
        )

    def judge(self, token: str, audiences: Sequence[str] = API_AUDIENCES) -> TokenOwner | TokenRefused | None:
        """Return whose token it is, or why it isn't good; None if it is none of these."""
        claims = self.tokens.keys.verified(token)
        if claims is None or claims.get("iss") != ISSUER:
            return None
        common = tuple(audience for audience in API_AUDIENCES if audience in audiences)
        if not common:
            return TokenRefused(f"token audiences {list(API_AUDIENCES)} is invalid for the target audiences")
        namespace, name = claims[f"{_CLAIM}namespace"], claims[f"{_CLAIM}service-account.name"]
        uid, secret_name = claims[f"{_CLAIM}service-account.uid"], claims[f"{_CLAIM}secret.name"]
        secret = self.tokens.objects.get(SECRETS, namespace, secret_name)
        if secret is None or secret.get("type") != SECRET_TYPE or not _holds(secret, token):
            return _INVALIDATED
        account = self.tokens.objects.get(SERVICE_ACCOUNTS, namespace, name)
        if account is None or account["metadata"]["uid"] != uid:
            return _INVALIDATED
        return TokenOwner(
            UserInfo(f"{SERVICE_ACCOUNT}{namespace}:{name}", uid, service_account_groups(namespace)), common
        )


def _holds(secret: Json, token: str) -> bool:
    try:
        held = base64.b64decode((secret.get("data") or {}).get("token", ""))
    except binascii.Error:
        return False
    return hmac.compare_digest(held, token.encode())
