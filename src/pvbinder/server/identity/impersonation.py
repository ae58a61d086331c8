"""Requests for somebody else: whom a request wants to be taken for, and what it takes to be allowed that.

IMPERSONATION-1  Each thing that a request wants to be is a right of its own: the user or the service account, the uid,
                 every group, every value of every extra.
IMPERSONATION-2  Whoever is impersonated is in the groups that everybody of the kind is in, and in no other than asked.

This is the verb ``impersonate``. The verbs of constrained impersonation (``impersonate:user-info`` and its kin), which
the reference has beside it, grant nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pvbinder.server.errors import bad_request
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authentication import (
    ANONYMOUS,
    SERVICE_ACCOUNT,
    UNAUTHENTICATED,
    service_account_groups,
    with_authenticated,
)
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain
from pvbinder.server.requests import UserInfo

VERB = "impersonate"
PREFIX = "impersonate-"
_EXTRA = "impersonate-extra-"
_GROUP = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class Impersonation:
    """The user whom a request impersonates."""

    user: str
    groups: tuple[str, ...]
    extra: dict[str, list[str]]
    uid: str

    def rights(self) -> Iterator[Attributes]:
        """Give what the asker must be allowed, all of it, in the reference's order (IMPERSONATION-1)."""
        account = split_service_account(self.user)
        if account is None:
            yield Attributes(VERB, "", True, "", "v1", "users", name=self.user)
        else:
            namespace, name = account
            yield Attributes(VERB, "", True, "", "v1", "serviceaccounts", namespace, name)
        if self.uid:
            yield Attributes(VERB, "", True, _GROUP, "v1", "uids", name=self.uid)
        for group in self.groups:
            yield Attributes(VERB, "", True, "", "v1", "groups", name=group)
        for key, values in self.extra.items():
            for value in values:
                yield Attributes(VERB, "", True, _GROUP, "v1", "userextras", name=value, subresource=key)

    def as_user(self) -> UserInfo:
        """Return the user to be (IMPERSONATION-2)."""
        groups = self.groups
        account = split_service_account(self.user)
        if account is not None and not groups:
            groups = service_account_groups(account[0])
        if self.user == ANONYMOUS.name and UNAUTHENTICATED not in groups:
            groups = (*groups, UNAUTHENTICATED)
        return with_authenticated(UserInfo(self.user, self.uid, groups, self.extra))


def read_impersonation(
    headers: Mapping[str, str], repeated: Mapping[str, Sequence[str]] | None = None
) -> Impersonation | None:
    """Read the ``Impersonate-*`` headers; None if nobody is to be impersonated.

    `repeated` is as `ApiRequest` has it; without it a comma separates the values of a field.

    Raises:
        ApiError: 400, something else than a user is asked for, but no user.
    """
    user, uid = headers.get("impersonate-user", ""), headers.get("impersonate-uid", "")
    groups = _values("impersonate-group", headers, repeated)
    extra: dict[str, list[str]] = {}
    for name in headers:
        if name.startswith(_EXTRA):
            key = unquote(name.removeprefix(_EXTRA).lower())
            extra.setdefault(key, []).extend(_values(name, headers, repeated))
    if user:
        return Impersonation(user, groups, extra, uid)
    if uid or groups or extra:
        raise bad_request(f"requested {_shown(uid, groups, extra)} without impersonating a user name")
    return None


def split_service_account(user: str) -> tuple[str, str] | None:
    """Return namespace and name of the service account that `user` names; None if it is another user."""
    if not user.startswith(SERVICE_ACCOUNT):
        return None
    namespace, colon, name = user.removeprefix(SERVICE_ACCOUNT).partition(":")
    if not colon or check_dns_label(namespace) or check_dns_subdomain(name):
        return None
    return namespace, name


def _values(name: str, headers: Mapping[str, str], repeated: Mapping[str, Sequence[str]] | None) -> tuple[str, ...]:
    value = headers.get(name)
    if value is None:
        return ()
    if repeated is None:
        return tuple(value.split(", "))
    return tuple(repeated.get(name, (value,)))


def _shown(uid: str, groups: Sequence[str], extra: Mapping[str, Sequence[str]]) -> str:
    """Return what was asked for as Go prints it."""
    keyed = ", ".join(f"{json.dumps(key)}:{_go_list(values)}" for key, values in sorted(extra.items()))
    extras = f"map[string][]string{{{keyed}}}" if extra else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"", UID:{json.dumps(uid)}, Groups:{_go_list(groups)}, Extra:{extras}}}'


def _go_list(values: Sequence[str]) -> str:
    return "[]string{" + ", ".join(map(json.dumps, values)) + "}" if values else "[]string(nil)"
