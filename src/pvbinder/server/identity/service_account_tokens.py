"""Tokens of service accounts: asked for by TokenRequest (``kubectl create token``), read when a request carries one.

TOKENS-1  A token is good until its time is over, for as long as the account that it was made for exists (the same one,
          by uid), and the object that it was bound to; one that is being deleted still counts for `LEEWAY_SECONDS`.
TOKENS-2  A token that was changed, or made by another server, is nobody's.
TOKENS-3  A token is good for the audiences that it was made for, and no others.
TOKENS-4  A token of an account is bound to a pod only if the pod runs as that account.
TOKENS-5  Nothing is signed with a key that isn't one: a file that is empty, cut, blank or open to others is refused.

They are JSON web tokens as in the reference, signed with a key of this server's own (`token_keys`), whose public half
is published. PyJWT signs and verifies; what the claims mean is said here, because times go by the server's clock and
refusals are in the reference's words (`docs/decisions/tokens.md`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pvbinder.model.resources import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, Resource
from pvbinder.server.errors import bad_request, conflict, invalid, is_invalid, not_found
from pvbinder.server.identity.authentication import (
    API_AUDIENCES,
    SERVICE_ACCOUNT,
    TokenOwner,
    TokenRefused,
    service_account_groups,
)
from pvbinder.server.identity.token_keys import TokenKeys
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import UserInfo

ISSUER = API_AUDIENCES[0]
DEFAULT_SECONDS = 3600
LEAST_SECONDS = 600
MOST_SECONDS = 1 << 32
LEEWAY_SECONDS = 60  # for clocks that differ, and for objects that are being deleted, as in the reference
_TOKEN_REQUEST = Resource("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests", True)
_BINDABLE: dict[str, Resource] = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}
_EXTRA = "authentication.kubernetes.io/"
_INVALIDATED = "service account token has been invalidated"


@dataclass(slots=True)
class ServiceAccountTokens:
    """Makes and reads tokens."""

    objects: StoredObjects
    keys: TokenKeys

    def request(self, account: Json, sent: Json) -> Json:
        """Return the answer to the TokenRequest `sent` for `account`."""
        metadata = account["metadata"]
        _check_metadata(sent.get("metadata") or {}, metadata)
        spec = sent.setdefault("spec", {})
        seconds = spec.get("expirationSeconds")
        if seconds is None:
            seconds = DEFAULT_SECONDS
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            bound = "less than 10 minutes" if seconds < LEAST_SECONDS else "larger than 2^32 seconds"
            wrong = invalid("spec.expirationSeconds", seconds, f"may not specify a duration {bound}")
            raise is_invalid(_TOKEN_REQUEST, "", [wrong])
        audiences = spec.get("audiences") or list(API_AUDIENCES)
        bound_to = self._bound_object(account, spec.get("boundObjectRef"))
        token, expiry = self._issue(account, audiences, seconds, bound_to)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "creationTimestamp": self.objects.now(),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {"token": token, "expirationTimestamp": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")},
        }

    def read(self, token: str, audiences: Sequence[str] = API_AUDIENCES) -> UserInfo | None:
        """Return whose token it is, None if nobody's (TOKENS-1, TOKENS-2)."""
        match self.judge(token, audiences):
            case TokenOwner(user=user):
                return user
            case _:
                return None

    def judge(self, token: str, audiences: Sequence[str] = API_AUDIENCES) -> TokenOwner | TokenRefused | None:
        """Return whose token it is for any of `audiences`, or why it isn't good; None if this server didn't make it."""
        claims = self.keys.verified(token)
        if claims is None or claims.get("iss") != ISSUER:
            return None
        made_for: list[str] = claims["aud"]
        common = tuple(audience for audience in made_for if audience in audiences)
        if not common:
            shown, asked = (" ".join(json.dumps(one) for one in some) for some in (made_for, audiences))
            return TokenRefused(f"token audiences [{shown}] is invalid for the target audiences [{asked}]")
        now = self.objects.clock().timestamp()
        if now >= claims["exp"]:
            return TokenRefused("service account token has expired")
        if now + LEEWAY_SECONDS < max(claims["nbf"], claims["iat"]):
            return TokenRefused("service account token is not valid yet")
        about: Json = claims["kubernetes.io"]
        why = self._why_gone(about)
        if why is not None:
            return TokenRefused(why)
        account = about["serviceaccount"]
        name = f"{SERVICE_ACCOUNT}{about['namespace']}:{account['name']}"
        extra = {f"{_EXTRA}credential-id": [f"JTI={claims['jti']}"]}
        for kind in ("node", "pod"):
            for part, value in about.get(kind, {}).items():
                if value:
                    extra[f"{_EXTRA}{kind}-{part}"] = [value]
        return TokenOwner(UserInfo(name, account["uid"], service_account_groups(about["namespace"]), extra), common)

    def _why_gone(self, about: Json) -> str | None:
        """Return why a token with the claims `about` doesn't count any more; None if it does (TOKENS-1)."""
        namespace, account = about["namespace"], about["serviceaccount"]
        if not self._is_there(SERVICE_ACCOUNTS, namespace, account):
            return f"service account {namespace}/{account['name']} has been deleted"
        for kind, resource in _BINDABLE.items():
            bound = about.get(kind.lower())
            if bound is None or (kind == "Node" and "pod" in about):  # the pod's node; only the pod counts
                continue
            if not self._is_there(resource, namespace if resource.namespaced else None, bound):
                return _INVALIDATED
        return None

    def _is_there(self, resource: Resource, namespace: str | None, meant: Json) -> bool:
        found = self.objects.get(resource, namespace, meant["name"])
        if found is None or found["metadata"]["uid"] != meant["uid"]:
            return False
        deleted = found["metadata"].get("deletionTimestamp")
        if deleted is None:
            return True
        since = self.objects.clock() - datetime.fromisoformat(deleted)
        return since.total_seconds() <= LEEWAY_SECONDS

    def _bound_object(self, account: Json, reference: Json | None) -> Json:
        """Return the claims about the object that a token is to be bound to."""
        if reference is None:
            return {}
        kind, name, version = reference.get("kind", ""), reference.get("name", ""), reference.get("apiVersion", "")
        resource = _BINDABLE.get(kind)
        if resource is None or "/" in version:
            group, _, version = version.rpartition("/")
            raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        if not name:
            raise bad_request("Name parameter required.")
        found = self.objects.get(resource, account["metadata"]["namespace"] if resource.namespaced else None, name)
        if found is None:
            raise not_found(resource, name)
        claims: Json = {}
        if resource is PODS:
            claims = self._pod_claims(account["metadata"]["name"], found)
        uid = found["metadata"]["uid"]
        if reference.get("uid") and reference["uid"] != uid:
            why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            named = Resource("", "v1", kind, kind, resource.namespaced)
            raise conflict(named, name, why + "The object might have been deleted and then recreated")
        return {kind.lower(): {"name": name, "uid": uid}, **claims}

    def _pod_claims(self, account: str, pod: Json) -> Json:
        """Check that `pod` runs as `account`, and return what a token says of its node (TOKENS-4)."""
        if pod["spec"].get("serviceAccountName", "") != account:
            raise bad_request(
                f"cannot bind token for serviceaccount {json.dumps(account)} to pod running with different "
                "serviceaccount name."
            )
        node_name = pod["spec"].get("nodeName", "")
        if not node_name:
            return {}
        node = self.objects.get(NODES, None, node_name)
        return {"node": {"name": node_name, **({} if node is None else {"uid": node["metadata"]["uid"]})}}

    def _issue(self, account: Json, audiences: list[str], seconds: int, bound_to: Json) -> tuple[str, datetime]:
        metadata = account["metadata"]
        now = int(self.objects.clock().timestamp())
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
        return self.keys.sign(claims), datetime.fromtimestamp(now + seconds, UTC)


def _check_metadata(sent: Json, account: Json) -> None:
    """Refuse a TokenRequest that names another account than its path."""
    for part in ("name", "namespace"):
        if sent.get(part) and sent[part] != account[part]:
            wrong = invalid(f"metadata.{part}", sent[part], f"must match the service account {part} if specified")
            raise is_invalid(_TOKEN_REQUEST, account["name"], [wrong])
    uid = sent.get("uid")
    if uid and uid != account["uid"]:
        named = Resource(_TOKEN_REQUEST.group, "v1", "TokenRequest", "TokenRequest", True)
        why = f"the UID in the token request ({uid}) does not match the UID of the service account ({account['uid']})"
        raise conflict(named, account["name"], why)
