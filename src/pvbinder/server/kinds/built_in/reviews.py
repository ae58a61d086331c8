"""Reviews: questions that are posted, answered in their status and never stored (authentication, authorization)."""

from __future__ import annotations

from pvbinder.model.resources import Resource
from pvbinder.server.objects.kind import ServedKind

AUTHENTICATION = "authentication.k8s.io"
AUTHORIZATION = "authorization.k8s.io"


def _review(group: str, kind: str, *, namespaced: bool = False) -> ServedKind:
    lower = kind.lower()
    return ServedKind(
        resource=Resource(group, "v1", kind, f"{lower}s", namespaced),
        singular=lower,
        schema=f"io.k8s.api.{group.partition('.')[0]}.v1.{kind}",
        verbs=("create",),
    )


SELF_SUBJECT_REVIEW = _review(AUTHENTICATION, "SelfSubjectReview")
TOKEN_REVIEW = _review(AUTHENTICATION, "TokenReview")
LOCAL_SUBJECT_ACCESS_REVIEW = _review(AUTHORIZATION, "LocalSubjectAccessReview", namespaced=True)
SELF_SUBJECT_ACCESS_REVIEW = _review(AUTHORIZATION, "SelfSubjectAccessReview")
SELF_SUBJECT_RULES_REVIEW = _review(AUTHORIZATION, "SelfSubjectRulesReview")
SUBJECT_ACCESS_REVIEW = _review(AUTHORIZATION, "SubjectAccessReview")
