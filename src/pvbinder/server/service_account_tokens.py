"""Tokens of service accounts: asked for by TokenRequest (``kubectl create token``), read when a request carries one.

TOKENS-1  A token is good until its time is over, for as long as the account that it was made for exists (the same one,
          by uid), and the object that it was bound to.
TOKENS-2  A token that was changed, or made by another server, is nobody's.

They are JSON web tokens as in the reference, signed with a secret of this server's own (HS256): nobody but this server
is meant to verify them, so there is no public key to publish.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pvbinder.model.resources import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, Resource
from pvbinder.server.authentication import SERVICE_ACCOUNT, service_account_groups
from pvbinder.server.errors import bad_request, conflict, invalid, is_invalid, not_found
from pvbinder.server.identity import write_private
from pvbinder.server.kinds.kind import Json
from pvbinder.server.requests import UserInfo
from pvbinder.server.rest.api import Api

ISSUER = "https://kubernetes.default.svc.cluster.local"
DEFAULT_SECONDS = 3600
LEAST_SECONDS = 600
MOST_SECONDS = 1 << 32
LONGEST_TOKEN = 16 << 10
SECRET_NAME = "service-account.key"  # noqa: S105  (a file's name)
_HEADER = {"alg": "HS256", "typ": "JWT"}
_BINDABLE: dict[str, Resource] = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}


def load_or_make_secret(directory: Path) -> bytes:
    """Return the secret that tokens are signed with, kept in `directory` so that they outlive a restart."""
    path = directory / SECRET_NAME
    if not path.exists():
        write_private(path, secrets.token_bytes(32))
    return path.read_bytes()


@dataclass(slots=True)
class ServiceAccountTokens:
    """Makes and reads tokens."""

    api: Api
    secret: bytes = field(repr=False)

    def request(self, account: Json, sent: Json) -> Json:
        """Return the answer to the TokenRequest `sent` for `account`."""
        spec = sent.setdefault("spec", {})
        seconds = spec.get("expirationSeconds") or DEFAULT_SECONDS
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            bound = "less than 10 minutes" if seconds < LEAST_SECONDS else "larger than 2^32 seconds"
            wrong = invalid("spec.expirationSeconds", seconds, f"may not specify a duration {bound}")
            resource = Resource("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests", True)
            raise is_invalid(resource, "", [wrong])
        audiences = spec.get("audiences") or [ISSUER]
        bound_to = self._bound_object(account, spec.get("boundObjectRef"))
        token, expiry = self._issue(account, audiences, seconds, bound_to)
        metadata = account["metadata"]
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "creationTimestamp": self.api.now(),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {"token": token, "expirationTimestamp": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")},
        }

    def read(self, token: str) -> UserInfo | None:
        """Return whose token it is, None if nobody's (TOKENS-1, TOKENS-2)."""
        claims = self._verified(token)
        if claims is None:
            return None
        now = self.api.clock().timestamp()
        if claims.get("iss") != ISSUER or ISSUER not in claims.get("aud", ()) or now >= claims["exp"]:
            return None
        about: Json = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        if not self._is_there(SERVICE_ACCOUNTS, namespace, account):
            return None
        extra = {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"]}
        for kind, resource in _BINDABLE.items():
            bound = about.get(kind.lower())
            if bound is None:
                continue
            if not self._is_there(resource, namespace if resource.namespaced else None, bound):
                return None
            extra[f"authentication.kubernetes.io/{kind.lower()}-name"] = [bound["name"]]
            extra[f"authentication.kubernetes.io/{kind.lower()}-uid"] = [bound["uid"]]
        name = f"{SERVICE_ACCOUNT}{namespace}:{account['name']}"
        return UserInfo(name, account["uid"], service_account_groups(namespace), extra)

    def _is_there(self, resource: Resource, namespace: str | None, meant: Json) -> bool:
        found = self.api.get(resource, namespace, meant["name"])
        return found is not None and found["metadata"]["uid"] == meant["uid"]

    def _bound_object(self, account: Json, reference: Json | None) -> Json:
        """Return the claims about the object that a token is to be bound to."""
        if not reference:
            return {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        resource = _BINDABLE.get(kind)
        if resource is None or reference.get("apiVersion") != "v1":
            raise bad_request(f"cannot bind token to object of type {kind!r}")
        found = self.api.get(resource, account["metadata"]["namespace"] if resource.namespaced else None, name)
        if found is None:
            raise not_found(resource, name)
        uid = found["metadata"]["uid"]
        if reference.get("uid") and reference["uid"] != uid:
            why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            raise conflict(resource, name, why + "The object might have been deleted and then recreated")
        return {kind.lower(): {"name": name, "uid": uid}}

    def _issue(self, account: Json, audiences: list[str], seconds: int, bound_to: Json) -> tuple[str, datetime]:
        metadata = account["metadata"]
        now = int(self.api.clock().timestamp())
        claims = {
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {
                "namespace": metadata["namespace"],
                "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
                **bound_to,
            },
            "nbf": now,
            "sub": f"{SERVICE_ACCOUNT}{metadata['namespace']}:{metadata['name']}",
        }
        signed = b".".join(_encoded(msgspec.json.encode(part)) for part in (_HEADER, claims))
        token = signed + b"." + _encoded(self._signature(signed))
        return token.decode(), datetime.fromtimestamp(now + seconds, UTC)

    def _verified(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token with our signature."""
        signed, _, signature = token.encode("utf-8", "surrogateescape").rpartition(b".")
        if len(token) > LONGEST_TOKEN or signed.count(b".") != 1:
            return None
        if not hmac.compare_digest(_encoded(self._signature(signed)), signature):
            return None
        try:
            claims: dict[str, Any] = msgspec.json.decode(_decoded(signed.partition(b".")[2]))
        except (binascii.Error, msgspec.DecodeError):
            return None
        return claims

    def _signature(self, signed: bytes) -> bytes:
        return hmac.new(self.secret, signed, hashlib.sha256).digest()


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
