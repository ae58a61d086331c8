"""Questions to an API server about users: whose token is this, may somebody do that, what may we do ourselves.

REVIEWS-1  An answer that is no review of the kind that was asked for is a failure, never a yes.
REVIEWS-2  No message holds the token that was asked about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.transport import Request
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, decode, encode
from pvbinder.model.resources import Resource

_AUTHENTICATION: Final = "authentication.k8s.io"
_AUTHORIZATION: Final = "authorization.k8s.io"
TOKEN_REVIEWS: Final = Resource(_AUTHENTICATION, "v1", "TokenReview", "tokenreviews", False)
ACCESS_REVIEWS: Final = Resource(_AUTHORIZATION, "v1", "SubjectAccessReview", "subjectaccessreviews", False)
OWN_ACCESS_REVIEWS: Final = Resource(_AUTHORIZATION, "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False)
OWN_REVIEWS: Final = Resource(_AUTHENTICATION, "v1", "SelfSubjectReview", "selfsubjectreviews", False)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A user, as the API server knows it."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answered:
    """Whether something is allowed, and what the server says of why."""

    allowed: bool
    reason: str = ""


async def user_of_token(client: Client, token: str) -> Reviewed | None:
    """Return whose `token` it is; None if it is nobody's, or no longer good."""
    status = await _review(client, TOKEN_REVIEWS, {"token": token})
    user = status.get("user")
    if status.get("authenticated") is not True or not isinstance(user, dict) or not user.get("username"):
        return None
    return Reviewed(
        str(user["username"]),
        str(user.get("uid") or ""),
        tuple(map(str, user.get("groups") or ())),
        user.get("extra") or {},
    )


async def may_ask_for(client: Client, user: Reviewed, verb: str, path: str) -> Answered:
    """Return whether `user` may do `verb` to a `path` that is no resource, such as ``/metrics``."""
    asked: Json = {"user": user.name, "nonResourceAttributes": {"path": path, "verb": verb}}
    if user.uid:
        asked["uid"] = user.uid
    if user.groups:
        asked["groups"] = list(user.groups)
    if user.extra:
        asked["extra"] = {key: list(values) for key, values in user.extra.items()}
    return _verdict(await _review(client, ACCESS_REVIEWS, asked))


async def may_we(client: Client, verb: str, group: str, resource: str, namespace: str = "", name: str = "") -> Answered:
    """Return whether we may do `verb`; ``resource/subresource``, and ``""`` for all namespaces and names."""
    plural, _, subresource = resource.partition("/")
    attributes = {
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": subresource,
        "namespace": namespace,
        "name": name,
    }
    asked = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
    return _verdict(await _review(client, OWN_ACCESS_REVIEWS, asked))


async def who_are_we(client: Client) -> str:
    """Return the name that the server knows us by; servers have told since 1.28."""
    status = await _review(client, OWN_REVIEWS, {})
    return str((status.get("userInfo") or {}).get("username") or "")


def _verdict(status: Json) -> Answered:
    return Answered(status.get("allowed") is True, str(status.get("reason") or status.get("evaluationError") or ""))


async def _review(client: Client, resource: Resource, spec: Json) -> Json:
    """Have something reviewed and return the status of the review (REVIEWS-1, REVIEWS-2)."""
    document = {"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}
    request = Request("POST", resource.path(), body=encode(document))
    answer = await client.request("create", resource, request)
    try:
        review = decode(answer.body)
    except PvbinderError:
        review = {}
    status = review.get("status") if isinstance(review, dict) else None
    if not isinstance(status, dict) or review.get("kind") != resource.kind:
        raise ApiFailure(answer.status, "", f"the answer to a {resource.kind} is none")
    return status
