"""Who makes a request: client certificates, bearer tokens, impersonation, and nobody in particular.

AUTHENTICATION-1  Credentials that are wrong are refused (401); a request without any is ``system:anonymous``.
AUTHENTICATION-2  A token is only ever compared by its digest, and never logged.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pvbinder.model.errors import PvbinderError
from pvbinder.server.errors import ApiError
from pvbinder.server.requests import ApiRequest, UserInfo

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = UserInfo("system:anonymous", groups=(UNAUTHENTICATED,))
SERVICE_ACCOUNT = "system:serviceaccount:"

TokenReader = Callable[[str], UserInfo | None]


class TokenFileError(PvbinderError):
    """The file of static tokens can't be used."""


@dataclass(slots=True)
class Authenticator:
    """Finds out who asks. `static_tokens` are tokens given at the start; `readers` know tokens of other kinds."""

    static_tokens: Mapping[str, UserInfo] = field(default_factory=dict)
    readers: tuple[TokenReader, ...] = ()
    _by_digest: dict[bytes, UserInfo] = field(init=False)

    def __post_init__(self) -> None:
        self._by_digest = {_digest(token): with_authenticated(user) for token, user in self.static_tokens.items()}

    def authenticate(self, request: ApiRequest) -> UserInfo:
        """Return who makes `request`; ApiError 401 if its credentials are wrong (AUTHENTICATION-1)."""
        if request.client_certificate:
            return _user_of_subject(cast(Any, request.client_certificate["subject"]))
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return ANONYMOUS
        user = self.user_of_token(token.strip())
        if user is None:
            raise unauthorized()
        return user

    def user_of_token(self, token: str) -> UserInfo | None:
        """Return whose token this is, None if nobody's."""
        user = self._by_digest.get(_digest(token))
        if user is not None:
            return user
        for read in self.readers:
            user = read(token)
            if user is not None:
                return with_authenticated(user)
        return None


def read_token_file(path: Path) -> dict[str, UserInfo]:
    """Read a file of static tokens as ``--token-auth-file`` of the reference has it.

    Each line is ``token,user,uid`` and, quoted if there are several, ``"group1,group2"``. Raises TokenFileError.
    """
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.reader(file, skipinitialspace=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TokenFileError(f"can't read the tokens in {path}: {error}", hint="each line is token,user,uid") from error
    tokens: dict[str, UserInfo] = {}
    for number, row in enumerate(rows, 1):
        if len(row) < 3 or not row[0].strip() or not row[1].strip():
            raise TokenFileError(
                f"{path}: entry {number} is not token,user,uid", hint='for example s3cret,ana,1,"devs,ops"'
            )
        groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
        tokens[row[0].strip()] = UserInfo(row[1].strip(), row[2].strip(), groups)
    return tokens


def unauthorized() -> ApiError:
    """401 of wrong credentials."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def with_authenticated(user: UserInfo) -> UserInfo:
    """Return `user` as a member of the group of all who are known."""
    if AUTHENTICATED in user.groups:
        return user
    return UserInfo(user.name, user.uid, (*user.groups, AUTHENTICATED), user.extra)


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups of every service account of `namespace`."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whom a request wants to be taken for."""

    user: str
    groups: tuple[str, ...]
    extra: dict[str, list[str]]
    uid: str

    def as_user(self) -> UserInfo:
        """Return the user to be."""
        groups = self.groups
        if self.user.startswith(SERVICE_ACCOUNT) and not groups:
            groups = service_account_groups(self.user.split(":")[2])
        user = UserInfo(self.user, self.uid, groups, self.extra)
        if self.user == ANONYMOUS.name:
            return user if UNAUTHENTICATED in groups else UserInfo(self.user, self.uid, (*groups, UNAUTHENTICATED))
        return with_authenticated(user)


def read_impersonation(headers: Mapping[str, str]) -> Impersonation | None:
    """Read the ``Impersonate-*`` headers; None if there are none."""
    names = [name for name in headers if name.startswith("impersonate-")]
    if not names:
        return None
    user = headers.get("impersonate-user", "")
    if not user:
        raise ApiError(500, "", "requested impersonation without a user name: Impersonate-User is needed")
    extra = {
        name.removeprefix("impersonate-extra-"): headers[name].split(", ")
        for name in names
        if name.startswith("impersonate-extra-")
    }
    groups = headers.get("impersonate-group", "")
    return Impersonation(user, tuple(groups.split(", ")) if groups else (), extra, headers.get("impersonate-uid", ""))


@lru_cache(1024)
def _user_of_subject(subject: tuple[tuple[tuple[str, str], ...], ...]) -> UserInfo:
    """Read the user off the subject of a certificate that TLS has verified: CN is the name, each O a group."""
    name, groups = "", []
    for part in subject:
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    if not name:
        raise unauthorized()
    return with_authenticated(UserInfo(name, groups=tuple(groups)))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
