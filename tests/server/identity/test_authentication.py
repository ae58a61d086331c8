"""The user of a request: by certificate, token or impersonation."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.errors import ApiError
from pvbinder.server.identity.authentication import (
    ANONYMOUS,
    API_AUDIENCES,
    EXTRA_SPACE,
    Authenticator,
    TokenOwner,
    TokenRefused,
)
from pvbinder.server.identity.impersonation import read_impersonation
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


BEARERS = {
    "capitals": ("BEARER s3cret", "ana", []),
    "blanks around it": ("  Bearer s3cret  ", "ana", []),
    "words after it": ("Bearer s3cret and more", "ana", []),
    "two blanks": ("Bearer  s3cret", "system:anonymous", [EXTRA_SPACE]),
    "two blanks and nothing": ("Bearer  ", "system:anonymous", []),
    "a tab": ("Bearer\ts3cret", "system:anonymous", []),
    "no token": ("Bearer", "system:anonymous", []),
    "no scheme": ("s3cret", "system:anonymous", []),
    "another scheme": ("Basic s3cret", "system:anonymous", []),
}


@pytest.mark.parametrize(("header", "name", "warnings"), BEARERS.values(), ids=BEARERS.keys())
def test_a_bearer_header_is_read_as_the_reference_reads_it(header: str, name: str, warnings: list[str]) -> None:
    request = ApiRequest("GET", "/", headers={"authorization": header})
    assert (Authenticator(TOKENS).authenticate(request).name, request.warnings) == (name, warnings)


@pytest.mark.parametrize("header", ["Bearer guess", "Bearer s3cret, Bearer s3cret", "Bearer S3CRET"])
def test_authentication_1_what_is_no_token_of_ours_is_refused(header: str) -> None:
    with pytest.raises(ApiError):
        asked(authorization=header)


def test_authentication_3_a_static_token_is_for_this_server_alone() -> None:
    authenticator = Authenticator(TOKENS)
    ours = authenticator.owner_of("s3cret", ["vault", *API_AUDIENCES])
    assert isinstance(ours, TokenOwner)
    assert (ours.user.name, ours.audiences) == ("ana", API_AUDIENCES)
    assert authenticator.owner_of("s3cret", ["vault"]) == TokenRefused("invalid bearer token")


TIMES = {"notBefore": "Mar  1 12:00:00 2026 GMT", "notAfter": "Mar  2 12:00:00 2026 GMT"}
NOON = 1772366400.0  # of March 1, 2026
DAY = 86400.0


@pytest.mark.parametrize("seconds", [NOON - 1, NOON + DAY, NOON + 100 * DAY])
def test_authentication_4_a_certificate_counts_within_its_time_only(seconds: float) -> None:
    certificate = subject(("commonName", "ana")) | TIMES
    authenticator = Authenticator(TOKENS, clock=lambda: seconds)
    with pytest.raises(ApiError) as refused:
        authenticator.authenticate(ApiRequest("GET", "/", client_certificate=certificate))
    assert refused.value.code == 401
    with_token = ApiRequest("GET", "/", headers={"authorization": "Bearer s3cret"}, client_certificate=certificate)
    assert authenticator.authenticate(with_token).name == "ana"


@pytest.mark.parametrize("seconds", [NOON, NOON + DAY - 1])
def test_authentication_4_a_certificate_counts_until_its_last_second(seconds: float) -> None:
    certificate = subject(("commonName", "bob")) | TIMES
    request = ApiRequest("GET", "/", client_certificate=certificate)
    assert Authenticator(clock=lambda: seconds).authenticate(request).name == "bob"


def test_who_is_nobody_is_never_authenticated() -> None:
    nobody = Authenticator({"t": UserInfo("system:anonymous"), "u": UserInfo("x", groups=("system:unauthenticated",))})
    for token in "tu":
        owner = nobody.owner_of(token)
        assert isinstance(owner, TokenOwner)
        assert "system:authenticated" not in owner.user.groups


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
