"""The failures of a request to an API server, told apart once, here at the edge.

Two errors, because there are two things a caller must know:

- `ConnectionFailed`: no answer came. It is always transient; whether a write happened is unknown unless `request_sent`
  is False. A caller of a write must look before it writes again (optimistic locking does that for a PUT).
- `ApiFailure`: the server answered, and it said no. Its properties say which refusal it is; no other module looks at
  status codes or compares reasons.

ERRORS-1  A 404 counts as "not found" only when it is a Kubernetes `Status` with that reason: the 404 page of a proxy,
          or of a server that is starting, says nothing about an object. Before anything irreversible even that isn't
          enough: `kube.proof`.
ERRORS-2  `leaves_write_unknown` is true of every failure after which a write may have been carried out all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pvbinder.kube.transport import Answer
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import Resource

TRANSIENT_STATUS = frozenset({429, 500, 502, 503, 504})
UNKNOWN_USER_HINT = "is the kubeconfig of this server, and are its token or certificate still valid?"
BODY_CHARACTERS_SHOWN_MAX = 1024  # characters of an answer that is no Status, as shown in a message


class ConfigError(PvbinderError):
    """The way to an API server can't be worked out from the configuration."""


class ConnectionFailed(PvbinderError):  # noqa: N818  (says what was tried and came to nothing)
    """No answer came from the API server; with `request_sent` a write may or may not have happened."""

    def __init__(self, message: str, *, request_sent: bool = True, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.request_sent = request_sent

    @property
    def leaves_write_unknown(self) -> bool:
        """A write may have been carried out, unless its request never left (ERRORS-2)."""
        return self.request_sent


class _Status(msgspec.Struct):
    kind: str | None = None
    status: str | None = None
    message: str | None = None
    reason: str | None = None
    details: dict[str, Any] | None = None


_status_decoder = msgspec.json.Decoder(_Status)


class ApiFailure(PvbinderError):  # noqa: N818  (an API server's Failure, as its Status says)
    """The API server refused: an answer whose status is not 2xx, or an ERROR event of a watch (GW-9)."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        details: Mapping[str, Any] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint or (UNKNOWN_USER_HINT if status == 401 else None))
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.details: Mapping[str, Any] = details or {}

    @classmethod
    def from_answer(cls, answer: Answer) -> ApiFailure:
        """Read the Status object of a refusal; a body that is none is quoted, shortened."""
        header = seconds(answer.headers.get("retry-after"))
        return cls.from_status(answer.status, answer.body, retry_after_seconds=header, hint=answer.hint)

    @classmethod
    def from_status(
        cls, code: int, body: bytes, *, retry_after_seconds: float | None = None, hint: str = ""
    ) -> ApiFailure:
        """Read a Status object; `code` is the HTTP status it came with."""
        try:
            status = _status_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            text = body.decode(errors="replace").strip()[:BODY_CHARACTERS_SHOWN_MAX] or "the answer was empty"
            return cls(code, "", f"HTTP {code}: {text}", retry_after_seconds=retry_after_seconds, hint=hint)
        if retry_after_seconds is None:
            retry_after_seconds = seconds((status.details or {}).get("retryAfterSeconds"))
        return cls(
            code,
            (status.reason or "") if status.kind == "Status" and status.status != "Success" else "",
            status.message or f"HTTP {code}",
            retry_after_seconds=retry_after_seconds,
            details=status.details,
            hint=hint,
        )

    @property
    def is_not_found(self) -> bool:
        """The API server itself says that the object, its parent or its kind is not there (ERRORS-1).

        This is enough before a step that can be repeated; before anything irreversible ask `kube.proof`.
        """
        return self.status == 404 and self.reason == "NotFound"

    def names_as_not_found(self, resource: Resource, name: str) -> bool:
        """Whether this very object is said not to be there: reason, resource and name are right (ERRORS-1)."""
        details = self.details
        return (
            self.is_not_found
            and details.get("kind") == resource.plural
            and (details.get("group") or "") == resource.group
            and details.get("name") == name
        )

    @property
    def is_revision_too_large(self) -> bool:
        """The server is behind the revision that was asked for: it lags, or a backup was restored; list anew."""
        causes = self.details.get("causes")
        named = isinstance(causes, list) and any(
            isinstance(cause, dict) and cause.get("reason") == "ResourceVersionTooLarge" for cause in causes
        )
        return self.status == 504 and (named or "Too large resource version" in self.message)

    @property
    def leaves_write_unknown(self) -> bool:
        """A write that was answered so may have been carried out: the answer tells of trouble behind it (ERRORS-2)."""
        return self.status >= 500 or self.status < 300 or self.status == 408

    @property
    def is_already_exists(self) -> bool:
        """The name of a new object is taken."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def is_conflict(self) -> bool:
        """Somebody else wrote first: read again, decide again (B-14)."""
        return self.status == 409 and self.reason != "AlreadyExists"

    @property
    def is_expired(self) -> bool:
        """The revision or the continue token is too old: list anew."""
        return self.status == 410

    @property
    def is_invalid(self) -> bool:
        """The object breaks a rule of its kind."""
        return self.status == 422

    @property
    def refuses_object(self) -> bool:
        """No server takes this object as it is: it breaks a rule, or is too large; of that Kubernetes says 500."""
        return self.status in (413, 422) or (self.status == 500 and "request is too large" in self.message)

    @property
    def is_forbidden(self) -> bool:
        """We are known but may not do this."""
        return self.status == 403

    @property
    def is_unauthorized(self) -> bool:
        """The server doesn't accept our credentials."""
        return self.status == 401

    @property
    def is_too_many_requests(self) -> bool:
        """The server is busy and has not looked at the request."""
        return self.status == 429

    @property
    def is_namespace_terminating(self) -> bool:
        """A create was refused because its namespace is being deleted."""
        causes = self.details.get("causes") or ()
        return self.status == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes)

    @property
    def is_transient(self) -> bool:
        """Asking again later may work."""
        return self.status in TRANSIENT_STATUS


def seconds(text: object) -> float | None:
    """A number of seconds as `Retry-After` has it; None for an absent, malformed or negative one."""
    try:
        number = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None
