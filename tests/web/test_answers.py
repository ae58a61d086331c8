"""What answers say of themselves, and the files of the page."""

from __future__ import annotations

import re

import pytest

from pvbinder.server.requests import ApiRequest
from pvbinder.web.answers import INDEX, document, problem, static_files, text


def test_answer_1_every_answer_forbids_what_is_from_elsewhere() -> None:
    file = static_files()[INDEX].answer(ApiRequest("GET", "/"))
    for answer in (text(200, "a"), document(200, {}), problem(400, "b"), file):
        directives = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert directives["default-src"] == "'none'"
        assert directives["frame-ancestors"] == "'none'"
        assert not any("unsafe" in value or "*" in value or "http" in value for value in directives.values())
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert document(200, {}).headers["Cache-Control"] == "no-store"
    assert file.headers["Cache-Control"] == "no-cache"


def test_answer_2_files_are_those_of_the_folder() -> None:
    found = static_files()
    assert found[INDEX].content_type.startswith("text/html")
    assert all(re.fullmatch(r"(\w[\w.-]*/)?\w[\w.-]*", name) for name in found), list(found)
    assert not [name for name in found if name.endswith(".py")]


@pytest.mark.parametrize("asked", ["{tag}", "W/{tag}", '"other", {tag}'])
def test_answer_1_a_file_that_is_the_same_isnt_sent_again(asked: str) -> None:
    file = static_files()[INDEX]
    same = file.answer(ApiRequest("GET", "/", headers={"if-none-match": asked.format(tag=file.tag)}))
    assert (same.status, same.body) == (304, b"")
    assert file.answer(ApiRequest("GET", "/", headers={"if-none-match": '"x"'})).status == 200
