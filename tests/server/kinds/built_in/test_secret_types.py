"""The demands of the types of secrets on their contents."""

from __future__ import annotations

import base64

import pytest
from tests.server.kinds.writes import new, refusals

from pvbinder.server.kinds.built_in.secrets import SECRET

REDACTED = 'Invalid value: "<secret contents redacted>": '
CONFIG = "kubernetes.io/dockerconfigjson"
CONTENTS: dict[str, tuple[str, dict[str, str], list[str]]] = {  # type, data in plain text, what is refused
    "a config": (CONFIG, {".dockerconfigjson": '{"auths":{}}'}, []),
    "null": (CONFIG, {".dockerconfigjson": "null"}, []),
    "no config": (CONFIG, {"other": "{}"}, ["data[.dockerconfigjson]: Required value"]),
    "no JSON": (
        CONFIG,
        {".dockerconfigjson": "not json"},
        [f"data[.dockerconfigjson]: {REDACTED}invalid character 'o' in literal null (expecting 'u')"],
    ),
    "nothing in it": (
        CONFIG,
        {".dockerconfigjson": ""},
        [f"data[.dockerconfigjson]: {REDACTED}unexpected end of JSON input"],
    ),
    "a list": (
        "kubernetes.io/dockercfg",
        {".dockercfg": "[]"},
        [f"data[.dockercfg]: {REDACTED}json: cannot unmarshal array into Go value of type map[string]interface {{}}"],
    ),
    "nested too deeply": (
        "kubernetes.io/dockercfg",
        {".dockercfg": "[" * 20_000},
        [f"data[.dockercfg]: {REDACTED}exceeded max depth"],
    ),
    "an empty key": ("kubernetes.io/ssh-auth", {"ssh-privatekey": ""}, ["data[ssh-privatekey]: Required value"]),
    "an empty certificate": ("kubernetes.io/tls", {"tls.crt": "", "tls.key": ""}, []),
    "half of a pair": ("kubernetes.io/tls", {"tls.crt": "x"}, ["data[tls.key]: Required value"]),
    "a password only": ("kubernetes.io/basic-auth", {"password": ""}, []),
    "neither": (
        "kubernetes.io/basic-auth",
        {},
        ["data[username]: Required value", "data[password]: Required value"],
    ),
    "a type of somebody's own": ("example.com/anything", {}, []),
}


@pytest.mark.parametrize(("kind", "data", "expected"), CONTENTS.values(), ids=CONTENTS.keys())
def test_a_secret_has_what_its_type_asks_for(kind: str, data: dict[str, str], expected: list[str]) -> None:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    assert refusals(SECRET, new("s", type=kind, data=encoded)) == expected
