"""Who may see the page: links that work once, and the sessions of those who came by one.

SESSION-1  A link works once, and for `LINK_SECONDS`; it holds `SECRET_BYTES` of the system's randomness, and so does a
           session's cookie.
SESSION-2  Only digests of secrets are kept, and compared in constant time: what is in memory opens nothing.
SESSION-3  All is bounded: of more than `LINKS_MAX` links or `SESSIONS_MAX` sessions the oldest end. Sessions end with
           the process, at the latest.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

SECRET_BYTES: Final = 32
LINK_SECONDS: Final = 600.0
LINKS_MAX: Final = 16
SESSIONS_MAX: Final = 64
_TEXT_MAX: Final = 100  # characters; a secret has 43


class Sessions:
    """The links that were given out, and the sessions that began; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._links: dict[bytes, float] = {}  # digest of the token: when it expires; the oldest first
        self._sessions: dict[bytes, None] = {}

    def invite(self) -> str:
        """Return the token of a new link (SESSION-1)."""
        token = secrets.token_urlsafe(SECRET_BYTES)
        self._links[_digest(token)] = self._clock() + LINK_SECONDS
        while len(self._links) > LINKS_MAX:
            del self._links[next(iter(self._links))]
        return token

    def enter(self, token: str) -> str | None:
        """Use up the link with `token` and return the secret of a new session; None if it is no link, or no more."""
        found = _among(self._links, token)
        if found is None or self._links.pop(found) <= self._clock():
            return None
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._sessions[_digest(secret)] = None
        while len(self._sessions) > SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        return secret

    def knows(self, secret: str) -> bool:
        """Tell whether `secret` is that of a session."""
        return _among(self._sessions, secret) is not None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _among(digests: dict[bytes, float] | dict[bytes, None], secret: str) -> bytes | None:
    """Return the digest of `secret`, if it is one of these; each of them is compared (SESSION-2)."""
    if len(secret) > _TEXT_MAX:
        return None
    wanted = _digest(secret)
    found = None
    for each in digests:
        if hmac.compare_digest(each, wanted):
            found = each
    return found
