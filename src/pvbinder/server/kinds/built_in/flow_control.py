"""FlowSchema and PriorityLevelConfiguration: stored; nothing is held back by them."""

from __future__ import annotations

from datetime import datetime

from pvbinder.server.kinds.parts.columns import AGE, NAME, NONE, field_cell
from pvbinder.server.kinds.parts.plain import Plain
from pvbinder.server.objects.kind import Column, Json

_FLOW = ("api.flowcontrol", "flowcontrol.apiserver.k8s.io")


def _dangling_cell(obj: Json, _now: datetime) -> object:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Dangling":
            return condition.get("status", "")
    return "?"


def _precedence(obj: Json) -> tuple[object, ...]:
    return (obj.get("spec") or {}).get("matchingPrecedence", 0), obj["metadata"]["name"]


def _queuing(field: str) -> Column:
    names = {"queues": "Queues", "handSize": "HandSize", "queueLengthLimit": "QueueLengthLimit"}
    return Column(names[field], field_cell("spec", "limited", "limitResponse", "queuing", field, default=NONE))


FLOW_KINDS = tuple(
    row.declare()
    for row in (
        Plain(
            *_FLOW,
            "FlowSchema",
            "flowschemas",
            has_status=True,
            keeps_metadata=True,
            counts=("spec",),
            metadata_checks=("whole",),
            status_metadata_checks=(),
            table_order=_precedence,
            columns=(
                NAME,
                Column("PriorityLevel", field_cell("spec", "priorityLevelConfiguration", "name")),
                Column("MatchingPrecedence", field_cell("spec", "matchingPrecedence", default=0)),
                Column("DistinguisherMethod", field_cell("spec", "distinguisherMethod", "type", default=NONE)),
                AGE,
                Column("MissingPL", _dangling_cell),
            ),
        ),
        Plain(
            *_FLOW,
            "PriorityLevelConfiguration",
            "prioritylevelconfigurations",
            has_status=True,
            keeps_metadata=True,
            counts=("spec",),
            metadata_checks=("whole",),
            status_metadata_checks=(),
            columns=(
                NAME,
                Column("Type", field_cell("spec", "type")),
                Column(
                    "NominalConcurrencyShares",
                    field_cell("spec", "limited", "nominalConcurrencyShares", default=NONE),
                ),
                _queuing("queues"),
                _queuing("handSize"),
                _queuing("queueLengthLimit"),
                AGE,
            ),
        ),
    )
)
