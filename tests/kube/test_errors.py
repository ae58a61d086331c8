"""A refusal is understood once, at the edge."""

from __future__ import annotations

import pytest

from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.transport import Answer
from pvbinder.model.resources import NODES, STORAGE_CLASSES

KINDS = {  # HTTP status and reason: the one question that is answered with yes
    "not found": (404, "NotFound", "is_not_found"),
    "name taken": (409, "AlreadyExists", "is_already_exists"),
    "stale revision": (409, "Conflict", "is_conflict"),
    "too old": (410, "Expired", "is_expired"),
    "gone, as old servers say": (410, "Gone", "is_expired"),
    "breaks a rule": (422, "Invalid", "is_invalid"),
    "may not": (403, "Forbidden", "is_forbidden"),
    "unknown user": (401, "Unauthorized", "is_unauthorized"),
    "busy": (429, "TooManyRequests", "is_too_many_requests"),
}
QUESTIONS = {question for _, _, question in KINDS.values()}


@pytest.mark.parametrize(("status", "reason", "yes"), KINDS.values(), ids=KINDS.keys())
def test_each_refusal_answers_one_question_with_yes(status: int, reason: str, yes: str) -> None:
    failure = ApiFailure(status, reason, "no")

    assert {question for question in QUESTIONS if getattr(failure, question)} == {yes}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_transient(status: int) -> None:
    assert ApiFailure(status, "", "").is_transient


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 415, 422])
def test_not_transient(status: int) -> None:
    assert not ApiFailure(status, "", "").is_transient


def test_an_object_that_is_refused_as_it_is() -> None:
    large = "etcdserver: request is too large"
    assert all(ApiFailure(*one).refuses_object for one in ((413, "", large), (422, "Invalid", ""), (500, "", large)))
    assert not any(ApiFailure(code, "", "no").refuses_object for code in (400, 403, 409, 429, 500, 504))


def test_the_status_object_is_read() -> None:
    body = (
        b'{"kind":"Status","reason":"Conflict","message":"changed","details":{"name":"disk-1","retryAfterSeconds":3}}'
    )

    failure = ApiFailure.from_answer(Answer(409, body))

    assert (failure.reason, failure.message, failure.retry_after_seconds) == ("Conflict", "changed", 3)
    assert failure.details["name"] == "disk-1"


def test_the_header_beats_the_details() -> None:
    body = b'{"details":{"retryAfterSeconds":3}}'

    assert ApiFailure.from_answer(Answer(429, body, {"retry-after": "7"})).retry_after_seconds == 7


BODIES = {
    "a page of a proxy": (b"<html>Bad Gateway</html>", "HTTP 502: <html>Bad Gateway</html>"),
    "nothing": (b"", "HTTP 502: the answer was empty"),
    "not text": (b"\xff\xfe", "HTTP 502: ��"),
    "an empty object": (b"{}", "HTTP 502"),
}


@pytest.mark.parametrize(("body", "message"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_status_is_quoted(body: bytes, message: str) -> None:
    assert ApiFailure.from_answer(Answer(502, body)).message == message


@pytest.mark.parametrize("header", ["soon", "-1", "inf", "nan", ""])
def test_a_senseless_retry_after_is_none(header: str) -> None:
    assert ApiFailure.from_answer(Answer(429, b"", {"retry-after": header})).retry_after_seconds is None


def test_a_namespace_that_goes_away_is_told_from_other_forbidden_things() -> None:
    terminating = {"causes": [{"reason": "NamespaceTerminating"}]}

    assert ApiFailure(403, "Forbidden", "no", details=terminating).is_namespace_terminating
    assert not ApiFailure(403, "Forbidden", "no").is_namespace_terminating


NOT_ABOUT_AN_OBJECT = {
    "a page of a proxy": b"404 page not found",
    "nothing": b"",
    "some document": b'{"reason":"NotFound"}',
    "a Status of success": b'{"kind":"Status","status":"Success","reason":"NotFound"}',
    "a Status of another reason": b'{"kind":"Status","status":"Failure","reason":"Unknown"}',
}


@pytest.mark.parametrize("body", NOT_ABOUT_AN_OBJECT.values(), ids=NOT_ABOUT_AN_OBJECT.keys())
def test_errors_1_a_404_without_its_status_is_no_not_found(body: bytes) -> None:
    assert not ApiFailure.from_answer(Answer(404, body)).is_not_found


def test_errors_1_the_object_itself_is_named() -> None:
    details = {"name": "fast", "group": "storage.k8s.io", "kind": "storageclasses"}
    failure = ApiFailure(404, "NotFound", "no", details=details)

    assert failure.names_as_not_found(STORAGE_CLASSES, "fast")
    assert not failure.names_as_not_found(STORAGE_CLASSES, "slow")
    assert not failure.names_as_not_found(NODES, "fast")
    assert not ApiFailure(404, "NotFound", "no").names_as_not_found(STORAGE_CLASSES, "fast")


def test_errors_2_a_write_is_unknown_when_its_answer_was_lost_or_tells_of_trouble() -> None:
    assert ConnectionFailed("broke").leaves_write_unknown
    assert not ConnectionFailed("refused", request_sent=False).leaves_write_unknown
    assert all(ApiFailure(status, "", "").leaves_write_unknown for status in (500, 502, 503, 504))
    assert not any(ApiFailure(status, "", "").leaves_write_unknown for status in (400, 403, 404, 409, 422, 429))


def test_a_server_that_is_behind_is_told_from_other_timeouts() -> None:
    details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}

    assert ApiFailure(504, "Timeout", "Timeout", details=details).is_revision_too_large
    assert ApiFailure(504, "Timeout", "Too large resource version: 9, current: 5").is_revision_too_large
    assert not ApiFailure(504, "Timeout", "gateway timeout", details={"causes": None}).is_revision_too_large
    assert not ApiFailure(500, "", "", details=details).is_revision_too_large
