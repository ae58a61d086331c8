"""The user who makes a request: client certificates, bearer tokens, and nobody in particular.

AUTHENTICATION-1  Credentials that are wrong are refused (401); a request without any is ``system:anonymous``.
AUTHENTICATION-2  A token is only ever compared by its digest, and never logged.
AUTHENTICATION-3  A token is good for the audiences that it was made for, those of static tokens are this server's own.
AUTHENTICATION-4  A certificate counts within its time only, also on a connection that was opened while it did.
AUTHENTICATION-5  A file of tokens is believed whole or not at all: no empty token, none of two users, none that others
                  may write.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

from pvbinder.model.errors import PvbinderError
from pvbinder.server.errors import ApiError
from pvbinder.server.files.private_files import PrivateFileError, read_trusted
from pvbinder.server.requests import ApiRequest, UserInfo

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = UserInfo("system:anonymous", groups=(UNAUTHENTICATED,))
SERVICE_ACCOUNT = "system:serviceaccount:"
API_AUDIENCES = ("https://kubernetes.default.svc.cluster.local",)
INVALID_TOKEN = "invalid bearer token"  # noqa: S105  (a message)
EXTRA_SPACE = "the provided Authorization header contains extra space before the bearer token, and is ignored"

TOKEN_FILE_BYTES_MAX: Final = 16 << 20
_SENDABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """The owner of a token, and the audiences that it is good for."""

    user: UserInfo
    audiences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """A token of a known kind that isn't good, and why in the reference's words."""

    why: str


# What an authenticator makes of a token for some audiences; None for a token that is of no kind it knows.
TokenReader = Callable[[str, Sequence[str]], TokenOwner | TokenRefused | None]


class TokenFileError(PvbinderError):
    """The file of static tokens can't be used."""


@dataclass(slots=True)
class Authenticator:
    """Finds the user of a request. `static_tokens` are given at the start; `readers` know tokens of other kinds."""

    static_tokens: Final[Mapping[str, UserInfo]] = field(default_factory=dict)
    readers: Final[tuple[TokenReader, ...]] = ()
    clock: Final[Callable[[], float]] = time.time
    _by_digest: dict[bytes, UserInfo] = field(init=False)

    def __post_init__(self) -> None:
        self._by_digest = {_digest(token): with_authenticated(user) for token, user in self.static_tokens.items()}

    def authenticate(self, request: ApiRequest) -> UserInfo:
        """Return who makes `request`; ApiError 401 if its credentials are wrong (AUTHENTICATION-1)."""
        certificate = request.client_certificate
        is_worn_out = False
        if certificate:
            user, starts, ends = _read_certificate(
                cast(Any, certificate["subject"]),
                str(certificate.get("notBefore", "")),
                str(certificate.get("notAfter", "")),
            )
            if starts <= self.clock() < ends:  # TLS looks only when a connection begins (AUTHENTICATION-4)
                if user is None:
                    raise unauthorized()
                return user
            is_worn_out = True
        token = read_bearer(request.headers.get("authorization", ""))
        if not token:
            if token is not None:
                request.warnings.append(EXTRA_SPACE)
            if is_worn_out:
                raise unauthorized()
            return ANONYMOUS
        owner = self.owner_of(token)
        if not isinstance(owner, TokenOwner):
            raise unauthorized()
        return owner.user

    def owner_of(self, token: str, audiences: Sequence[str] = API_AUDIENCES) -> TokenOwner | TokenRefused:
        """Return whose token this is for any of `audiences` (AUTHENTICATION-3)."""
        user = self._by_digest.get(_digest(token))
        if user is not None:
            common = tuple(audience for audience in API_AUDIENCES if audience in audiences)
            return TokenOwner(user, common) if common else TokenRefused(INVALID_TOKEN)
        for read in self.readers:
            match read(token, audiences):
                case TokenOwner(user=user, audiences=common):
                    return TokenOwner(with_authenticated(user), common)
                case TokenRefused(why=why):
                    return TokenRefused(f"[{INVALID_TOKEN}, {why}]")
                case None:
                    continue
        return TokenRefused(INVALID_TOKEN)


def read_bearer(header: str) -> str | None:
    """Return the token in an ``Authorization`` header, read as the reference reads it; None if there is none.

    The token is what stands between the first blank and the second; ``""`` says that there is nothing between them.
    """
    scheme, blank, rest = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not blank:
        return None
    return rest.partition(" ")[0]


def read_token_file(path: Path) -> dict[str, UserInfo]:
    """Read a file of static tokens as ``--token-auth-file`` of the reference has it.

    Each line is ``token,user,uid`` and, quoted if there are several, ``"group1,group2"``. Raises TokenFileError, also
    for what the reference only warns of: a file that others may write, and a token of two users (AUTHENTICATION-5).
    """
    try:
        text = read_trusted(path, bytes_max=TOKEN_FILE_BYTES_MAX).decode()
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True) if row]
    except PrivateFileError as error:
        raise TokenFileError(error.message, hint=error.hint) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else _no_csv(error)
        raise TokenFileError(
            f"can't read the tokens in {path}: {reason}", hint="each line is token,user,uid"
        ) from error
    tokens: dict[str, UserInfo] = {}
    for number, row in enumerate(rows, 1):
        if len(row) < 3 or not row[0].strip() or not row[1].strip():
            raise TokenFileError(
                f"{path}: entry {number} is not token,user,uid", hint='for example s3cret,ana,1,"devs,ops"'
            )
        groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
        token, user = row[0].strip(), UserInfo(row[1].strip(), row[2].strip(), groups)
        if not _SENDABLE.fullmatch(token):
            raise TokenFileError(
                f"{path}: the token of entry {number} has characters in it that no header can carry",
                hint="take letters, digits and - . _ ~ + / only",
            )
        if tokens.setdefault(token, user) != user:
            raise TokenFileError(
                f"{path}: entry {number} has the token of another user", hint="give each user a token of their own"
            )
    return tokens


def _no_csv(error: UnicodeDecodeError | csv.Error) -> str:
    """Why a text holds no tokens, without any of them."""
    return f"it is no UTF-8 text (byte {error.start})" if isinstance(error, UnicodeDecodeError) else str(error)


def unauthorized() -> ApiError:
    """401 of wrong credentials."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def with_authenticated(user: UserInfo) -> UserInfo:
    """Return `user` as a member of the group of all known users, unless it is anonymous."""
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups or user.name == ANONYMOUS.name:
        return user
    return UserInfo(user.name, user.uid, (*user.groups, AUTHENTICATED), user.extra)


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups of every service account of `namespace`."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


@lru_cache(1024)
def _read_certificate(
    subject: tuple[tuple[tuple[str, str], ...], ...], starts: str, ends: str
) -> tuple[UserInfo | None, float, float]:
    """Read the user off the subject of a certificate that TLS has verified, and when it begins and ends to count.

    CN is the name, each O a group; a subject without a name is nobody's.
    """
    name, groups = "", []
    for part in subject:
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return (
        with_authenticated(UserInfo(name, groups=tuple(groups))) if name else None,
        ssl.cert_time_to_seconds(starts) if starts else 0.0,
        ssl.cert_time_to_seconds(ends) if ends else float("inf"),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
