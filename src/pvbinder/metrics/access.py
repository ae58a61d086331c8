"""Who may ask an endpoint: the API server says whose a token is, and what its owner may do.

ACCESS-1  Credentials that are wrong are 401. Without any, somebody is ``system:anonymous``, and asks as that.
ACCESS-2  What the API server doesn't allow is 403. When it can't be asked, nothing is allowed: 401 for a token, 500 for
          a right. The paths that are always allowed need no question: probes are answered while the server is away.
ACCESS-3  Answers are remembered for a short time, by the digest of a token; the memory is bounded, and so is the number
          of questions at once and how long each takes. A flood of wrong tokens costs the API server little.
ACCESS-4  No token is logged.

As the reference's delegated authentication and authorisation: a TokenReview and a SubjectAccessReview for each user and
path, client certificates by the cluster's authority, and ``system:masters`` without a question.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pvbinder import logs
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.reviews import Reviewed, may_ask_for, user_of_token
from pvbinder.server.api.negotiation import error_response
from pvbinder.server.errors import ApiError
from pvbinder.server.identity.authentication import MASTERS, Authenticator, read_bearer, unauthorized
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo

ALWAYS_ALLOWED: Final = ("/healthz", "/readyz", "/livez")
QUESTION_SECONDS: Final = 10.0
QUESTIONS_AT_ONCE: Final = 8
REMEMBERED_MAX: Final = 1024
QUIET_SECONDS: Final = 60.0  # between two log lines about the same trouble

T = TypeVar("T")

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """How long answers count, and which paths are for everybody; names and defaults are the reference's."""

    always_allowed: Sequence[str] = ALWAYS_ALLOWED
    token_seconds: float = 10.0
    allowed_seconds: float = 10.0
    denied_seconds: float = 10.0


class DelegatedAccess:
    """Asks the API server about each request that comes."""

    def __init__(
        self, authentication: Client, authorization: Client | None = None, options: AccessOptions | None = None
    ) -> None:
        """Ask `authentication` about tokens, and `authorization` (the same if None) about rights."""
        self._options = options or AccessOptions()
        self._authentication = authentication
        self._authorization = authorization or authentication
        self._certificates = Authenticator()
        self._tokens: _Remembered[Reviewed | None] = _Remembered()
        self._rights: _Remembered[bool] = _Remembered()
        self._turns = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._told_at: dict[str, float] = {}

    async def refusal(self, request: ApiRequest) -> ApiResponse | None:
        """Return the answer to a request that isn't allowed; None if it is."""
        try:
            user = await self._user_of(request)
            if not self._is_open(request.path) and MASTERS not in user.groups:
                await self._check(user, request.method.lower(), request.path)
        except ApiError as error:
            return error_response(request, error)
        return None

    def _is_open(self, path: str) -> bool:
        return any(
            path.startswith(allowed[:-1]) if allowed.endswith("*") else path == allowed
            for allowed in self._options.always_allowed
        )

    async def _user_of(self, request: ApiRequest) -> UserInfo:
        token = read_bearer(request.headers.get("authorization", ""))
        if request.client_certificate or not token:
            return self._certificates.authenticate(request)
        key = hashlib.sha256(token.encode(errors="replace")).digest()
        if key in self._tokens:
            found = self._tokens[key]
        else:
            try:
                found = await self._ask(lambda: user_of_token(self._authentication, token))
            except (ApiFailure, ConnectionFailed, TimeoutError) as error:
                self._tell("a token can't be reviewed", error, "tokenreviews")
                raise unauthorized() from None
            self._tokens.remember(key, found, self._options.token_seconds)
        if found is None:
            raise unauthorized()
        return UserInfo(found.name, found.uid, found.groups, found.extra)

    async def _check(self, user: UserInfo, verb: str, path: str) -> None:
        extra = tuple((name, tuple(values)) for name, values in sorted(user.extra.items()))
        key = (user.name, user.uid, user.groups, extra, verb, path)
        if key in self._rights:
            allowed = self._rights[key]
        else:
            asked = Reviewed(user.name, user.uid, user.groups, user.extra)
            try:
                verdict = await self._ask(lambda: may_ask_for(self._authorization, asked, verb, path))
            except (ApiFailure, ConnectionFailed, TimeoutError) as error:
                self._tell("a right can't be reviewed", error, "subjectaccessreviews")
                raise ApiError(500, "InternalError", "Internal error occurred: the right can't be reviewed") from None
            allowed = verdict.allowed
            seconds = self._options.allowed_seconds if allowed else self._options.denied_seconds
            self._rights.remember(key, allowed, seconds)
        if not allowed:
            raise ApiError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {verb} path "{path}"', details={})

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(QUESTION_SECONDS), self._turns:
            return await question()

    def _tell(self, what: str, error: Exception, resource: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at.get(what, float("-inf")) < QUIET_SECONDS:
            return
        self._told_at[what] = now
        hint = {}
        if isinstance(error, ApiFailure) and error.is_forbidden:
            hint["hint"] = f"we need the right to create {resource}: bind the ClusterRole system:auth-delegator to us"
        log.warning(what, err=str(error) or "no answer in time", **hint)


class _Remembered(Generic[T]):
    """Answers that count for a while."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[float, T]] = {}

    def __contains__(self, key: Hashable) -> bool:
        found = self._answers.get(key)
        return found is not None and asyncio.get_running_loop().time() < found[0]

    def __getitem__(self, key: Hashable) -> T:
        return self._answers[key][1]

    def remember(self, key: Hashable, answer: T, seconds: float) -> None:
        """Let `answer` count for `seconds`; the one that was given first is forgotten when there are too many."""
        self._answers.pop(key, None)
        if len(self._answers) >= REMEMBERED_MAX:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = (asyncio.get_running_loop().time() + seconds, answer)
