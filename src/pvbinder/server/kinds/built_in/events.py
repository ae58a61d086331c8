"""Event of both groups, over one storage in the form of ``v1``.

The older group takes nearly anything; what comes in through ``events.k8s.io`` is checked more strictly, and hardly
changes later.

Rules: docs/rules/apiserver.md#6-core-helpers, docs/rules/apiserver.md#7-field-selectors
"""

from __future__ import annotations

from datetime import datetime

from pvbinder.model.resources import EVENTS, EVENTS_EVENTS
from pvbinder.server.errors import FieldError, invalid, required
from pvbinder.server.kinds.parts.columns import age_of, field_cell, name_cell
from pvbinder.server.kinds.validation.internal_form import (
    OBJECT_REFERENCE,
    OBJECT_REFERENCE_FIELDS,
    Inner,
    InternalFields,
    inner_form,
)
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_dns_subdomain, check_qualified_name
from pvbinder.server.objects.kind import METADATA_FIELDS, Column, Convertor, FieldReader, Json, ServedKind, drop_empty

_TYPES = ("Normal", "Warning")
_FIELD_BYTES_MAX = 128
_MESSAGE_BYTES_MAX = 1024
_RENAMED = {  # fields of events.k8s.io and what they are called in v1
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_RENAMED_BACK = {old: new for new, old in _RENAMED.items()}
_SOURCE: InternalFields = {"Component": ("component", ""), "Host": ("host", "")}
_FIXED: InternalFields = {  # what an update through events.k8s.io can't change, and how that is shown
    "involvedObject": ("involvedObject", Inner(OBJECT_REFERENCE, pointer=False)),
    "reason": ("reason", ""),
    "message": ("message", ""),
    "source": ("source", Inner(_SOURCE, pointer=False)),
    "firstTimestamp": ("firstTimestamp", None),
    "lastTimestamp": ("lastTimestamp", None),
    "count": ("count", 0),
    "type": ("type", ""),
    "eventTime": ("eventTime", None),
    "action": ("action", ""),
    "related": ("related", Inner(OBJECT_REFERENCE)),
    "reportingController": ("reportingComponent", ""),
    "reportingInstance": ("reportingInstance", ""),
}
_LOOKED_AT = (  # sic: the reference looks at the reason twice
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reason", "type",
    "eventTime", "action", "related", "reportingController", "reportingInstance",
)  # fmt: skip
_TIMES = ("eventTime", "firstTimestamp", "lastTimestamp")


def default_event(event: Json) -> None:
    """Show the fields that the reference shows even when they are empty."""
    for field in _TIMES:
        event.setdefault(field, None)
    event.setdefault("reportingComponent", "")
    event.setdefault("reportingInstance", "")
    drop_empty(event.setdefault("source", {}), "component", "host")
    drop_empty(event.setdefault("involvedObject", {}), *OBJECT_REFERENCE_FIELDS)
    drop_empty(event, "reason", "message", "count", "type", "action")


def validate_event(event: Json) -> list[FieldError]:
    """Check an event that comes in through ``v1``."""
    return _validate(event, "reportingComponent")


def validate_event_update(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed event like a new one."""
    return validate_event(new)


def validate_new_event(event: Json) -> list[FieldError]:
    """Check an event that comes in through ``events.k8s.io``."""
    errors = _validate(event, "reportingController")
    name = event["metadata"].get("name", "")
    errors += (invalid("metadata.name", name, reason) for reason in check_dns_subdomain(name))
    errors += _validate_series(event)
    if not event.get("eventTime"):
        errors.append(required("eventTime"))
    kind = event.get("type", "")
    if kind not in _TYPES:
        errors.append(invalid("type", "", f"has invalid value: {kind}"))
    for field in ("firstTimestamp", "lastTimestamp", "count", "source"):
        if event.get(field):
            errors.append(invalid(field, "", "needs to be unset"))
    return errors


def validate_new_event_update(new: Json, old: Json) -> list[FieldError]:
    """Check an event changed through ``events.k8s.io``: only its series and metadata can change."""
    errors = _validate(new, "reportingController")
    if new.get("series") != old.get("series"):
        errors += _validate_series(new)
    sent, kept = inner_form(_FIXED, new), inner_form(_FIXED, old)
    return errors + [invalid(path, sent[path], IMMUTABLE) for path in _LOOKED_AT if sent[path] != kept[path]]


def to_v1(event: Json) -> Json:
    """Return an event of ``events.k8s.io`` in the form in which events are stored."""
    stored = {_RENAMED.get(field, field): value for field, value in event.items()}
    stored["apiVersion"] = EVENTS.api_version
    return stored


def from_v1(event: Json) -> Json:
    """Return a stored event as ``events.k8s.io`` shows it."""
    shown = {_RENAMED_BACK.get(field, field): value for field, value in event.items()}
    shown["apiVersion"] = EVENTS_EVENTS.api_version
    drop_empty(shown, "reportingController", "reportingInstance")
    return shown


def _validate(event: Json, controller_field: str) -> list[FieldError]:
    """Check namespaces, and if there is an ``eventTime`` what comes with it."""
    errors: list[FieldError] = []
    namespace = event["metadata"].get("namespace", "")
    involved = (event.get("involvedObject") or {}).get("namespace", "")
    mismatch = invalid("involvedObject.namespace", involved, "does not match event.namespace")
    if not event.get("eventTime"):
        if (namespace not in ("", "default")) if not involved else involved != namespace:
            errors.append(mismatch)
    else:
        if not involved and namespace not in ("default", "kube-system"):
            errors.append(mismatch)
        errors += _validate_timed(event, controller_field)
    errors += (invalid("namespace", namespace, reason) for reason in check_dns_subdomain(namespace) if namespace)
    return errors


def _validate_timed(event: Json, controller_field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    controller = event.get("reportingComponent", "")
    if not controller:
        errors.append(required(controller_field))
    errors += (invalid(controller_field, controller, reason) for reason in check_qualified_name(controller))
    for field in ("reportingInstance", "action", "reason"):
        value = event.get(field, "")
        if not value:
            errors.append(required(field))
        if len(value.encode()) > _FIELD_BYTES_MAX:
            errors.append(invalid(field, "", f"can have at most {_FIELD_BYTES_MAX} characters"))
    if len(event.get("message", "").encode()) > _MESSAGE_BYTES_MAX:
        errors.append(invalid("message", "", f"can have at most {_MESSAGE_BYTES_MAX} characters"))
    return errors


def _validate_series(event: Json) -> list[FieldError]:
    series = event.get("series")
    if series is None:
        return []
    errors: list[FieldError] = []
    if series.get("count", 0) < 2:
        errors.append(invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(required("series.lastObservedTime"))
    return errors


def _first_seen(event: Json, now: datetime) -> object:
    return age_of(event.get("firstTimestamp") or event.get("eventTime"), now)


def _last_seen(event: Json, now: datetime) -> object:
    series = event.get("series")
    if series is not None:
        return age_of(series.get("lastObservedTime"), now)
    last = event.get("lastTimestamp")
    return age_of(last, now) if last else _first_seen(event, now)


def _count(event: Json, _now: datetime) -> object:
    series = event.get("series")
    return series.get("count", 0) if series is not None else event.get("count") or 1


def _object(event: Json, _now: datetime) -> object:
    involved = event.get("involvedObject") or {}
    kind, name = involved.get("kind", "").lower(), involved.get("name", "")
    return f"{kind}/{name}" if name else kind


def _source(event: Json, _now: datetime) -> object:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    instance = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {instance}" if instance else component


def _message(event: Json, _now: datetime) -> object:
    return event.get("message", "").strip()


def _reader(*path: str) -> FieldReader:
    def read(event: Json) -> str:
        value: object = event
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return "" if value is None else str(value)

    return read


def _read_source(event: Json) -> str:
    return str((event.get("source") or {}).get("component") or event.get("reportingComponent", ""))


_OBJECT_FIELDS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

_COLUMNS = (
    Column("Last Seen", _last_seen, description="When it last happened."),
    Column("Type", field_cell("type"), description="Normal or Warning."),
    Column("Reason", field_cell("reason"), description="Why, in one word."),
    Column("Object", _object, description="What it is about."),
    Column("Subobject", field_cell("involvedObject", "fieldPath"), description="Which part of it.", priority=1),
    Column("Source", _source, description="Who reports it.", priority=1),
    Column("Message", _message, description="What happened."),
    Column("First Seen", _first_seen, description="When it first happened.", priority=1),
    Column("Count", _count, description="How often.", priority=1),
    Column("Name", name_cell, format="name", description="The event's own name.", priority=1),
)

EVENT = ServedKind(
    resource=EVENTS,
    singular="event",
    schema="io.k8s.api.core.v1.Event",
    short_names=("ev",),
    put_creates=True,
    dependents="never",
    metadata_checks=(),
    delete_returns_object=False,
    name_rule="path-segment",
    default=default_event,
    validate_create=validate_event,
    validate_update=validate_event_update,
    columns=_COLUMNS,
    selectable_fields={
        **METADATA_FIELDS,
        **{f"involvedObject.{field}": _reader("involvedObject", field) for field in _OBJECT_FIELDS},
        "reason": _reader("reason"),
        "reportingComponent": _reader("reportingComponent"),
        "source": _read_source,
        "type": _reader("type"),
    },
    convertors={EVENTS_EVENTS.api_version: Convertor("io.k8s.api.events.v1.Event", from_v1, to_v1)},
)

EVENT_OF_EVENTS = ServedKind(
    resource=EVENTS_EVENTS,
    singular="event",
    schema="io.k8s.api.events.v1.Event",
    short_names=("ev",),
    put_creates=True,
    dependents="never",
    metadata_checks=(),
    delete_returns_object=False,
    name_rule="path-segment",
    default=default_event,
    validate_create=validate_new_event,
    validate_update=validate_new_event_update,
    columns=_COLUMNS,
    selectable_fields={
        **METADATA_FIELDS,
        **{f"regarding.{field}": _reader("involvedObject", field) for field in _OBJECT_FIELDS},
        "reason": _reader("reason"),
        "reportingController": _reader("reportingComponent"),
        "type": _reader("type"),
    },
    storage_version_of=EVENTS,
    to_storage=to_v1,
    from_storage=from_v1,
    convertors={EVENTS.api_version: Convertor("io.k8s.api.core.v1.Event", to_v1, from_v1)},
)
