"""What a user may do, asked step by step: ``authorizer.group('apps').resource('deployments').check('create')``.

The values only gather what is asked about. Who makes the first of them brings the answer with it (`Ask`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.types import BOOL, STRING, Type
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain

AUTHORIZER: Final = Type("object", "kubernetes.authorization.Authorizer")
RESOURCE_CHECK: Final = Type("object", "kubernetes.authorization.ResourceCheck")
_PATH_CHECK: Final = Type("object", "kubernetes.authorization.PathCheck")
_GROUP_CHECK: Final = Type("object", "kubernetes.authorization.GroupCheck")
_DECISION: Final = Type("object", "kubernetes.authorization.Decision")


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """A verb on a path, or on a resource; `account`: the namespace and name of the account it is about, if any."""

    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    account: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether something is allowed, and why."""

    allowed: bool
    reason: str = ""
    type_name = "kubernetes.authorization.Decision"


Ask: TypeAlias = Callable[[AccessQuestion], Ruling]


@dataclass(frozen=True, slots=True)
class AuthorizerValue:
    """The user of a request, or an account."""

    ask: Ask = field(compare=False)
    account: tuple[str, str] | None = None
    type_name = "kubernetes.authorization.Authorizer"


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """A group that is asked about."""

    ask: Ask = field(compare=False)
    question: AccessQuestion
    type_name = "kubernetes.authorization.GroupCheck"


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    """A resource that is asked about."""

    ask: Ask = field(compare=False)
    question: AccessQuestion
    type_name = "kubernetes.authorization.ResourceCheck"


@dataclass(frozen=True, slots=True)
class PathCheck:
    """A path that is asked about."""

    ask: Ask = field(compare=False)
    question: AccessQuestion
    type_name = "kubernetes.authorization.PathCheck"


def declare(library: Library) -> None:
    """Declare the questions and what can be learned from an answer."""
    text = (STRING,)
    library.add_member("path", "authorizer_path", (AUTHORIZER, *text), _PATH_CHECK, _path)
    library.add_member("group", "authorizer_group", (AUTHORIZER, *text), _GROUP_CHECK, _group)
    library.add_member(
        "serviceAccount", "authorizer_serviceaccount", (AUTHORIZER, STRING, STRING), AUTHORIZER, _account
    )
    library.add_member("resource", "groupcheck_resource", (_GROUP_CHECK, *text), RESOURCE_CHECK, _resource)
    for name, overload, change in (
        ("subresource", "resourcecheck_subresource", lambda asked, text: replace(asked, subresource=text)),
        ("namespace", "resourcecheck_namespace", lambda asked, text: replace(asked, namespace=text)),
        ("name", "resourcecheck_name", lambda asked, text: replace(asked, name=text)),
        ("fieldSelector", "authorizer_fieldselector", lambda asked, text: replace(asked, field_selector=text)),
        ("labelSelector", "authorizer_labelselector", lambda asked, text: replace(asked, label_selector=text)),
    ):
        library.add_member(name, overload, (RESOURCE_CHECK, *text), RESOURCE_CHECK, _changing(change))
    library.add_member("check", "pathcheck_check", (_PATH_CHECK, *text), _DECISION, _check)
    library.add_member("check", "resourcecheck_check", (RESOURCE_CHECK, *text), _DECISION, _check)
    library.add_member("errored", "decision_errored", (_DECISION,), BOOL, lambda _ruling: False)
    library.add_member("error", "decision_error", (_DECISION,), STRING, lambda _ruling: "")
    library.add_member("allowed", "decision_allowed", (_DECISION,), BOOL, lambda ruling: ruling.allowed)
    library.add_member("reason", "decision_reason", (_DECISION,), STRING, lambda ruling: ruling.reason)


def _path(value: AuthorizerValue, path: str) -> PathCheck:
    if not path.strip():
        raise CelError("path must not be empty")
    return PathCheck(value.ask, AccessQuestion(path=path, account=value.account))


def _group(value: AuthorizerValue, group: str) -> GroupCheck:
    return GroupCheck(value.ask, AccessQuestion(group=group, account=value.account))


def _account(value: AuthorizerValue, namespace: str, name: str) -> AuthorizerValue:
    if check_dns_subdomain(name):
        raise CelError("Invalid service account name")
    if check_dns_label(namespace):
        raise CelError("Invalid service account namespace")
    return replace(value, account=(namespace, name))


def _resource(value: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise CelError("resource must not be empty")
    return ResourceCheck(value.ask, replace(value.question, resource=resource))


def _changing(change: Callable[[AccessQuestion, str], AccessQuestion]) -> Callable[[ResourceCheck, str], ResourceCheck]:
    def run(value: ResourceCheck, text: str) -> ResourceCheck:
        return replace(value, question=change(value.question, text))

    return run


def _check(value: PathCheck | ResourceCheck, verb: str) -> Ruling:
    return value.ask(replace(value.question, verb=verb))
