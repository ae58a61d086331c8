"""Valid continue tokens, and the refusals of others."""

from __future__ import annotations

import base64

import pytest

from pvbinder.server.api.rest.continue_token import make_token, read_token
from pvbinder.server.errors import ApiError


def token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_token_says_where_to_go_on() -> None:
    assert read_token(make_token(7, "a/b")) == (7, "a/b\0")
    assert read_token(token('{"V":"meta.k8s.io/v1","RV":7,"start":"/a","more":1}')) == (7, "a")


GARBLED = {
    "{}": "illegal base64 data at input byte 0",
    "e30=": "illegal base64 data at input byte 3",
    "e": "illegal base64 data at input byte 0",
    "abc": "invalid character 'i' looking for beginning of value",
    token("[]"): "json: cannot unmarshal array into Go value of type storage.continueToken",
    token('{"rv":"5"}'): "json: cannot unmarshal string into Go struct field continueToken.rv of type int64",
    token("null"): "server does not recognize this encoded version ",
    token('{"v":"meta.k8s.io/v1","start":"a"}'): "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
    token('{"v":"meta.k8s.io/v1","rv":5}'): "encoded start key empty (version meta.k8s.io/v1)",
    token('{"v":"meta.k8s.io/v1","rv":5,"start":"../a"}'): "../a",
    token('{"v":"meta.k8s.io/v1","rv":5,"start":"//a"}'): "//a",
    token('{"v":"meta.k8s.io/v1","rv":5,"start":"a/"}'): "a/",
}


@pytest.mark.parametrize(("text", "why"), GARBLED.items(), ids=GARBLED.keys())
def test_what_is_no_token(text: str, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_token(text)
    assert (refused.value.code, refused.value.message) == (
        400,
        f"invalid continue token: continue key is not valid: {why}",
    )
