"""FlowSchema and PriorityLevelConfiguration: stored; nothing is held back by them."""

from __future__ import annotations

from datetime import datetime

from pvbinder.server.kinds.parts.columns import AGE, NAME, NONE, field_cell
from pvbinder.server.kinds.parts.plain import Plain, fill_in
from pvbinder.server.kinds.validation.flow_control import (
    validate_conditions_of_flow,
    validate_flow_schema,
    validate_priority_level,
)
from pvbinder.server.objects.kind import Column, Json

_FLOW = ("api.flowcontrol", "flowcontrol.apiserver.k8s.io")


def default_flow_schema(obj: Json) -> None:
    """Fill in where it comes among the others."""
    spec = obj.setdefault("spec", {})
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000
    obj.setdefault("status", {})


def default_priority_level(obj: Json) -> None:
    """Fill in shares, and queues where there are some."""
    spec = obj.setdefault("spec", {})
    for field, shares in (("exempt", 0), ("limited", 30)):
        if spec.get(field) is not None:
            fill_in(spec[field], nominalConcurrencyShares=shares, lendablePercent=0)
    queuing: Json | None = ((spec.get("limited") or {}).get("limitResponse") or {}).get("queuing")
    if queuing is not None:
        for field, number in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
            if not queuing.get(field):
                queuing[field] = number
    obj.setdefault("status", {})


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
            default=default_flow_schema,
            validate_create=validate_flow_schema,
            validate_update=lambda new, _old: validate_flow_schema(new),
            validate_status=validate_conditions_of_flow,
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
            default=default_priority_level,
            validate_create=validate_priority_level,
            validate_update=lambda new, _old: validate_priority_level(new),
            validate_status=validate_conditions_of_flow,
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
