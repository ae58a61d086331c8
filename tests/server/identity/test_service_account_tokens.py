"""Tokens of service accounts: their use, and their end."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import Reply, Serving, serving

from pvbinder.server.files.private_files import PrivateFileError
from pvbinder.server.identity.authentication import TokenFileError, TokenOwner, TokenRefused, read_token_file
from pvbinder.server.identity.service_account_tokens import ServiceAccountTokens
from pvbinder.server.identity.token_keys import TokenKeys
from pvbinder.server.requests import UserInfo

ACCOUNTS = "/api/v1/namespaces/shop/serviceaccounts"
PODS = "/api/v1/namespaces/shop/pods"
SECRETS = "/api/v1/namespaces/shop/secrets"
NODES = "/api/v1/nodes"
NODE: dict[str, Any] = {"metadata": {"name": "p"}}
SECRET: dict[str, Any] = {"metadata": {"name": "p"}}


@asynccontextmanager
async def making_tokens(directory: Path) -> AsyncGenerator[tuple[Serving, ServiceAccountTokens]]:
    async with serving(directory) as server:
        await server.send("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
        yield server, server.tokens


async def ask(server: Serving, **spec: Any) -> Reply:
    return await server.send("POST", f"{ACCOUNTS}/robot/token", {"spec": spec})


async def test_tokens_1_a_token_is_its_accounts_until_its_time_is_over(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        answer = await ask(server, expirationSeconds=600)
        assert (answer.status, answer.body["status"]["expirationTimestamp"]) == (201, "2026-03-01T12:10:00Z")
        user = tokens.read(answer.body["status"]["token"])
        assert user is not None
        assert user.name == "system:serviceaccount:shop:robot"
        assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:shop")
        server.clock.now += timedelta(seconds=600)
        assert tokens.read(answer.body["status"]["token"]) is None


async def test_tokens_1_a_token_goes_with_its_account_and_with_what_it_is_bound_to(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        pod = {
            "metadata": {"name": "p"},
            "spec": {"serviceAccountName": "robot", "containers": [{"name": "c", "image": "i"}]},
        }
        await server.send("POST", PODS, pod)
        reference = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
        plain = (await ask(server)).body["status"]["token"]
        bound = (await ask(server, boundObjectRef=reference)).body["status"]["token"]
        user = tokens.read(bound)
        assert user is not None
        assert user.extra["authentication.kubernetes.io/pod-name"] == ["p"]
        await server.send("DELETE", f"{PODS}/p")
        assert (tokens.read(bound), tokens.read(plain) is None) == (None, False)
        await server.send("DELETE", f"{ACCOUNTS}/robot")
        await server.send("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
        assert tokens.read(plain) is None, "another account of the same name"


async def test_tokens_2_a_token_that_was_changed_or_made_elsewhere_is_nobodys(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        token = (await ask(server)).body["status"]["token"]
        header, claims, signature = token.split(".")
        for other in (
            f"{header}.{claims[:-2]}xx.{signature}",
            f"{header}.{claims}.",
            f"{header}.{claims}",
            "..",
            "x" * 100_000,
            "\udcff.a.b",
        ):
            assert tokens.read(other) is None
        other_keys = TokenKeys(tmp_path / "another server")
        other_keys.signing()
        assert ServiceAccountTokens(server.api.objects, other_keys).read(token) is None


def pod(account: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i"}]
    return {"metadata": {"name": "p"}, "spec": {"serviceAccountName": account, "containers": containers, **spec}}


BOUND_TO_P = {"apiVersion": "v1", "kind": "Pod", "name": "p"}


async def test_tokens_1_a_token_ends_a_minute_after_what_it_is_bound_to_was_deleted(tmp_path: Path) -> None:
    """Something that only waits for its finalizers keeps no token alive."""
    kinds = {"Pod": (PODS, pod("robot")), "Secret": (SECRETS, {"metadata": {"name": "p"}}), "Node": (NODES, NODE)}
    async with making_tokens(tmp_path) as (server, tokens):
        for kind, (path, body) in kinds.items():
            body = {**body, "metadata": {"name": "p", "finalizers": ["example.com/held"]}}
            assert (await server.send("POST", path, body)).status == 201
            answer = await ask(server, boundObjectRef={"apiVersion": "v1", "kind": kind, "name": "p"})
            token = answer.body["status"]["token"]
            assert tokens.read(token) is not None
            await server.send("DELETE", f"{path}/p?gracePeriodSeconds=0")
            server.clock.now += timedelta(seconds=60)
            assert tokens.read(token) is not None, kind
            server.clock.now += timedelta(seconds=1)
            assert tokens.judge(token) == TokenRefused("service account token has been invalidated"), kind


async def test_tokens_1_a_token_ends_a_minute_after_its_account_was_deleted(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        token = (await ask(server)).body["status"]["token"]
        await server.send("PATCH", f"{ACCOUNTS}/robot", {"metadata": {"finalizers": ["example.com/held"]}})
        await server.send("DELETE", f"{ACCOUNTS}/robot")
        server.clock.now += timedelta(seconds=61)
        assert tokens.judge(token) == TokenRefused("service account shop/robot has been deleted")


@pytest.mark.parametrize("kind", ["Pod", "Secret", "Node"])
async def test_tokens_1_another_object_of_the_name_is_another_object(tmp_path: Path, kind: str) -> None:
    path, body = {"Pod": (PODS, pod("robot")), "Secret": (SECRETS, SECRET), "Node": (NODES, NODE)}[kind]
    async with making_tokens(tmp_path) as (server, tokens):
        await server.send("POST", path, body)
        answer = await ask(server, boundObjectRef={"apiVersion": "v1", "kind": kind, "name": "p"})
        await server.send("DELETE", f"{path}/p?gracePeriodSeconds=0")
        assert (await server.send("POST", path, body)).status == 201
        assert tokens.read(answer.body["status"]["token"]) is None


async def test_tokens_1_a_token_from_the_future_is_not_good_yet(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        token = (await ask(server)).body["status"]["token"]
        server.clock.now -= timedelta(seconds=60)
        assert tokens.read(token) is not None, "clocks may differ a little"
        server.clock.now -= timedelta(seconds=1)
        assert tokens.judge(token) == TokenRefused("service account token is not valid yet")


async def test_tokens_2_a_token_that_says_that_it_needs_no_signature_is_nobodys(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        token = (await ask(server)).body["status"]["token"]
        _, claims, signature = token.split(".")
        for algorithm in ("none", "None", "", "HS256", "HS512", "RS256", "ES256"):
            header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
            for sealed in (signature, "", "AA"):
                assert tokens.judge(f"{header}.{claims}.{sealed}") is None


async def test_tokens_3_a_token_is_good_for_the_audiences_that_it_was_made_for(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        token = (await ask(server, audiences=["vault", "door"])).body["status"]["token"]
        owner = tokens.judge(token, ["car", "door", "vault"])
        assert isinstance(owner, TokenOwner)
        assert owner.audiences == ("vault", "door")
        assert tokens.judge(token, ["car"]) == TokenRefused(
            'token audiences ["vault" "door"] is invalid for the target audiences ["car"]'
        )
        assert tokens.read(token) is None


@pytest.mark.parametrize("account", ["other", "default"])
async def test_tokens_4_no_token_is_bound_to_the_pod_of_another_account(tmp_path: Path, account: str) -> None:
    async with making_tokens(tmp_path) as (server, _):
        await server.send("POST", PODS, pod(account))
        answer = await ask(server, boundObjectRef=BOUND_TO_P)
        assert (answer.status, answer.message) == (
            400,
            'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.',
        )


async def test_a_token_bound_to_a_pod_names_its_node(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        node = await server.send("POST", NODES, {"metadata": {"name": "n"}})
        await server.send("POST", PODS, pod("robot", nodeName="n"))
        token = (await ask(server, boundObjectRef=BOUND_TO_P)).body["status"]["token"]
        user = tokens.read(token)
        assert user is not None
        assert user.extra["authentication.kubernetes.io/node-name"] == ["n"]
        assert user.extra["authentication.kubernetes.io/node-uid"] == [node.body["metadata"]["uid"]]
        await server.send("DELETE", f"{NODES}/n")
        assert tokens.read(token) is not None, "the pod is what it is bound to"


async def test_a_token_request_that_names_another_account_is_refused(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, _):
        path = f"{ACCOUNTS}/robot/token"
        named = await server.send("POST", path, {"metadata": {"name": "other"}})
        assert (named.status, named.message) == (
            422,
            (
                'TokenRequest.authentication.k8s.io "robot" is invalid: metadata.name: Invalid value: "other": must '
                "match the service account name if specified"
            ),
        )
        old = await server.send("POST", path, {"metadata": {"uid": "1"}})
        assert old.status == 409
        assert "the UID in the token request (1) does not match the UID of the service account" in old.message


async def test_a_token_of_another_audience_is_not_ours(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        token = (await ask(server, audiences=["vault"])).body["status"]["token"]
        assert tokens.read(token) is None


REFUSED = {
    "no time at all": ({"expirationSeconds": 0}, 422, "Invalid value: 0: may not specify a duration less than 10"),
    "a negative time": ({"expirationSeconds": -1}, 422, "may not specify a duration less than 10 minutes"),
    "too long a time": ({"expirationSeconds": (1 << 32) + 1}, 422, "may not specify a duration larger than 2^32"),
    "a pod of another group": (
        {"boundObjectRef": {"apiVersion": "apps/v1", "kind": "Pod", "name": "x"}},
        400,
        "cannot bind token to object of type apps/v1, Kind=Pod",
    ),
    "no kind": ({"boundObjectRef": {}}, 400, "cannot bind token to object of type /, Kind="),
    "too short a time": ({"expirationSeconds": 5}, 422, "may not specify a duration less than 10 minutes"),
    "something that can't be bound": (
        {"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}},
        400,
        "cannot bind token to object of type /v1, Kind=ConfigMap",
    ),
    "something that isn't there": (
        {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "x"}},
        404,
        'pods "x" not found',
    ),
}


@pytest.mark.parametrize(("spec", "status", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_request_for_a_token_is_refused(
    tmp_path: Path, spec: dict[str, Any], status: int, message: str
) -> None:
    async with making_tokens(tmp_path) as (server, _):
        answer = await ask(server, **spec)
        assert (answer.status, message in answer.message) == (status, True), answer.message


async def test_an_account_that_is_not_there_gets_no_token(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, _):
        answer = await server.send("POST", f"{ACCOUNTS}/nobody/token", {"spec": {}})
        assert (answer.status, answer.message) == (404, 'serviceaccounts "nobody" not found')


def test_a_token_file_is_read_as_the_reference_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('s3cret,ana,1,"devs,ops"\n\nother, bob, 2\n')
    assert read_token_file(path) == {"s3cret": UserInfo("ana", "1", ("devs", "ops")), "other": UserInfo("bob", "2")}


@pytest.mark.parametrize("text", ["s3cret\n", ",ana,1\n", "s3cret,,1\n"])
def test_a_token_file_with_a_wrong_line_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text(text)
    with pytest.raises(TokenFileError, match="entry 1 is not token,user,uid"):
        read_token_file(path)
    with pytest.raises(TokenFileError, match="can't read"):
        read_token_file(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (b"", "it has 0"),
        (b"short", "it has 5"),
        (bytes(range(33)), "it has 33"),
        (bytes(32), "they aren't random"),
        (b"\xff" * 32, "they aren't random"),
    ],
    ids=["empty", "cut", "longer", "zeroed", "blank"],
)
def test_tokens_5_a_secret_of_an_older_version_that_is_none_is_refused_and_left_as_it_is(
    tmp_path: Path, key: bytes, says: str
) -> None:
    path = tmp_path / "service-account.key"
    path.write_bytes(key)
    path.chmod(0o600)
    with pytest.raises(PrivateFileError, match=says) as refused:
        TokenKeys.load(tmp_path)
    assert str(path) in refused.value.message
    assert path.read_bytes() == key


@pytest.mark.parametrize("name", ["service-account.key", "service-account.pem"])
def test_tokens_5_a_key_that_others_may_read_is_refused(tmp_path: Path, name: str) -> None:
    TokenKeys(tmp_path).signing()
    (tmp_path / "service-account.key").write_bytes(bytes(range(32)))
    (tmp_path / "service-account.key").chmod(0o600)
    TokenKeys.load(tmp_path)
    (tmp_path / name).chmod(0o640)
    with pytest.raises(PrivateFileError, match=f"others may read .*{name}"):
        TokenKeys.load(tmp_path)


REFUSED_TOKENS = {
    "empty token": (",ana,1\n", "entry 1 is not"),
    "blank token": ("  ,ana,1\n", "entry 1 is not"),
    "empty user": ("s3cret,,1\n", "entry 1 is not"),
    "a token of two users": ("s3cret,ana,1\ns3cret,bob,2\n", "entry 2 has the token of another user"),
    "a token with a blank in it": ("s3 cret,ana,1\n", "no header can carry"),
    "a token with a null in it": ("s3\0cret,ana,1\n", "can't|no header"),
    "a token beyond ASCII": ("s\u00e9cret,ana,1\n", "no header can carry"),
    "an open quote": ('s3cret,ana,1,"devs\n', "can't read the tokens"),
}


@pytest.mark.parametrize(("text", "says"), REFUSED_TOKENS.values(), ids=REFUSED_TOKENS.keys())
def test_authentication_5_a_file_of_tokens_is_refused_for(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "tokens.csv").write_text(text)
    with pytest.raises(TokenFileError, match=says):
        read_token_file(tmp_path / "tokens.csv")


def test_authentication_5_a_file_of_tokens_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text("s3cret,ana,1\n")
    path.chmod(0o644)
    assert read_token_file(path)
    path.chmod(0o664)
    with pytest.raises(TokenFileError, match="others may write"):
        read_token_file(path)


def test_authentication_5_the_same_entry_twice_is_no_contradiction(tmp_path: Path) -> None:
    (tmp_path / "tokens.csv").write_text("s3cret,ana,1\ns3cret,ana,1\n")
    assert list(read_token_file(tmp_path / "tokens.csv")) == ["s3cret"]
