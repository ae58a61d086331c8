"""What the policies of the cluster are told of a request: its operation, its options, and the object's shape there.

REVIEWED-1  A dry run is judged as the real request is, and says so.
REVIEWED-2  A write to a subresource shows what that path shows: a Scale, a Binding, an Eviction, or the object.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from pvbinder.server.api.admission import AdmissionOperation, PoliciesTakeLongError, PolicyReview, Written, ask_policies
from pvbinder.server.api.admission.policies.written import ObjectShape, as_it_is, served_object
from pvbinder.server.api.aside import Aside
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.options import DeleteOptions, Query, WriteOptions
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Json, ServedKind, Subresource
from pvbinder.server.requests import UserInfo

_OPTIONS_VERSION: Final = "meta.k8s.io/v1"


def review_write(
    of: tuple[Api, Storage],
    operation: AdmissionOperation,
    identity: tuple[str, str],
    asked: tuple[UserInfo, WriteOptions, Query],
    warnings: list[str],
    *,
    sub: Subresource | None = None,
    is_heavy: bool = False,
) -> PolicyReview | None:
    """Return the review of a write of the object with that namespace and name; None if no policy is bound."""
    api, storage = of

    def written() -> Written:
        user, options, query = asked
        namespace, name = identity
        body = storage.kind.resource if sub is None or sub.body is None else sub.body
        said: Json = {
            "kind": "UpdateOptions" if operation == "UPDATE" else "CreateOptions",
            "apiVersion": _OPTIONS_VERSION,
        }
        if options.dry_run:
            said["dryRun"] = ["All"]
        for field in ("fieldManager", "fieldValidation"):
            if query.get(field, [""])[0]:
                said[field] = query[field][0]
        shape: ObjectShape = served_object
        if sub is not None and sub.body is not None:
            shape = as_it_is if operation == "CREATE" else partial(_body, sub)
        return Written(
            storage.kind,
            body,
            operation,
            namespace,
            name,
            user,
            said,
            "" if sub is None else sub.name,
            options.dry_run,
            shape,
        )

    return ask_policies(api.policies, api.authorizer, written, warnings, is_heavy=is_heavy)


async def ask_about(review: PolicyReview, body: Json, aside: Aside, user: str) -> None:
    """Ask about what is posted and has nothing before it, for as long as it takes."""
    try:
        review(body, None)
    except PoliciesTakeLongError as long:
        await long.finish(aside, user)
        review(body, None)


def _body(sub: Subresource, kind: ServedKind, obj: Json) -> Json:
    """Return what a subresource shows of an object."""
    return sub.read(kind.from_storage(obj))


def review_deletion(
    api: Api,
    storage: Storage,
    identity: tuple[str, str],
    user: UserInfo,
    options: DeleteOptions,
    warnings: list[str],
    *,
    is_heavy: bool,
) -> PolicyReview | None:
    """Return the review of a deletion; None if no policy is bound."""

    def written() -> Written:
        said: Json = {"kind": "DeleteOptions", "apiVersion": _OPTIONS_VERSION}
        if options.grace_period_seconds is not None:
            said["gracePeriodSeconds"] = options.grace_period_seconds
        conditions = {"uid": options.uid, "resourceVersion": options.resource_version}
        if any(conditions.values()):
            said["preconditions"] = {field: value for field, value in conditions.items() if value}
        if options.propagation_policy is not None:
            said["propagationPolicy"] = options.propagation_policy
        if options.dry_run:
            said["dryRun"] = ["All"]
        namespace, name = identity
        kind: ServedKind = storage.kind
        return Written(kind, kind.resource, "DELETE", namespace, name, user, said, dry_run=options.dry_run)

    return ask_policies(api.policies, api.authorizer, written, warnings, is_heavy=is_heavy)
