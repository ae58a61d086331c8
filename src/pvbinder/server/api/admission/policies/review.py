"""The policies asked about one write: first for as long as a turn of the loop has time, else aside.

REVIEW-1  Which policies concern a write, and with which parameters, is found out in the turn that asks; what they say
          of it depends on nothing else.
REVIEW-2  What takes long is never done in the loop's turn: `PoliciesTakeLongError` has the rest, to be done aside, and
          the same review then knows the answer.
REVIEW-3  The first denial, by the policies' names, is the answer; warnings are given even if the write is denied.
REVIEW-4  What the server writes itself isn't judged, so that no policy keeps it from starting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerError
from dataclasses import dataclass, field
from typing import Final

from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import NAMESPACES
from pvbinder.server.api.admission.policies.hooks import BINDINGS, POLICIES, Hook, PolicyHooks
from pvbinder.server.api.admission.policies.matching import MisconfiguredError, find_match
from pvbinder.server.api.admission.policies.params import collect_params, find_param_kind
from pvbinder.server.api.admission.policies.written import Written
from pvbinder.server.api.aside import Aside
from pvbinder.server.errors import ApiError, is_forbidden
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authentication import service_account_groups
from pvbinder.server.identity.authorization import Authorizer, decide
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.functions.authorizers import AccessQuestion, AuthorizerValue, Ruling
from pvbinder.server.kinds.policies.policy import CompiledPolicy
from pvbinder.server.kinds.policies.trial import Budget, Denial, Sight, TakesLongError, ask
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo

LIGHT_COST_MAX: Final = 4_000  # some ten milliseconds, for all policies together
SERVER: Final = "system:apiserver"
ANSWER_SECONDS: Final = 10  # that a thread waits for the loop
_NOT_ASKED: Final = frozenset(
    {POLICIES.plural, BINDINGS.plural, "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}
)
_CODES: Final = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


class PoliciesTakeLongError(PvbinderError):
    """The policies of a write take longer than there is time for in the loop's turn (REVIEW-2)."""

    def __init__(self, review: PolicyReview) -> None:
        super().__init__("the policies of this write take long")
        self._review = review

    async def finish(self, aside: Aside, user: str) -> None:
        """Ask the policies aside."""
        await self._review.ask_aside(aside, user)


@dataclass(frozen=True, slots=True)
class _Case:
    """A policy to be asked by a binding, with parameters or without; `wrong`: why it can't be."""

    policy: CompiledPolicy
    binding: Json | None
    sight: Sight | None = None
    wrong: str = ""


@dataclass(slots=True)
class _Verdict:
    """What all policies say: the first denial, and the warnings."""

    denial: str = ""
    reason: str = ""
    warnings: list[str] = field(default_factory=list)


class PolicyReview:
    """One write under review; called in each turn in which the write is judged."""

    def __init__(
        self,
        hooks: PolicyHooks,
        written: Written,
        authorizer: Authorizer,
        warnings: list[str],
        *,
        is_heavy: bool = False,
    ) -> None:
        self._hooks = hooks
        self._written = written
        self._authorizer = authorizer
        self._warnings = warnings
        self._is_heavy = is_heavy
        self._cases: list[_Case] = []
        self._verdict: _Verdict | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, new: Json | None, old: Json | None) -> None:
        """Raise ApiError if a policy denies the write, or PoliciesTakeLongError; `new` and `old` as they are stored."""
        if self._verdict is None:
            self._cases = list(self._find_cases(new, old))
            if not self._cases:
                return
            if self._is_heavy:
                raise PoliciesTakeLongError(self)
            try:
                self._verdict = _judge(self._cases, Budget(LIGHT_COST_MAX))
            except TakesLongError:
                raise PoliciesTakeLongError(self) from None
        self._warnings += [warning for warning in self._verdict.warnings if warning not in self._warnings]
        if self._verdict.denial:
            raise self._refused(self._verdict, new)

    async def ask_aside(self, aside: Aside, user: str) -> None:
        """Find out the answer in a thread (REVIEW-2)."""
        self._loop = asyncio.get_running_loop()
        self._verdict = await aside.run(user, lambda: _judge(self._cases, Budget()), heavy=True)

    def rule(self, question: AccessQuestion) -> Ruling:
        """Answer what an expression asks about rights: the loop knows, the thread waits for it."""
        assert self._loop is not None, "policies that ask about rights are asked aside"
        answer: Future[Ruling] = Future()
        self._loop.call_soon_threadsafe(_settle, answer, self._decide, question)
        try:
            return answer.result(ANSWER_SECONDS)
        except NoAnswerError:
            raise CelError("the authorizer didn't answer") from None

    def _find_cases(self, new: Json | None, old: Json | None) -> list[_Case]:
        """Find out which policies are to be asked, and what they see (REVIEW-1)."""
        written, objects = self._written, self._hooks.objects
        kinds = self._hooks.with_same_objects(written.kind)
        seen = _Seen(self, new, old)
        cases: list[_Case] = []
        for hook in self._hooks.current():
            try:
                kind = find_match(hook.policy.constraints, written, kinds, *seen.objects(written.kind), objects)
                if kind is None:
                    continue
                params = hook.policy.param_kind
                param_kind = None if params is None else find_param_kind(params, objects.registry)
            except MisconfiguredError as error:
                cases.append(_Case(hook.policy, None, wrong=f"failed to configure policy: {error.message}"))
                continue
            cases += self._cases_of(hook, kind, param_kind, seen)
        return cases

    def _cases_of(self, hook: Hook, kind: ServedKind, param_kind: ServedKind | None, seen: _Seen) -> list[_Case]:
        written, objects = self._written, self._hooks.objects
        kinds = self._hooks.with_same_objects(written.kind)
        cases: list[_Case] = []
        for binding in hook.bindings:
            spec = binding["spec"]
            constraints = spec.get("matchResources")
            try:
                if constraints is not None and (
                    find_match(constraints, written, kinds, *seen.objects(written.kind), objects) is None
                ):
                    continue
                found = collect_params(param_kind, spec.get("paramRef"), written.asked_namespace, objects)
            except MisconfiguredError as error:
                cases.append(_Case(hook.policy, binding, wrong=f"failed to configure binding: {error.message}"))
                continue
            cases += [_Case(hook.policy, binding, seen.sight(kind, params)) for params in found]
        return cases

    def _decide(self, question: AccessQuestion) -> Ruling:
        user, verb = self._written.user, question.verb
        if question.account is not None:
            namespace, name = question.account
            user = UserInfo(f"system:serviceaccount:{namespace}:{name}", groups=service_account_groups(namespace))
        if question.path:
            attributes = Attributes(verb, question.path)
        else:
            attributes = Attributes(
                verb,
                "",
                True,
                question.group,
                "*",
                question.resource,
                question.namespace,
                question.name,
                question.subresource,
            )
        decision = decide(self._authorizer, user, attributes)
        return Ruling(decision.allowed, decision.reason)

    @property
    def written(self) -> Written:
        """The write that is reviewed."""
        return self._written

    @property
    def hooks(self) -> PolicyHooks:
        """The policies that are asked."""
        return self._hooks

    def _refused(self, verdict: _Verdict, new: Json | None) -> ApiError:
        written = self._written
        metadata = (new or {}).get("metadata") or {}
        name = written.name or metadata.get("name") or metadata.get("generateName") or "Unknown"
        error = is_forbidden(written.kind.resource, name, verdict.denial)
        error.reason = verdict.reason or "Invalid"
        error.code = _CODES.get(error.reason, 422)
        error.details = {**(error.details or {}), "causes": [{"message": verdict.denial}]}
        return error


class _Seen:
    """What policies see of the write, made once for each kind by which it is matched."""

    def __init__(self, review: PolicyReview, new: Json | None, old: Json | None) -> None:
        self._review = review
        self._stored = (new, old)
        self._objects: dict[object, tuple[Json | None, Json | None]] = {}
        self._namespace: Json | None = None
        self._has_namespace = False

    def objects(self, kind: ServedKind) -> tuple[Json | None, Json | None]:
        """Return the objects as `kind` has them."""
        known = self._objects.get(kind.resource)
        if known is None:
            shape = self._review.written.shape
            new, old = (None if obj is None else shape(kind, obj) for obj in self._stored)
            known = self._objects[kind.resource] = (new, old)
        return known

    def sight(self, kind: ServedKind, params: Json | None) -> Sight:
        """Return what a policy sees that matched by `kind`."""
        written = self._review.written
        new, old = self.objects(kind)
        resource = written.kind.resource
        about = AccessQuestion(
            group=resource.group,
            resource=resource.plural,
            subresource=written.subresource,
            namespace=written.asked_namespace,
            name=written.name,
        )
        authorizer = AuthorizerValue(self._review.rule)
        match_request = {**written.request(kind), "resource": written.request(written.kind)["resource"]}
        return Sight(new, old, written.request(kind), match_request, self._found_namespace(), params, authorizer, about)

    def _found_namespace(self) -> Json | None:
        if not self._has_namespace:
            written, reader = self._review.written, self._review.hooks.objects
            self._has_namespace = True
            if written.asked_namespace and not written.is_about_namespace:
                self._namespace = reader.get(NAMESPACES, None, written.asked_namespace)
        return self._namespace


def ask_policies(
    hooks: PolicyHooks, authorizer: Authorizer, written: Callable[[], Written], warnings: list[str], *, is_heavy: bool
) -> PolicyReview | None:
    """Return the review of a write; None if nothing is bound, or the write is about policies themselves."""
    if not hooks.current():
        return None
    asked = written()
    resource = asked.kind.resource
    if asked.user.name == SERVER:  # REVIEW-4
        return None
    if resource.group == POLICIES.group and resource.plural in _NOT_ASKED:
        return None
    return PolicyReview(hooks, asked, authorizer, warnings, is_heavy=is_heavy)


def _judge(cases: list[_Case], budget: Budget) -> _Verdict:
    """Ask the policies; pure, so that it may be done anywhere."""
    verdict = _Verdict()
    for case in cases:
        if case.sight is None or case.binding is None:
            if case.policy.fails:
                _deny(verdict, case, Denial(case.wrong))
            continue
        findings = ask(case.policy, case.sight, budget)
        actions = case.binding["spec"].get("validationActions") or ()
        for denial in findings.denials:
            if "Deny" in actions:
                _deny(verdict, case, denial)
            if "Warn" in actions:
                verdict.warnings.append(f"Validation failed for {_by(case)}: {denial.message}")
        for error in findings.annotation_errors:
            _deny(verdict, case, Denial(error))
    return verdict


def _deny(verdict: _Verdict, case: _Case, denial: Denial) -> None:
    if not verdict.denial:
        verdict.denial = f"{_by(case)} denied request: {denial.message}"
        verdict.reason = denial.reason


def _by(case: _Case) -> str:
    by = f"ValidatingAdmissionPolicy '{case.policy.name}'"
    return by if case.binding is None else f"{by} with binding '{case.binding['metadata']['name']}'"


def _settle(answer: Future[Ruling], ask_here: Callable[[AccessQuestion], Ruling], question: AccessQuestion) -> None:
    try:
        answer.set_result(ask_here(question))
    except Exception as error:  # noqa: BLE001  (told to the thread that asked)
        answer.set_exception(error)
