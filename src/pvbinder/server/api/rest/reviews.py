"""The reviews: who am I, may I, may they, whose token is this. Answered from the authenticator and the authoriser.

They are kinds with the verb create alone (`server.kinds.built_in.reviews`): routing goes here instead of to the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pvbinder.model.selectors import SelectorError, parse_selector
from pvbinder.server.api.aside import Aside, is_heavy
from pvbinder.server.api.negotiation import negotiate, respond
from pvbinder.server.api.rest.object_meta import put_in_namespace
from pvbinder.server.api.rest.options import read_write_options
from pvbinder.server.api.rest.routes import no_such_resource
from pvbinder.server.errors import ApiError, FieldError, bad_request, invalid, is_invalid
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authentication import (
    API_AUDIENCES,
    MASTERS,
    Authenticator,
    TokenOwner,
    TokenRefused,
    read_bearer,
)
from pvbinder.server.identity.authorization import RULES_SHOWN_MAX, AlwaysAllow, Authorizer, Decision, decide
from pvbinder.server.kinds.built_in.reviews import (
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    TOKEN_REVIEW,
)
from pvbinder.server.kinds.validation.selectors import validate_asked_selector
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.schema import decode_body
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo

_Answer = Callable[["Reviews", Json, UserInfo, str], None]


@dataclass(slots=True)
class Reviews:
    """Answers reviews."""

    authenticator: Authenticator
    authorizer: Authorizer
    now: Callable[[], str]
    aside: Aside

    async def answer(self, kind: ServedKind, request: ApiRequest, attributes: Attributes) -> ApiResponse | None:
        """Answer a POST of a review; None if `kind` is none."""
        answer = _ANSWERS.get(kind.resource.plural)
        if answer is None or kind.resource.group not in _GROUPS or attributes.verb != "create":
            return None
        if kind.resource.namespaced != bool(attributes.namespace) or attributes.name:
            raise no_such_resource()
        form = negotiate(request.headers.get("accept", ""), transformable=False)
        options = read_write_options("CreateOptions", request.query)
        content_type = request.headers.get("content-type", "")
        user = request.user or UserInfo("")
        body = request.body
        review, warnings = await self.aside.run(
            user.name,
            lambda: decode_body(body, content_type, kind, options.field_validation),
            heavy=is_heavy(len(body), content_type, body),
            size=len(body),
        )
        put_in_namespace(review, attributes.namespace)
        review.setdefault("spec", {})
        request.warnings.extend(warnings)
        answer(self, review, user, attributes.namespace)
        return respond(request, 201, _arranged(review, kind), form.media_type)

    def _who_am_i(self, review: Json, user: UserInfo, _namespace: str) -> None:
        del review["spec"]
        review["metadata"]["creationTimestamp"] = self.now()
        review["status"] = {"userInfo": _shown(user)}

    def _whose_token(self, review: Json, _user: UserInfo, _namespace: str) -> None:
        spec = review["spec"]
        sent = spec.get("token", "")
        if not sent:
            raise bad_request("token is required for TokenReview in authentication")
        token = read_bearer(f"Bearer {sent}")  # as the same text in a header would be read
        if not token:
            review["status"] = {"user": {}}
            return
        match self.authenticator.owner_of(token, spec.get("audiences") or API_AUDIENCES):
            case TokenOwner(user=user, audiences=audiences):
                review["status"] = {"authenticated": True, "user": _shown(user), "audiences": list(audiences)}
            case TokenRefused(why=why):
                review["status"] = {"user": {}, "error": why}

    def _may_i(self, review: Json, user: UserInfo, _namespace: str) -> None:
        self._decide(review, SELF_SUBJECT_ACCESS_REVIEW, user, _check_asked(review["spec"]))

    def _may_they(self, review: Json, _user: UserInfo, _namespace: str) -> None:
        user, wrong = _subject(review["spec"])
        self._decide(review, SUBJECT_ACCESS_REVIEW, user, _check_asked(review["spec"]) + wrong)

    def _may_they_here(self, review: Json, _user: UserInfo, namespace: str) -> None:
        spec = review["spec"]
        user, wrong = _subject(spec)
        wrong = _check_asked(spec) + wrong
        asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
        if spec.get("resourceAttributes") is not None and asked != namespace:
            wrong.append(invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace"))
        if (path := spec.get("nonResourceAttributes")) is not None:
            wrong.append(invalid("spec.nonResourceAttributes", _shown_path(path), "disallowed on this kind of request"))
        self._decide(review, LOCAL_SUBJECT_ACCESS_REVIEW, user, wrong)

    def _decide(self, review: Json, kind: ServedKind, user: UserInfo, wrong: list[FieldError]) -> None:
        if wrong:
            raise _refused(kind, wrong)
        about_resource = review["spec"].get("resourceAttributes")
        about = _attributes(about_resource, review["spec"].get("nonResourceAttributes"))
        review["status"] = _status(decide(self.authorizer, user, about))
        raw = ((about_resource or {}).get("labelSelector") or {}).get("rawSelector")
        if raw and not _is_selector(raw):
            why = "spec.resourceAttributes.labelSelector ignored due to parse error"
            review["status"]["evaluationError"] = why

    def _what_may_i(self, review: Json, user: UserInfo, _namespace: str) -> None:
        namespace = review["spec"].get("namespace", "")
        if not namespace:
            raise bad_request("no namespace on request")
        resource_rules, path_rules = self.authorizer.rules(user, namespace)
        if MASTERS in user.groups:  # whatever the roles say
            for rules, more in zip((resource_rules, path_rules), AlwaysAllow().rules(user, namespace), strict=True):
                rules += [rule for rule in more if rule not in rules]
        review["spec"] = {}  # as the reference shows it
        status: Json = {"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": False}
        if len(resource_rules) + len(path_rules) > RULES_SHOWN_MAX:
            status["incomplete"] = True
            status["evaluationError"] = f"there are more than {RULES_SHOWN_MAX} rules, of which these are the first"
        review["status"] = status


_GROUPS = ("authentication.k8s.io", "authorization.k8s.io")
_ANSWERS: dict[str, _Answer] = {
    SELF_SUBJECT_REVIEW.resource.plural: Reviews._who_am_i,
    TOKEN_REVIEW.resource.plural: Reviews._whose_token,
    SELF_SUBJECT_ACCESS_REVIEW.resource.plural: Reviews._may_i,
    SUBJECT_ACCESS_REVIEW.resource.plural: Reviews._may_they,
    LOCAL_SUBJECT_ACCESS_REVIEW.resource.plural: Reviews._may_they_here,
    SELF_SUBJECT_RULES_REVIEW.resource.plural: Reviews._what_may_i,
}


def _attributes(about_resource: Json | None, about_path: Json | None) -> Attributes:
    if about_resource is None:
        about_path = about_path or {}
        return Attributes(about_path.get("verb", ""), about_path.get("path", ""))
    return Attributes(
        verb=about_resource.get("verb", ""),
        path="",
        is_resource=True,
        group=about_resource.get("group", ""),
        version=about_resource.get("version", ""),
        resource=about_resource.get("resource", ""),
        namespace=about_resource.get("namespace", ""),
        name=about_resource.get("name", ""),
        subresource=about_resource.get("subresource", ""),
    )


def _subject(spec: Json) -> tuple[UserInfo, list[FieldError]]:
    name, groups = spec.get("user", ""), tuple(spec.get("groups") or ())
    wrong = [] if name or groups else [invalid("spec.user", "", "at least one of user or group must be specified")]
    return UserInfo(name, spec.get("uid", ""), groups, spec.get("extra") or {}), wrong


def _check_asked(spec: Json) -> list[FieldError]:
    """Check that a review asks about one thing, and well."""
    about_resource, about_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    wrong: list[FieldError] = []
    if about_resource is None and about_path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        wrong.append(invalid("spec.resourceAttributes", None, why))
    elif about_resource is not None and about_path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        wrong.append(invalid("spec.nonResourceAttributes", _shown_path(about_path), why))
    for field in ("fieldSelector", "labelSelector"):
        if (selector := (about_resource or {}).get(field)) is not None:
            wrong += validate_asked_selector(selector, f"spec.resourceAttributes.{field}")
    return wrong


def _shown_path(about_path: Json) -> Json:
    return {"Path": about_path.get("path", ""), "Verb": about_path.get("verb", "")}


def _is_selector(text: str) -> bool:
    try:
        parse_selector(text)
    except SelectorError:
        return False
    return True


def _status(decision: Decision) -> Json:
    status: Json = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return status


def _shown(user: UserInfo) -> Json:
    shown: Json = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {name: list(values) for name, values in user.extra.items()}
    return shown


def _refused(kind: ServedKind, wrong: list[FieldError]) -> ApiError:
    """422, which the reference gives without a kind for reviews."""
    error = is_invalid(replace(kind.resource, kind=""), "", wrong)
    details: dict[str, Any] = {name: value for name, value in (error.details or {}).items() if name != "kind"}
    return ApiError(422, error.reason, error.message, details=details)


def _arranged(review: Json, kind: ServedKind) -> Json:
    resource = kind.resource
    head = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": review["metadata"]}
    return {**head, **{name: value for name, value in review.items() if name not in head}}
