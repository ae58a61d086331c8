"""ServiceAccount.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.model.resources import SERVICE_ACCOUNTS, Resource
from pvbinder.server.kinds.parts.columns import AGE, NAME
from pvbinder.server.objects.kind import Json, ServedKind, Subresource, drop_empty

TOKEN_REQUEST = Resource("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests", False)


def default_service_account(account: Json) -> None:
    """Leave empty lists out."""
    drop_empty(account, "secrets", "imagePullSecrets")


def prepare_new_service_account(account: Json, _now: str) -> None:
    """Reduce references to secrets to their names."""
    if "secrets" in account:
        account["secrets"] = [{"name": secret["name"]} if secret.get("name") else {} for secret in account["secrets"]]


def prepare_service_account(new: Json, _old: Json, now: str) -> None:
    """Reduce references to secrets to their names."""
    prepare_new_service_account(new, now)


SERVICE_ACCOUNT = ServedKind(
    resource=SERVICE_ACCOUNTS,
    singular="serviceaccount",
    schema="io.k8s.api.core.v1.ServiceAccount",
    short_names=("sa",),
    metadata_checks=("change", "whole"),
    default=default_service_account,
    prepare_create=prepare_new_service_account,
    prepare_update=prepare_service_account,
    # The token itself is made by `server.identity.service_account_tokens`.
    subresources=(
        Subresource(
            "token",
            verbs=("create",),
            body=TOKEN_REQUEST,
            body_schema="io.k8s.api.authentication.v1.TokenRequest",
        ),
    ),
    columns=(NAME, AGE),
)
