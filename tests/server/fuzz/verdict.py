"""The check of every answer: an object or a `Status`, in the form that was asked for, and never a bug."""

from __future__ import annotations

from typing import Any

from tests.server.fuzz.traffic import APPLY, Sent

NOT_HERE = (
    501,
    503,
    504,
)  # unsupported requests, such as a shell in a pod, and requests beyond their time
REFERENCES_OWN = (  # the reference answers these with 500, too, and clients know its words
    "failed to create typed patch object",
    "resourceVersion: Invalid value",
    "resourceVersion should not be set on objects to be created",
    "strconv.ParseUint: ",
    "unknown patch type: ",
    "list element types are not identical: ",
    "expected a []interface {}",
    "does not contain declared merge key",
    "cannot merge lists without merge key",
    "merging lists cannot yet be specified in the patch",
    "lists of lists are not supported",
    "unrecognized type: ",
    "The order in patch",
    "invalid patch format",
    "failed to decode managed fields",
    "target.name: Required value",
    "target.kind: Unsupported value: ",
    "This pod has more than one PodDisruptionBudget",
)


def check(sent: Sent, status: int, content_type: str, body: Any) -> None:
    """Fail, and show the request, if its answer is wrong."""
    where = f"{sent}\n{status} {str(body)[:2000]}"
    assert 200 <= status < 500 or status in NOT_HERE or is_references_own(sent, body), where
    media_type = content_type.partition(";")[0]
    if sent.target.partition("?")[0].endswith("/log") and status == 200:
        assert (media_type, body) == ("text/plain", ""), where
        return
    assert media_type in ("application/json", "application/yaml"), f"{content_type}: {where}"
    if media_type == "application/json":
        assert isinstance(body, dict), where
        assert body.get("kind") or not sent.target.startswith("/api"), where
        if status >= 400:
            assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", status), where
            assert body["message"], where


def is_references_own(sent: Sent, body: Any) -> bool:
    """Whether the reference has the same internal error; an applied object that doesn't follow the schema is one."""
    if sent.content_type == APPLY and isinstance(body, dict) and "reason" not in body:
        return True  # our own unexpected errors have a reason
    message = body["message"] if isinstance(body, dict) else str(body)
    return any(words in message for words in REFERENCES_OWN)
