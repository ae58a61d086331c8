"""Authorisation: the interface of authorisers, and the ones that need no rules.

An authoriser is asked with the same `Attributes` that routing goes by. `system:masters` may do everything and is never
asked about (as in the reference, so that nobody can lock themselves out).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from pvbinder.server.errors import ApiError
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authentication import MASTERS
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo

RULES_SHOWN_MAX: Final = 10_000  # in one review


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed, and why (or, for what isn't, what the authoriser has to say about it)."""

    allowed: bool
    reason: str = ""


ALLOWED = Decision(True)
DENIED = Decision(False)


class Authorizer(Protocol):
    """Decides about one request."""

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision:
        """Decide whether `user` may do what `attributes` say."""
        ...

    def rules(self, user: UserInfo, namespace: str) -> tuple[list[Json], list[Json]]:
        """Return what `user` may do in `namespace`: rules about resources and rules about paths.

        More than `RULES_SHOWN_MAX` together say that there may be others.
        """
        ...

    def guard(self, user: UserInfo, kind: ServedKind, new: Json, old: Json | None) -> None:
        """Raise ApiError 403 if `user` may not store `new` for what it says, in the place of `old` or of nothing."""
        ...


class AlwaysAllow:
    """Lets everybody do everything."""

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision:
        """Allow it."""
        return ALLOWED

    def rules(self, user: UserInfo, namespace: str) -> tuple[list[Json], list[Json]]:
        """Return the rules that allow everything."""
        return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}], [{"verbs": ["*"], "nonResourceURLs": ["*"]}]

    def guard(self, user: UserInfo, kind: ServedKind, new: Json, old: Json | None) -> None:
        """Let everything be stored."""


def decide(authorizer: Authorizer, user: UserInfo, attributes: Attributes) -> Decision:
    """Decide whether `user` may do what `attributes` say; masters always may."""
    if MASTERS in user.groups:
        return ALLOWED
    return authorizer.authorize(user, attributes)


def permit(authorizer: Authorizer, user: UserInfo, attributes: Attributes) -> None:
    """Raise ApiError 403 unless `user` may do what `attributes` say."""
    decision = decide(authorizer, user, attributes)
    if not decision.allowed:
        raise refused(user, attributes, decision)


def refused(user: UserInfo, attributes: Attributes, decision: Decision) -> ApiError:
    """403 in the reference's words (cases: auth-401-403)."""
    why = f": {decision.reason}" if decision.reason else ""
    if not attributes.is_resource:
        message = f'forbidden: User "{user.name}" cannot {attributes.verb} path "{attributes.path}"{why}'
        return ApiError(403, "Forbidden", message, details={})
    resource, name = attributes.resource, attributes.about_name
    qualified = f"{resource}.{attributes.group}" if attributes.group else resource
    subject = f'{qualified} "{name}"' if name else qualified
    what = f"{resource}/{attributes.subresource}" if attributes.subresource else resource
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    message = (
        f'{subject} is forbidden: User "{user.name}" cannot {attributes.verb} resource "{what}" '
        f'in API group "{attributes.group}" {where}{why}'
    )
    details: dict[str, object] = {"name": name} if name else {}
    if attributes.group:
        details["group"] = attributes.group
    details["kind"] = resource
    return ApiError(403, "Forbidden", message, details=details)
