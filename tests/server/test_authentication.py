"""Certificates, tokens, impersonation: who a request is by."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.authentication import ANONYMOUS, Authenticator, read_impersonation
from pvbinder.server.errors import ApiError
from pvbinder.server.requests import ApiRequest, UserInfo

TOKENS = {"s3cret": UserInfo("ana", groups=("devs",))}


def asked(*, certificate: Any = None, **headers: str) -> UserInfo:
    request = ApiRequest("GET", "/", headers=headers, client_certificate=certificate)
    return Authenticator(TOKENS).authenticate(request)


def subject(*parts: tuple[str, str]) -> dict[str, object]:
    return {"subject": tuple((part,) for part in parts)}


def test_authentication_1_no_credentials_are_nobody_and_wrong_ones_are_refused() -> None:
    assert asked() == ANONYMOUS
    assert asked(authorization="Basic YTpi") == ANONYMOUS
    with pytest.raises(ApiError) as refused:
        asked(authorization="Bearer guess")
    assert (refused.value.code, refused.value.message) == (401, "Unauthorized")


def test_authentication_1_a_certificate_without_a_name_is_refused() -> None:
    with pytest.raises(ApiError):
        asked(certificate=subject(("organizationName", "system:masters")))


def test_authentication_2_no_token_is_kept_as_it_is() -> None:
    authenticator = Authenticator({"s3cret": UserInfo("ana")})
    assert b"s3cret" not in b"".join(authenticator._by_digest)


def test_a_certificate_names_its_user_and_groups() -> None:
    user = asked(certificate=subject(("organizationName", "system:masters"), ("commonName", "kubernetes-admin")))
    assert (user.name, user.groups) == ("kubernetes-admin", ("system:masters", "system:authenticated"))


def test_a_token_is_its_users() -> None:
    assert asked(authorization="Bearer s3cret") == UserInfo("ana", groups=("devs", "system:authenticated"))
    assert asked(authorization="bearer  s3cret") == UserInfo("ana", groups=("devs", "system:authenticated"))


IMPERSONATED = {
    "a user": ({"impersonate-user": "bob"}, "bob", ("system:authenticated",)),
    "a user with groups": (
        {"impersonate-user": "bob", "impersonate-group": "a, b"},
        "bob",
        ("a", "b", "system:authenticated"),
    ),
    "a service account": (
        {"impersonate-user": "system:serviceaccount:shop:robot"},
        "system:serviceaccount:shop:robot",
        ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"),
    ),
    "nobody": ({"impersonate-user": "system:anonymous"}, "system:anonymous", ("system:unauthenticated",)),
}


@pytest.mark.parametrize(("headers", "name", "groups"), IMPERSONATED.values(), ids=IMPERSONATED.keys())
def test_impersonation_gives_the_groups_that_go_with_the_name(
    headers: dict[str, str], name: str, groups: tuple[str, ...]
) -> None:
    wanted = read_impersonation(headers)
    assert wanted is not None
    user = wanted.as_user()
    assert (user.name, user.groups) == (name, groups)


def test_groups_without_a_user_cannot_be_impersonated() -> None:
    assert read_impersonation({"accept": "x"}) is None
    with pytest.raises(ApiError):
        read_impersonation({"impersonate-group": "a"})
