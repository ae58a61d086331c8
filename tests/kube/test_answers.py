"""Answers that say 200 and are none (ANSWERS-1)."""

from __future__ import annotations

import pytest

from pvbinder.kube.answers import check_is_object
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.transport import Answer


@pytest.mark.parametrize("body", [b"<html></html>", b"", b"{}", b"[]", b'"ok"'])
def test_answers_1_a_write_that_is_answered_with_no_object_is_a_failure(body: bytes) -> None:
    with pytest.raises(ApiFailure, match="nobody knows whether it was done"):
        check_is_object(Answer(200, body), "a delete")


@pytest.mark.parametrize("body", [b'{"kind":"Pod","metadata":{"name":"web"}}', b'{"kind":"Status","status":"Success"}'])
def test_answers_1_an_object_is_an_answer_to_a_write(body: bytes) -> None:
    check_is_object(Answer(200, body), "a delete")
