"""Requests that no page of ours makes."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.requests import ApiRequest
from pvbinder.web.screening import BODY_BYTES_MAX, refusal

PORT = 4000


def status(method: str = "GET", path: str = "/", **headers: str) -> int | None:
    fields = {"host": f"127.0.0.1:{PORT}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    refused = refusal(ApiRequest(method, path, headers=fields), PORT)
    return refused.status if refused is not None else None


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}"])
def test_screen_1_it_is_asked_by_its_own_name(host: str) -> None:
    assert status(host=host) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1:{PORT}, evil.example",
     f"127.0.0.1:{PORT}.evil.example", f"0.0.0.0:{PORT}", f"[::1]:{PORT}", f"localhost.:{PORT}"],
)  # fmt: skip
def test_screen_1_a_name_that_leads_here_is_of_no_use(host: str) -> None:
    assert status(host=host) == 421


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1:80", f"https://127.0.0.1:{PORT}"])
def test_screen_2_other_origins_are_refused(origin: str) -> None:
    assert status(origin=origin) == 403
    assert status(origin=f"http://localhost:{PORT}") is None


def test_screen_2_a_browser_that_comes_from_another_site_gets_no_data() -> None:
    assert status(path="/api/info", sec_fetch_site="cross-site") == 403
    assert status(path="/static/main.js", sec_fetch_site="same-site") == 403
    assert status(path="/api/info", sec_fetch_site="same-origin") is None
    assert status(path="/enter", sec_fetch_site="cross-site") is None, "a link may be clicked"


def post(**headers: str) -> int | None:
    fields: dict[str, Any] = {"x_pvbinder": "1", "content_type": "text/plain", "content_length": "5", **headers}
    return status("POST", "/api/plan", **{name: value for name, value in fields.items() if value})


def test_screen_3_a_post_says_that_it_is_meant_for_us() -> None:
    assert post() is None
    assert post(content_type="application/yaml; charset=utf-8") is None
    assert post(x_pvbinder="") == 403
    assert post(content_type="application/x-www-form-urlencoded") == 415
    assert post(content_type="") == 415


@pytest.mark.parametrize(
    ("length", "expected"),
    [("", 411), ("-1", 411), ("1_0", 411), ("²", 411), (str(BODY_BYTES_MAX), None), (str(BODY_BYTES_MAX + 1), 413),
     ("9" * 5000, 413)],
)  # fmt: skip
def test_screen_3_a_body_is_bounded_before_it_comes(length: str, expected: int | None) -> None:
    assert post(content_length=length) == expected


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_screen_3_there_are_no_other_methods(method: str) -> None:
    assert status(method) == 405
    assert status("HEAD") is None


def test_screen_3_a_target_is_bounded() -> None:
    assert status(path="/static/" + "x" * 3000) == 414


def test_screen_4_a_link_is_not_used_up_by_a_prefetch() -> None:
    assert status(path="/enter", sec_purpose="prefetch;prerender") == 503
    assert status(path="/enter", purpose="prefetch") == 503
    assert status(path="/", sec_purpose="prefetch") is None
