"""Whether an answer that says 200 is an answer at all: proxies say 200, too.

ANSWERS-1  A write that is answered with no object (a page, nothing) is a failure, and nobody knows whether it was
           carried out. Answers that become views are checked by `kube.documents`.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.transport import Answer


class _Kind(Struct):
    kind: str = ""


_kinds = msgspec.json.Decoder(_Kind)


def check_is_object(answer: Answer, what: str) -> None:
    """Raise `ApiFailure` if `answer`, a success, is no Kubernetes object (ANSWERS-1)."""
    try:
        kind = _kinds.decode(answer.body).kind
    except msgspec.MsgspecError:
        kind = ""
    if not kind:
        raise ApiFailure(answer.status, "", f"the answer to {what} is no object: nobody knows whether it was done")
