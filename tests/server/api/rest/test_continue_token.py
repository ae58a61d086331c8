"""Continue tokens: made, read, refused, and the answer to an expired one."""

from __future__ import annotations

import base64
import json

import pytest

from pvbinder.server.api.rest.continue_token import NOW, expired_token, make_token, read_token
from pvbinder.server.errors import ApiError


def encoded(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decoded(token: str) -> object:
    return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))


def token(**fields: object) -> str:
    return encoded({"v": "meta.k8s.io/v1", "rv": 7, "start": "a/b\0", **fields})


def test_a_token_says_where_a_list_goes_on() -> None:
    made = make_token(7, "shop/b")

    assert decoded(made) == {"v": "meta.k8s.io/v1", "rv": 7, "start": "shop/b\0"}
    assert read_token(made) == (7, "shop/b\0")
    assert "=" not in made
    assert read_token(token(start="/a/b\0")) == (7, "a/b\0")
    assert read_token(token(rv=-1)) == (-1, "a/b\0")
    assert read_token(encoded({"V": "meta.k8s.io/v1", "RV": 9, "Start": "x", "more": [1]})) == (9, "x")


WRONG = {
    "another version": (token(v="v2"), "server does not recognize this encoded version v2"),
    "no version": (encoded({"rv": 7, "start": "a"}), "server does not recognize this encoded version "),
    "nothing at all": (encoded("null"), "server does not recognize this encoded version "),
    "no revision": (token(rv=0), "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
    "null is no revision": (token(rv=None), "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
    "no start at all": (
        encoded({"v": "meta.k8s.io/v1", "rv": 7}),
        "encoded start key empty (version meta.k8s.io/v1)",
    ),
    "no revision at all": (
        encoded({"v": "meta.k8s.io/v1", "start": "a"}),
        "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
    ),
    "no start": (token(start=""), "encoded start key empty (version meta.k8s.io/v1)"),
    "out of its list": (token(start="../x"), "../x"),
    "out of its list, from the root": (token(start="/../x"), "/../x"),
    "twice the same way": (token(start="//x"), "//x"),
    "no object": (
        encoded([]),
        "json: cannot unmarshal array into Go value of type storage.continueToken",
    ),
    "a text for the revision": (
        token(rv="7"),
        "json: cannot unmarshal string into Go struct field continueToken.rv of type int64",
    ),
    "a number for the start": (
        token(start=5),
        "json: cannot unmarshal number 5 into Go struct field continueToken.start of type string",
    ),
    "a fraction for the revision": (
        token(rv=7.5),
        "json: cannot unmarshal number 7.5 into Go struct field continueToken.rv of type int64",
    ),
    "true for the start": (
        token(start=True),
        "json: cannot unmarshal bool into Go struct field continueToken.start of type string",
    ),
    "padding": ("YQ==", "illegal base64 data at input byte 2"),
    "the other alphabet": ("a+b/", "illegal base64 data at input byte 1"),
    "no JSON": (encoded("x"), "invalid character 'x' looking for beginning of value"),
    "true for the revision": (
        token(rv=True),
        "json: cannot unmarshal bool into Go struct field continueToken.rv of type int64",
    ),
}


@pytest.mark.parametrize(("text", "why"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_token(text: str, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_token(text)

    assert (refused.value.code, refused.value.message) == (
        400,
        f"invalid continue token: continue key is not valid: {why}",
    )


def test_the_largest_revision_is_one() -> None:
    with pytest.raises(ApiError, match="cannot unmarshal number 9223372036854775808 into Go struct field"):
        read_token(token(rv=2**63))
    assert read_token(token(rv=2**63 - 1)) == (2**63 - 1, "a/b\0")


def test_an_expired_token_comes_with_one_for_what_is_there_now() -> None:
    error = expired_token(make_token(7, "shop/b"))

    assert (error.code, error.reason) == (410, "Expired")
    assert error.message == (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    metadata = error.status()["metadata"]
    assert decoded(metadata["continue"]) == {"v": "meta.k8s.io/v1", "rv": NOW, "start": "shop/b\0"}


def test_bytes_that_are_no_text_are_replaced() -> None:
    raw = b'{"v":"meta.k8s.io/v1","rv":7,"start":"a\xffb"}'

    assert read_token(base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) == (7, "a\ufffdb")


def test_what_is_null_counts_as_not_there() -> None:
    assert read_token(encoded({"more": None, "v": "meta.k8s.io/v1", "rv": -(2**63), "start": "x"})) == (-(2**63), "x")
