"""Field selectors.

Rules: docs/rules/apiserver.md#7-field-selectors
"""

from __future__ import annotations

import pytest

from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.events import EVENT
from pvbinder.server.kinds.built_in.namespaces import NAMESPACE
from pvbinder.server.kinds.built_in.nodes import NODE
from pvbinder.server.kinds.built_in.persistent_volume_claims import PERSISTENT_VOLUME_CLAIM
from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP, SECRET
from pvbinder.server.kinds.parts.fields import parse_field_selector
from pvbinder.server.objects.kind import Json, ServedKind

RUNNING: Json = {
    "metadata": {"name": "a", "namespace": "n"},
    "spec": {"nodeName": "n1", "restartPolicy": "Never", "schedulerName": "s", "serviceAccountName": "sa"},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "::1"}]},
}
BARE: Json = {"metadata": {"name": "a"}, "spec": {}, "status": {}}
EVENT_OBJECT: Json = {
    "metadata": {"name": "e"},
    "involvedObject": {"kind": "Pod", "name": "p"},
    "source": {},
    "reportingComponent": "kubelet",
    "type": "Normal",
}
SELECTS: list[tuple[ServedKind, Json, str, bool]] = [
    (POD, RUNNING, "metadata.name=a,metadata.namespace==n", True),
    (POD, RUNNING, "metadata.name!=a", False),
    (POD, RUNNING, "spec.nodeName=n1,spec.host=n1", True),
    (POD, BARE, "spec.nodeName=", True),
    (POD, RUNNING, "spec.nodeName=", False),
    (POD, RUNNING, "status.phase!=Running", False),
    (POD, RUNNING, "spec.restartPolicy=Never,spec.schedulerName=s,spec.serviceAccountName=sa", True),
    (POD, RUNNING, "spec.hostNetwork=false", True),
    (POD, RUNNING, "status.podIP=10.0.0.1", True),
    (POD, RUNNING, r"status.podIPs=10.0.0.1\,::1", True),
    (POD, RUNNING, "status.nominatedNodeName=", True),
    (NODE, {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}, "spec.unschedulable=true", True),
    (NODE, BARE, "spec.unschedulable=false", True),
    (NAMESPACE, {"metadata": {"name": "n"}, "status": {"phase": "Active"}}, "status.phase=Active", True),
    (SECRET, {"metadata": {"name": "s"}, "type": "Opaque"}, "type=Opaque", True),
    (EVENT, EVENT_OBJECT, "involvedObject.kind=Pod,involvedObject.name=p,involvedObject.uid=", True),
    (EVENT, EVENT_OBJECT, "source=kubelet,reportingComponent=kubelet,type=Normal", True),
    (CONFIG_MAP, BARE, "", True),
]


@pytest.mark.parametrize(("kind", "obj", "text", "selected"), SELECTS, ids=[row[2] for row in SELECTS])
def test_what_a_selector_selects(kind: ServedKind, obj: Json, text: str, selected: bool) -> None:
    assert parse_field_selector(kind, text).matches(obj) is selected


ONLY = 'is not a known field selector: only "metadata.name", "metadata.namespace"'
REFUSED: list[tuple[ServedKind, str, str]] = [
    (PERSISTENT_VOLUME_CLAIM, "status.phase=Bound", f'"status.phase" {ONLY}'),
    (CONFIG_MAP, "data.k=v", f'"data.k" {ONLY}'),
    (POD, "spec.unknown=x", "field label not supported: spec.unknown"),
    (NODE, "status.phase=", "field label not supported: status.phase"),
    (CONFIG_MAP, "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
    (
        CONFIG_MAP,
        "metadata.name in (a)",
        "invalid selector: 'metadata.name in (a)'; can't understand 'metadata.name in (a)'",
    ),
]


@pytest.mark.parametrize(("kind", "text", "message"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_can_not_be_selected_by(kind: ServedKind, text: str, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_field_selector(kind, text)
    assert (refused.value.code, refused.value.message) == (400, message)


def test_a_selector_of_one_name_says_so() -> None:
    assert parse_field_selector(CONFIG_MAP, "metadata.name=a").name == "a"
    assert parse_field_selector(CONFIG_MAP, "metadata.name!=a").name is None
