"""OpenID discovery: the right to the keys of tokens, and the verification of a token by them alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from tests.server.serving import ADMIN
from tests.server.test_embedded import context_of

from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo

CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/openid/v1/jwks"
ISSUER = "https://kubernetes.default.svc.cluster.local"
ROBOT = UserInfo("system:serviceaccount:default:robot", groups=("system:serviceaccounts", "system:authenticated"))
ANA = UserInfo("ana", groups=("system:authenticated",))
NOBODY = UserInfo("system:anonymous", groups=("system:unauthenticated",))
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


async def ask(server: EmbeddedServer, path: str, user: UserInfo | None = ADMIN, **headers: str) -> ApiResponse:
    return await server.dispatcher.handle(ApiRequest("GET", path, headers=headers, user=user))


async def post(server: EmbeddedServer, path: str, body: Any) -> Any:
    headers = {"content-type": "application/json"}
    request = ApiRequest("POST", path, headers=headers, body=json.dumps(body).encode(), user=ADMIN)
    answer = await server.dispatcher.handle(request)
    assert answer.status == 201, answer.body
    return json.loads(answer.body)


async def token_of_robot(server: EmbeddedServer, *audiences: str) -> str:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await post(server, accounts, {"metadata": {"name": "robot"}})
    spec = {"audiences": list(audiences)}
    return str((await post(server, f"{accounts}/robot/token", {"spec": spec}))["status"]["token"])


async def test_openid_1_a_token_is_verified_with_what_is_published_alone(tmp_path: Path) -> None:
    """As another program does it: with the issuer's document, the keys it leads to, and PyJWT's own way."""
    async with EmbeddedServer(tmp_path) as server, aiohttp.ClientSession() as client:
        token = await token_of_robot(server, "vault")
        async with client.get(server.url + CONFIGURATION, ssl=context_of(tmp_path)) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["Cache-Control"] == "public, max-age=3600"
            found = await answer.json()
        assert found == {
            "issuer": ISSUER,
            "jwks_uri": f"{server.url}{KEYS}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }
        async with client.get(found["jwks_uri"], ssl=context_of(tmp_path)) as answer:
            assert answer.headers["Content-Type"] == "application/jwk-set+json"
            assert answer.headers["Cache-Control"] == "public, max-age=3600"
            key_set = json.loads(await answer.text())
    assert [sorted(key) for key in key_set["keys"]] == [["alg", "crv", "kid", "kty", "use", "x", "y"]]
    key = jwt.PyJWKSet.from_dict(key_set)[jwt.get_unverified_header(token)["kid"]]
    algorithms = found["id_token_signing_alg_values_supported"]
    options: Any = {"require": ["exp", "iat", "nbf"]}
    claims = jwt.decode(token, key, algorithms, audience="vault", issuer=found["issuer"], options=options)
    assert claims["sub"] == "system:serviceaccount:default:robot"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token[:-8] + "AAAAAAAA", key, algorithms, audience="vault")


async def test_openid_1_the_keys_outlive_a_restart_and_hold_no_secret(tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        async with EmbeddedServer(tmp_path, listen=False) as server:
            answers.append((await ask(server, KEYS)).body)
    assert answers[0] == answers[1]
    assert "d" not in json.loads(answers[0])["keys"][0]


async def test_openid_1_who_may_find_them_is_said_by_roles(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        for path in (CONFIGURATION, KEYS, f"{CONFIGURATION}/", f"{KEYS}/"):
            answers = {user.name: await ask(server, path, user) for user in (ROBOT, ADMIN, ANA, NOBODY)}
            assert [answer.status for answer in answers.values()] == [200, 200, 403, 403], path
            why = f'forbidden: User "system:anonymous" cannot get path "{path}"'
            assert json.loads(answers[NOBODY.name].body)["message"] == why
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
        binding = {
            "metadata": {"name": "all"},
            "roleRef": {**role, "name": "system:service-account-issuer-discovery"},
            "subjects": [{**role, "kind": "Group", "name": "system:unauthenticated"}],
        }
        await post(server, BINDINGS, binding)
        assert (await ask(server, CONFIGURATION, None)).status == 200, "without credentials"
        assert (await ask(server, f"{KEYS}/x", ADMIN)).status == 404


async def test_openid_2_an_answer_says_nothing_that_its_request_said(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        plain = await ask(server, CONFIGURATION)
        led = {"host": "elsewhere.example.com", "x-forwarded-host": "elsewhere.example.com", "user-agent": "curl/8"}
        for path in (CONFIGURATION, KEYS):
            plain = await ask(server, path)
            asked = await server.dispatcher.handle(
                ApiRequest("GET", path, {"pretty": ["true"]}, headers=led, user=ADMIN)
            )
            assert (asked.body, asked.headers) == (plain.body, plain.headers)


async def test_each_document_has_its_one_media_type_and_is_only_read(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        for path, its, other in (
            (CONFIGURATION, "application/json", "application/jwk-set+json"),
            (KEYS, "application/jwk-set+json", "application/json"),
        ):
            for accept in ("*/*", its, f"{other}, */*;q=0.1", f"{its};q=0.5"):
                assert (await ask(server, path, accept=accept)).status == 200, accept
            refused = await ask(server, path, accept=other)
            assert (refused.status, json.loads(refused.body)["message"]) == (
                406,
                f"406: Not Acceptable\n\nAvailable representations: {its}",
            )
            written = await server.dispatcher.handle(ApiRequest("POST", path, user=ADMIN))
            assert written.status == 405
